"""Models that are lossy only: x is a network's picture, in training as in the codec; and x unlike the y in general."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import variants
from recipe_changes import changed
from tiny_selfvae import step_of

from selfcodec.arrays import UInt8
from selfcodec.codec import decode_file, encode_picture, open_file
from selfcodec.errors import FormatError, InputError
from selfcodec.format.container import pack
from selfcodec.generation import sample_images
from selfcodec.images import from_image
from selfcodec.likelihoods.layout import MEAN_UNIT
from selfcodec.models.config import Recipe
from selfcodec.models.data import with_transformations
from selfcodec.models.likelihoods.reconstruction import Reconstruction
from selfcodec.models.pictures import reconstructions
from selfcodec.models.selfvae import SelfVAE
from selfcodec.modes import Mode
from selfcodec.networks.integer import Runtime
from selfcodec.settings import Settings
from selfcodec.walk import Batch
from selfcodec.zoo import Model

RUNTIMES = (Runtime(1, False), Runtime(3, True), Runtime(64, False))


@pytest.fixture(scope="module")
def recipe(tiny_recipe: Recipe) -> Recipe:
    """The tiny model with x as a reconstruction; y1 is coded in phases."""
    return changed(tiny_recipe, model={"x_likelihood": {"kind": "reconstruction"}})


@pytest.fixture(scope="module")
def pair(recipe: Recipe, patches: UInt8, tmp_path_factory: pytest.TempPathFactory) -> tuple[SelfVAE, Model]:
    """The network, which rounds, and the exported model in tiles of 32."""
    network, _, data = variants.build(recipe, "reconstruction", patches)
    folder = tmp_path_factory.mktemp("reconstruction")
    return network, variants.install(folder, "reconstruction", variants.with_spec(data, tile=32))


def true_values(patches: UInt8) -> list[torch.Tensor]:
    return [
        torch.from_numpy(y.transpose(0, 3, 1, 2).copy()).float() for y in with_transformations(patches, "downscale", 1)
    ]


def test_it_offers_what_does_not_send_x(pair: tuple[SelfVAE, Model], photo: UInt8) -> None:
    _, model = pair
    assert model.modes == (Mode.RS1, Mode.RS2, Mode.CG, Mode.CR)
    assert model.spec.variables["x"] == {"kind": "reconstruction"}
    assert model.spec.variables["y1"]["kind"] == "phases"
    with pytest.raises(InputError, match="does not offer mode lossless"):
        encode_picture(from_image(variants.make_image(photo, "RGB", 9, 9)), Settings(), model)


def test_without_y_it_offers_what_sends_latents(tiny_recipe: Recipe, patches: UInt8) -> None:
    lossy = changed(tiny_recipe, model={"levels": 0, "x_likelihood": {"kind": "reconstruction"}})
    assert variants.build(lossy, "flat", patches)[1].modes == (Mode.RS1, Mode.RS2)


@pytest.mark.parametrize("mode", variants.LOSSY)
def test_with_a_seed_only_the_others_are_drawn(pair: tuple[SelfVAE, Model], photo: UInt8, mode: Mode) -> None:
    picture = from_image(variants.make_image(photo, "RGB", 40, 24))
    encoded = encode_picture(picture, Settings(mode, seed=1), pair[1], verify=True, fallback=False)
    assert (np.asarray(decode_file(encoded.data, model=pair[1])) == encoded.expected).all()


def test_samples_are_drawn(pair: tuple[SelfVAE, Model]) -> None:
    first, second = (sample_images(pair[1], 2, (16, 24), seed) for seed in (1, 2))
    assert (first[1] == second[0]).all()
    assert (first[0] != second[0]).any()


def test_a_file_that_claims_to_send_x_is_a_format_error(pair: tuple[SelfVAE, Model], photo: UInt8) -> None:
    picture = from_image(variants.make_image(photo, "RGB", 16, 16))
    data = encode_picture(picture, Settings(Mode.CG), pair[1], verify=False, fallback=False).data
    container = open_file(data, model=pair[1])
    header = replace(container.header, mode=Mode.LOSSLESS, level=0)
    forged = pack(replace(container, header=header, variables=("u", "y1", "z1", "x"), streams=2 * container.streams))
    with pytest.raises(FormatError, match="does not offer mode lossless"):
        decode_file(forged, model=pair[1])


@pytest.mark.parametrize("image_mode", ["RGB", "L", "RGBA"])
@pytest.mark.parametrize("mode", variants.LOSSY)
def test_files_decode_the_same_under_every_setting(
    pair: tuple[SelfVAE, Model], photo: UInt8, mode: Mode, image_mode: str
) -> None:
    _, model = pair
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


def test_the_decoder_s_picture_is_the_trainer_s(pair: tuple[SelfVAE, Model], patches: UInt8) -> None:
    """Both round, so that they agree in every pixel."""
    network, model = pair
    xs, ys = true_values(patches[:3])
    z = (network.infer([xs, ys])["z1"] * 4096).round()
    values = {"y1": ys.long().numpy(), "z1": z.long().numpy()}
    batch = Batch(model, (32, 32), 3, grey=False, runtime=Runtime(), values=values)
    decoded = model.likelihoods["x"].mean(batch.condition(step_of(network, "x")))
    trained = network.pixels["x"].mean({"y1": ys, "z1": z / 4096}, (3, 3, 32, 32))
    assert (decoded == trained.numpy()).all()
    assert (decoded != ys.repeat_interleave(2, 2).repeat_interleave(2, 3).numpy()).any()


def test_its_picture_can_be_trained_and_starts_from_y(recipe: Recipe, patches: UInt8) -> None:
    torch.manual_seed(0)
    network = SelfVAE(recipe.model)
    xs, ys = true_values(patches[:8])
    family, values = network.pixels["x"], network.infer([xs, ys])
    assert isinstance(family, Reconstruction)
    net = dict(network.graphs())["p_x"]
    assert net.graph.output.op == "unfold"
    base = ys.repeat_interleave(2, 2).repeat_interleave(2, 3)
    picture = family.picture(values, xs.shape)
    assert picture.shape == xs.shape
    assert (picture - base).abs().mean() < MEAN_UNIT
    assert torch.equal(family.mean(values, xs.shape), torch.floor(picture + 0.5).clamp(0, 255))
    optimizer, errors = torch.optim.Adam(net.parameters(), lr=3e-3), []
    for _ in range(20):
        error = (family.picture(values, xs.shape) - xs).square().mean()
        optimizer.zero_grad()
        error.backward()
        assert all(parameter.grad is not None for parameter in net.parameters())
        optimizer.step()
        errors.append(float(error.detach()))
    assert errors[-1] < errors[0]


def test_it_has_no_likelihood_and_says_so(recipe: Recipe, patches: UInt8) -> None:
    network = SelfVAE(recipe.model)
    with pytest.raises(InputError, match=r"^x is a reconstruction and has no likelihood"):
        network(true_values(patches[:2]))


def test_pictures_of_a_training_run_show_it(pair: tuple[SelfVAE, Model], patches: UInt8) -> None:
    network, _ = pair
    shown = reconstructions(network, true_values(patches[:2]))
    assert list(shown) == ["rs1", "rs2", "cg", "cr"]
    drawn = network.generate((32, 32), {}, draw=True, batch=2)
    assert torch.equal(drawn["x"], network.pixels["x"].mean(drawn, (2, 3, 32, 32)))


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
