"""Models that are lossy only: pictures are a network's output, in training as in the codec; and x unlike the y."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import variants
from lossy_models import lossy_recipe, pair
from recipe_changes import changed
from tiny_selfvae import step_of

from selfcodec.arrays import UInt8
from selfcodec.decoding import decode_file, open_file
from selfcodec.encoding import encode_picture
from selfcodec.errors import FormatError, InputError
from selfcodec.format.container import pack
from selfcodec.generation import sample_images
from selfcodec.images import from_image
from selfcodec.likelihoods.layout import LOG_SCALE_OFFSET
from selfcodec.models.config import Recipe
from selfcodec.models.data import with_transformations
from selfcodec.models.likelihoods.groups import checkerboard
from selfcodec.models.likelihoods.likelihood import QUALITY, Rounding, Values
from selfcodec.models.selfvae import SelfVAE
from selfcodec.modes import Mode
from selfcodec.networks.integer import Runtime
from selfcodec.settings import Settings
from selfcodec.walk import Batch
from selfcodec.zoo import Model

RUNTIMES = (Runtime(1), Runtime(3, window=16), Runtime(64))
Pair = tuple[SelfVAE, Model]


@pytest.fixture(scope="module")
def recipe(tiny_recipe: Recipe) -> Recipe:
    return lossy_recipe(tiny_recipe)


@pytest.fixture(scope="module")
def both(recipe: Recipe, patches: UInt8, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The network, which rounds, and the exported model."""
    return pair(recipe, patches, tmp_path_factory.mktemp("lossy"))


def true_values(patches: UInt8) -> list[torch.Tensor]:
    return [
        torch.from_numpy(y.transpose(0, 3, 1, 2).copy()).float() for y in with_transformations(patches, "downscale4", 1)
    ]


def quality_of(model: Model, quality: int, count: int) -> torch.Tensor:
    """Planes of a quality as the codec's networks see them."""
    return torch.full((count, 1, 1, 1), model.spec.planes[quality - 1] / 64)


def test_it_offers_what_does_not_send_x(both: Pair, photo: UInt8) -> None:
    _, model = both
    assert model.modes == (Mode.RS1, Mode.RS2, Mode.CG, Mode.CR)
    assert model.spec.variables["x"] == {"kind": "reconstruction", "log_scales": []}
    assert len(model.spec.variables["y1"]["log_scales"]) == 3
    with pytest.raises(InputError, match="does not offer mode lossless"):
        encode_picture(from_image(variants.make_image(photo, "RGB", 9, 9)), Settings(), model)


@pytest.mark.parametrize("mode", variants.LOSSY)
def test_with_a_seed_only_the_others_are_drawn(both: Pair, photo: UInt8, mode: Mode) -> None:
    picture = from_image(variants.make_image(photo, "RGB", 40, 24))
    encoded = encode_picture(picture, Settings(mode, seed=1), both[1], verify=True, fallback=False)
    assert (np.asarray(decode_file(encoded.data, model=both[1])) == encoded.expected).all()


def test_samples_are_drawn(both: Pair) -> None:
    first, second = (sample_images(both[1], 2, (16, 24), seed) for seed in (1, 2))
    assert (first[1] == second[0]).all()
    assert (first[0] != second[0]).any()


def test_a_file_that_claims_to_send_x_is_a_format_error(both: Pair, photo: UInt8) -> None:
    picture = from_image(variants.make_image(photo, "RGB", 16, 16))
    data = encode_picture(picture, Settings(Mode.CG), both[1], verify=False, fallback=False).data
    container = open_file(data, model=both[1])
    header = replace(container.header, mode=Mode.LOSSLESS, level=0)
    forged = pack(replace(container, header=header, variables=("u", "y1", "z1", "x"), streams=2 * container.streams))
    with pytest.raises(FormatError, match="does not offer mode lossless"):
        decode_file(forged, model=both[1])


@pytest.mark.parametrize("image_mode", ["RGB", "L", "RGBA"])
@pytest.mark.parametrize("mode", variants.LOSSY)
def test_files_decode_the_same_under_every_setting(both: Pair, photo: UInt8, mode: Mode, image_mode: str) -> None:
    _, model = both
    picture = from_image(variants.make_image(photo, image_mode, 71, 37))
    for runtime in RUNTIMES[:2]:
        encoded = encode_picture(picture, Settings(mode), model, runtime, verify=True, fallback=False)
        assert encoded.mode is open_file(encoded.data, model=model).header.mode is mode
        assert encoded.expected is not None
        decoded = [decode_file(encoded.data, model=model, runtime=runtime) for runtime in RUNTIMES]
        assert len({image.tobytes() for image in decoded}) == 1
        shown = np.asarray(decoded[0].convert("RGB"))
        assert (shown == encoded.expected[:, :, : shown.shape[2]]).all()
        assert np.ptp(shown) > 0


# Trainer and codec.


def coded(model: Model, patches: UInt8, quality: int) -> dict[str, np.ndarray]:
    """What decoders of `rs2` read and show, by variable, latents in 2**-12."""
    out: dict[str, list[np.ndarray]] = {name: [] for name in ("u", "y1", "z1", "x")}
    for patch in patches:
        picture = from_image(variants.make_image(patch, "RGB", patch.shape[1], patch.shape[0]))
        settings = Settings(Mode.RS2, quality=quality)
        encoded = encode_picture(picture, settings, model, verify=True, fallback=False)
        assert encoded.expected is not None
        out["x"].append(encoded.expected.transpose(2, 0, 1))
    return {name: np.stack(found) for name, found in out.items() if found}


@pytest.mark.parametrize("quality", [1, 40, 100])
def test_a_file_shows_what_training_showed(both: Pair, patches: UInt8, quality: int) -> None:
    """Encoded and decoded by the codec, a picture is nearly that of the network which rounds.

    The grids' widths are rounded for the codec, so that a few latents may fall on the other side of an edge.
    """
    network, model = both
    ys = true_values(patches[:3])
    with torch.no_grad():
        shown = network.transmit(ys, quality_of(model, quality, 3), Rounding.THRIFTY).pictures["x"]
    expected = torch.floor(shown + 0.5).clamp(0, 255).numpy()
    decoded = coded(model, patches[:3], quality)["x"]
    assert np.abs(decoded - expected).mean() < 0.5
    assert np.abs(decoded - ys[0].numpy()).mean() > 1


@pytest.mark.parametrize("quality", [1, 100])
def test_the_decoder_s_values_are_the_trainer_s(both: Pair, patches: UInt8, quality: int) -> None:
    """Both round, so that means and pictures agree exactly: of u and z inferred, of y, z and x given their parents."""
    network, model = both
    xs, ys = true_values(patches[:3])
    planes = quality_of(model, quality, 3)
    inferred = network.infer([xs, ys], planes)
    batch = Batch(model, (32, 32), 3, grey=False, runtime=Runtime(), values={}, quality=quality)
    found = batch.infer(patches[:3], ["u", "z1"])
    for name in ("u", "z1"):
        assert (found[name] == (inferred[name] * 4096).numpy()).all(), name
    values: Values = {"u": inferred["u"], "y1": ys, "z1": inferred["z1"], QUALITY: planes}
    batch.values = {
        "u": found["u"],
        "y1": ys.long().numpy(),
        "z1": found["z1"],
    }
    for name, shape in (("y1", (3, 3, 8, 8)), ("x", (3, 3, 32, 32))):
        decoded = model.likelihoods[name].mean(batch.condition(step_of(network, name)))
        assert (decoded == network.pixels[name].mean(values, shape).numpy()).all(), name
    with torch.no_grad():
        mean = network.latents["z1"].mean(values, (3, 12, 8, 8))
    decoded = model.likelihoods["z1"].mean(batch.condition(step_of(network, "z1")))
    assert np.abs(decoded / 4096 - mean.numpy()).max() < 1e-6


def test_files_cost_what_training_says(both: Pair, patches: UInt8) -> None:
    """The rate of rounded latents, with the same probabilities up to the coder's tables."""
    network, model = both
    for quality in (20, 90):
        with torch.no_grad():
            rates = network.transmit(true_values(patches[:4]), quality_of(model, quality, 4), Rounding.THRIFTY).rates
        bits = []
        for patch in patches[:4]:
            picture = from_image(variants.make_image(patch, "RGB", 32, 32))
            settings = Settings(Mode.RS2, quality=quality)
            bits.append(encode_picture(picture, settings, model, verify=False, fallback=False).model_bits)
        for name in ("u", "z1"):
            expected = float(rates[name].mean()) / np.log(2)
            assert np.mean([b[name] for b in bits]) == pytest.approx(expected, rel=0.03, abs=2), (name, quality)


def test_grids_are_finer_at_higher_quality(both: Pair) -> None:
    network, model = both
    settings = model.spec.variables["z1"]
    widths, log_scales = np.array(settings["widths"]), np.array(settings["log_scales"])
    assert widths.shape == log_scales.shape == (100, 12)
    assert (np.diff(widths, axis=0) <= 0).all()
    assert (widths[0] > 3 * widths[-1]).all()
    expected = network.latents["z1"].log_width({QUALITY: quality_of(model, 1, 1)})
    assert expected is not None
    assert np.abs(widths[0] / (expected.exp()[0, :, 0, 0].detach().numpy() * 4096) - 1).max() < 0.02
    deviations = np.exp(log_scales / 1024) * widths
    assert np.abs(deviations / deviations[0] - 1).max() < 0.01


def test_y_is_as_uncertain_as_its_pictures_are_wrong(both: Pair, patches: UInt8) -> None:
    network, model = both
    xs, ys = true_values(patches[:16])
    shown = network.transmit([xs, ys], quality_of(model, 50, 16), Rounding.THRIFTY).pictures["y1"]
    error = (ys - shown).abs().mean((0, 2, 3)).detach().numpy()
    scales = np.exp(np.array(model.spec.variables["y1"]["log_scales"]) / 1024 + LOG_SCALE_OFFSET)
    assert scales * 2 * np.log(2) == pytest.approx(error, rel=0.05)


# Training.


def test_the_halves_of_a_group_see_no_values_that_come_later(recipe: Recipe, patches: UInt8) -> None:
    """A value's distribution does not depend on itself, nor on what is coded after it."""
    torch.manual_seed(0)
    network = SelfVAE(recipe.model)
    _, ys = true_values(patches[:1])
    values: Values = {"u": torch.zeros(1, 3, 4, 4), "y1": ys, QUALITY: torch.zeros(1, 1, 1, 1)}
    family = network.latents["z1"]
    width = torch.full((1, 12, 1, 1), 0.5)
    z = (4 * torch.randn(1, 12, 8, 8)).round() / 2
    even = checkerboard(z)
    assert even[0, 0, :2, :2].tolist() == [[1, 0], [0, 1]]
    z.requires_grad_(True)
    means, own = family._parameters(values, z, even, 1, odd=True)[0], slice(2, 6)  # type: ignore[attr-defined]
    (gradient,) = torch.autograd.grad((means * (1 - even)).sum(), z)
    assert gradient[:, own.stop :].abs().max() == 0
    assert (gradient[:, own] * (1 - even)).abs().max() == 0
    assert (gradient[:, own] * even).abs().max() > 0
    assert gradient[:, : own.start].abs().max() > 0
    means = family._parameters(values, z, even, 1, odd=False)[0]  # type: ignore[attr-defined]
    (gradient,) = torch.autograd.grad(means.sum(), z)
    assert gradient[:, own].abs().max() == 0
    assert family.log_mass(z, width, values).shape == (1,)


def test_it_has_no_likelihood_and_says_so(recipe: Recipe, patches: UInt8) -> None:
    network = SelfVAE(recipe.model)
    with pytest.raises(InputError, match=r"^y1 is a reconstruction and has no likelihood"):
        network(true_values(patches[:2]))


def test_a_likelihood_has_no_picture_and_says_so(tiny_recipe: Recipe, patches: UInt8) -> None:
    network = SelfVAE(tiny_recipe.model)
    with pytest.raises(InputError, match="is trained by the objective 'likelihood' alone"):
        network.transmit(true_values(patches[:2]), torch.zeros(2, 1, 1, 1), Rounding.NOISY)


def test_x_in_context_of_a_y_in_phases(tiny_recipe: Recipe, patches: UInt8, photo: UInt8, tmp_path: Path) -> None:
    """Likelihoods are chosen variable by variable, and tiles are as small as one of them needs them."""
    head = {"kind": "context", "mixtures": 2, "head_width": 12, "head_blocks": 1}
    mixed = changed(tiny_recipe, model={"x_likelihood": head})
    _, _, data = variants.build(mixed, "mixed", patches)
    model = variants.install(tmp_path, "mixed", data)
    assert model.spec.tile == 256
    assert [model.spec.variables[name]["kind"] for name in ("y1", "x")] == ["phases", "context"]
    image = variants.make_image(photo, "RGB", 30, 21)
    data = encode_picture(from_image(image), Settings(), model, verify=False, fallback=False).data
    assert variants.same(decode_file(data, model=model), image)
