"""Training for rate and distortion: recipes, crops, the start as a block transform, steps, resuming."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lossy_models import MODEL, OBJECTIVE, image_set, lossy_recipe, started
from PIL import Image
from recipe_changes import changed
from torch import Tensor
from trainer_state import CPU, assert_equal, parameters

from selfcodec.arrays import UInt8
from selfcodec.errors import InputError
from selfcodec.models.block_transform import blocks_of, klt_of, terms_of
from selfcodec.models.budget import Minutes
from selfcodec.models.config import Recipe
from selfcodec.models.crops import CropSet, split_paths
from selfcodec.models.data import ImageSet
from selfcodec.models.export import export_model, write_model
from selfcodec.models.image_sets import training_sets
from selfcodec.models.likelihoods.likelihood import QUALITY, Rounding
from selfcodec.models.likelihoods.quality import log_lambda_of, planes_of
from selfcodec.models.objectives.choice import build_objective
from selfcodec.models.optimizers import inner_convolutions
from selfcodec.models.pictures import progress_rows
from selfcodec.models.progress import Progress
from selfcodec.models.selfvae import SelfVAE, Transmission
from selfcodec.models.train import LOG, Trainer
from selfcodec.models.training_config import CropsConfig
from selfcodec.modes import MAX_QUALITY
from selfcodec.transforms import get_transform

pytest_plugins = ("training_fixtures",)
pytestmark = pytest.mark.usefixtures("own_random_numbers")


@pytest.fixture(scope="module")
def lossy(tiny_recipe: Recipe) -> Recipe:
    return lossy_recipe(tiny_recipe)


@pytest.fixture(scope="module")
def images(patches: UInt8) -> ImageSet:
    return image_set(patches[64:96])


# Recipes.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"levels": 2}, "needs levels = 1"),
        ({"u": {"down": 2}}, "u.down must be 1"),
        ({"z": {"down": 1}}, "z.down must be y's downscaling"),
        ({"z": {"channels": 13}}, "groups must have 13 channels in all"),
        ({"z": {"channels": 49}}, "more than the 48 values"),
        ({"network": {"widths": [4, 4, 4, 4]}}, "must be of as many resolutions"),
        ({"network": {"widths": [1, 8]}}, "widths must be at least 2"),
        ({"network": {"widths": [4, 0]}}, "every one of widths must be at least 1, not 0"),
        ({"network": {"widths": 4}}, "widths must be a list, not 4"),
        ({"network": {"widths": [4] * 4, "analysis_blocks": [1] * 4, "synthesis_blocks": [1] * 4}}, "more resolutions"),
        (
            {"prior": {"kind": "realnvp", "layers": 1, "width": 4}, "u": {"channels": 4}},
            "priors gaussian and mog alone",
        ),
        ({"posterior": {"kind": "uniform"}}, "posterior of kind 'uniform' does not go with a network of kind 'transf"),
        ({"z_likelihood": {"kind": "latent"}}, "z_likelihood of kind 'latent' does not go with"),
        (
            {"likelihood": {"kind": "context", "mixtures": 2, "head_width": 4, "head_blocks": 1}},
            "likelihood of kind 'context' does not go with",
        ),
    ],
)
def test_what_does_not_go_with_transforms_is_named(lossy: Recipe, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        changed(lossy, model=changes)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("key", ["posterior", "z_likelihood", "likelihood"])
def test_what_is_made_for_transforms_goes_with_them_alone(tiny_recipe: Recipe, key: str) -> None:
    with pytest.raises(InputError, match=r"does not go with a network of kind 'residual'"):
        changed(tiny_recipe, model={key: MODEL[key]})


def test_an_objective_goes_with_its_kind_of_network(lossy: Recipe, tiny_recipe: Recipe) -> None:
    with pytest.raises(InputError, match="'rate_distortion' does not go with a network of kind 'residual'"):
        changed(tiny_recipe, train={"objective": OBJECTIVE})
    likelihood = json.loads(json.dumps(vars(tiny_recipe.train.objective)))
    with pytest.raises(InputError, match="'likelihood' does not go with a network of kind 'transform'"):
        changed(lossy, train={"objective": {"kind": "likelihood", **likelihood}})
    with pytest.raises(InputError, match="lambda_low must be below lambda_high"):
        changed(lossy, train={"objective": {"lambda_low": 1.0}})
    with pytest.raises(InputError, match="first_lambda must be below last_lambda"):
        changed(lossy, train={"objective": {"first_lambda": 1.0}})
    with pytest.raises(InputError, match="larger_share needs"):
        changed(lossy, train={"images": {"kind": "crops", "larger_share": 0.5}})


# Crops.


def whole(tmp_path: Path, sizes: dict[str, tuple[int, int]]) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "a").mkdir()
    for name, (height, width) in sizes.items():
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(tmp_path / "a" / f"{name}.png")


def crop_recipe(lossy: Recipe, **values: Any) -> Recipe:
    return changed(lossy, train={"dataset": "a", "patch": 16, "batch": 4, "images": {"kind": "crops", **values}})


def test_crops_grow_with_time_and_are_the_same_for_a_seed(lossy: Recipe, tmp_path: Path) -> None:
    whole(tmp_path, {"one": (40, 60), "small": (12, 80), "held": (48, 48), "two": (30, 30)})
    recipe = crop_recipe(lossy, held_out=["eld"], larger_share=0.4, larger_patch=32, larger_batch=2)
    crops, held_out = training_sets(recipe, tmp_path, CPU)
    assert isinstance(crops, CropSet)
    assert sorted(picture.shape[:2] for picture in crops.pictures) == [(30, 30), (40, 60)]
    assert held_out.ys[0].shape == (9, 3, 16, 16)
    assert crops.sizes == ((16, 16), (32, 32))
    now = [0.0]
    streams = [crops.random_batches(4, torch.Generator().manual_seed(seed), lambda: now[0]) for seed in (1, 1, 2)]
    first, second, other = (next(stream) for stream in streams)
    assert [tuple(y.shape) for y in first] == [(4, 3, 16, 16), (4, 3, 4, 4)]
    assert_equal(first, second)
    assert not torch.equal(first[0], other[0])
    expected = get_transform("downscale4")(first[0].permute(0, 2, 3, 1).to(torch.uint8).numpy())
    assert (first[1].permute(0, 2, 3, 1).numpy() == expected).all()
    now[0] = 0.6
    assert [tuple(y.shape) for y in next(streams[0])] == [(2, 3, 32, 32), (2, 3, 8, 8)]
    assert torch.equal(crops.batch(torch.tensor([5]))[0], crops.batch(torch.tensor([3, 5]))[0][1:])


def test_crops_are_mirrored_transposed_and_sometimes_grey() -> None:
    picture = np.arange(64 * 64 * 3, dtype=np.uint64).reshape(64, 64, 3) % 251
    kinds = {}
    for flip, augment in ((False, False), (True, False), (True, True)):
        crops = CropSet([picture.astype(np.uint8)], 16, "downscale4", 1, flip, augment, CPU)
        x = crops.batch(torch.arange(400))[0]
        grey = (x == x[:, 1:2]).flatten(1).all(1)
        right, down = ((x.diff(dim=dim) % 251).flatten(1).mode(1).values[~grey] for dim in (3, 2))
        kinds[flip, augment] = {*zip(right.tolist(), down.tolist(), strict=True)}, float(grey.float().mean())
    assert kinds[False, False] == ({(3.0, 192.0)}, 0)
    assert kinds[True, False] == ({(3.0, 192.0), (248.0, 192.0)}, 0)
    assert kinds[True, True][0] == {(3.0, 192.0), (248.0, 192.0), (192.0, 3.0), (192.0, 248.0)}
    assert 0.005 < kinds[True, True][1] < 0.08


def test_a_share_of_crops_is_of_smaller_pictures() -> None:
    ramp = np.repeat(2 * np.arange(100, dtype=np.uint8), 300).reshape(100, 100, 3)
    config = CropsConfig(scaled_share=0.5, least_scale=0.5)
    crops = CropSet([ramp], 16, "downscale4", 1, False, False, CPU, config)
    x = crops.batch(torch.arange(300))[0]
    steps = (x[:, 0, 12, 0] - x[:, 0, 3, 0]) / 9  # 2 where the crop is as it was, up to 4 at half the size
    assert 0.35 < float((steps > 2.05).float().mean()) < 0.6
    assert float(steps.min()) > 1.95
    assert 3.5 < float(steps.max()) < 4.1
    small = CropSet([ramp[:18]], 16, "downscale4", 1, False, False, CPU, config)
    assert small.batch(torch.arange(50))[0].shape == (50, 3, 16, 16)  # no crop is larger than its picture


def test_the_last_tenth_is_held_out_where_no_name_says_so(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i:02}.png" for i in range(30)]
    assert split_paths(paths, ("07", "12")) == ([p for p in paths if p.stem not in ("07", "12")], [paths[7], paths[12]])
    assert split_paths(paths, ("bulb",)) == (paths[:27], paths[27:])


def test_images_that_are_missing_or_small_are_complained_about(lossy: Recipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no images there"):
        training_sets(crop_recipe(lossy), tmp_path, CPU)
    whole(tmp_path, {"one": (20, 20), "two": (20, 20)})
    with pytest.raises(InputError, match="no image to train on has 32×32 pixels"):
        training_sets(crop_recipe(lossy, larger_share=0.5, larger_patch=32, larger_batch=1), tmp_path, CPU)
    with pytest.raises(InputError, match="least_scale must be above 0"):
        crop_recipe(lossy, scaled_share=0.5, least_scale=0)


# The start.


def test_the_transform_of_blocks_is_orthonormal_and_ordered(images: ImageSet) -> None:
    blocks = blocks_of(images.ys[0].float(), 2).flatten(0, 1)
    assert blocks.shape == (32 * 64, 48)
    klt = klt_of(blocks, 48)
    assert torch.allclose(klt.rows @ klt.rows.T, torch.eye(48), atol=1e-4)
    assert (klt.deviations.diff() <= 1e-4).all()
    coefficients = blocks @ klt.rows.T
    assert (coefficients.abs() / klt.scales).max() < 16
    assert (coefficients.square().mean(0).sqrt() / klt.deviations - 1).abs()[:20].max() < 0.01
    products = coefficients.T @ coefficients / len(blocks)
    strongest = products.diagonal()[:6]
    assert (products[:6, :6] - strongest.diag()).abs().max() < 0.01 * strongest.min()


def test_it_starts_as_a_block_transform(lossy: Recipe, images: ImageSet, patches: UInt8) -> None:
    """The picture is a linear map of z alone, block by block, and its error that of a transform's rounding."""
    model, errors = started(lossy, patches), []
    ys = images.batch(torch.arange(8))
    net = dict(model.graphs())["p_x"]
    matrix = net.weight(terms_of(net.graph)[0])[:, :, 0, 0].detach()  # (48, 12)
    for weight in (0.01, 0.1):
        quality = planes_of(torch.full((8,), math.log(weight)))
        with torch.no_grad():
            z = model.infer(ys, quality)["z1"]
            shown = model.pixels["x"].picture({"z1": z, "y1": ys[1].flip(0), QUALITY: quality}, tuple(ys[0].shape))
            rounded = model.transmit(ys, quality, Rounding.NEAREST).pictures["x"]
        assert torch.allclose(blocks_of(shown, 2), 32 * z.flatten(2).transpose(1, 2) @ matrix.T, atol=1e-2)
        truncation, error = ((ys[0] - picture).square().mean() for picture in (shown, rounded))
        width = math.sqrt(18 / (weight * math.log(2)))
        assert truncation < error < truncation + 1.3 * width**2 / 12 * 12 / 48
        errors.append(float(error))
    assert errors[1] < errors[0]


# Steps.


def test_a_copy_computes_with_its_own_grids(lossy: Recipe) -> None:
    model = SelfVAE(lossy.model)
    other, quality = copy.deepcopy(model), {QUALITY: torch.zeros(1, 1, 1, 1)}
    with torch.no_grad():
        other.grids["z1_log_width"].add_(1)
    widths = [one.latents["z1"].log_width(quality) for one in (model, other)]
    assert widths[0] is not None
    assert widths[1] is not None
    assert torch.equal(widths[1] - widths[0], torch.ones(1, 12, 1, 1))


@pytest.mark.parametrize(
    ("share", "fraction", "expected"),
    [(0.25, 0.74, Rounding.NOISY), (0.25, 0.75, Rounding.THRIFTY), (0.0, 1.0, Rounding.NOISY)],
)
def test_latents_are_thrifty_from_the_moment_at_which_their_share_of_the_time_begins(
    lossy: Recipe, images: ImageSet, monkeypatch: pytest.MonkeyPatch, share: float, fraction: float, expected: Rounding
) -> None:
    """As all that begins with a last share of the time."""
    recipe = changed(lossy, train={"objective": {"thrifty_share": share}})
    model, ys = SelfVAE(recipe.model), images.batch(torch.arange(2))
    transmit, seen = model.transmit, list[Rounding]()

    def recorded(ys: list[Tensor], planes: Tensor, rounding: Rounding) -> Transmission:
        seen.append(rounding)
        return transmit(ys, planes, rounding)

    monkeypatch.setattr(model, "transmit", recorded)
    build_objective(recipe.train.objective).loss(model, ys, fraction)
    assert seen == [expected]


def test_lambdas_are_spread_over_every_batch(lossy: Recipe) -> None:
    objective = build_objective(lossy.train.objective)
    found = torch.stack([objective.log_lambdas(8, CPU) for _ in range(50)])  # type: ignore[attr-defined]
    low, high = math.log(1e-3), math.log(0.1)
    place = (found - low) / (high - low) * 8
    assert (place.floor() == torch.arange(8)).all()
    assert 0.4 < float((place % 1).mean()) < 0.6


def test_planes_stand_for_lambdas(lossy: Recipe) -> None:
    planes = build_objective(lossy.train.objective).planes
    assert len(planes) == MAX_QUALITY
    ends = torch.tensor([planes[0], planes[-1]])[:, None, None, None] / 64
    assert log_lambda_of(ends).exp().tolist() == pytest.approx([2e-3, 0.05], rel=0.02)
    assert torch.allclose(log_lambda_of(planes_of(torch.tensor([-7.0, -2.5]))), torch.tensor([-7.0, -2.5]))


def test_the_loss_is_rate_and_distortion(lossy: Recipe) -> None:
    objective = build_objective(lossy.train.objective)
    terms = {
        name: torch.tensor([value, 2 * value]) for name, value in (("u", 0.1), ("y1", 9.0), ("z1", 1.0), ("x", 50.0))
    }
    lambdas = torch.tensor([0.01, 0.05])
    found = objective.weighted(terms, lambdas.log())  # type: ignore[attr-defined]
    plain = 0.2 * (terms["z1"] + lambdas * terms["x"]) / lambdas**0.35 + 3 * terms["u"] + 1.5e-4 * terms["y1"]
    assert torch.allclose(found, plain)


def test_muon_leaves_what_networks_give_out_to_adam(lossy: Recipe) -> None:
    model = SelfVAE(lossy.model)
    for name, net in model.graphs():
        convolutions = [node.name for node in net.graph.nodes if node.op == "conv"]
        left = [node for node in convolutions if node not in set(inner_convolutions(net.graph))]
        if name == "q_z1":
            assert not left
        elif name == "p_x":
            assert left == [terms_of(net.graph)[0].name]
        else:
            assert left == convolutions[-1:]


def test_a_run_lowers_the_loss_and_goes_on(lossy: Recipe, images: ImageSet, tmp_path: Path) -> None:
    trainer = Trainer(lossy, tmp_path, CPU)
    trainer._initialise(images)
    assert_equal(trainer.ema.state_dict(), trainer.model.state_dict())
    before = trainer.objective.evaluate(trainer.model, images).total
    batches = images.random_batches(8, trainer.generator)
    for _ in range(40):
        terms = trainer.train_step(next(batches))
    assert set(terms) == {"u", "y1", "z1", "x"}
    assert all(p.grad is not None for p in trainer.model.parameters())
    after = trainer.objective.evaluate(trainer.model, images)
    assert after.total < 0.95 * before
    points = after.terms["points"]
    assert [point["bpp"] for point in points] == sorted(point["bpp"] for point in points)
    assert [point["psnr"] for point in points] == sorted(point["psnr"] for point in points)
    figures = trainer.objective.figures(terms, next(batches))
    assert trainer.objective.words(figures).startswith(f"{figures['u'] + figures['z1']:.3f} bpp (u ")
    trainer.quantise(images)
    assert trainer.quantised
    trainer.train_step(next(batches))
    trainer.save()
    again = Trainer(lossy, tmp_path, CPU, resume=True)
    assert_equal(again.optimizer.state_dict(), trainer.optimizer.state_dict())
    results = []
    for one in (trainer, again):
        torch.manual_seed(5)
        results.append((one.train_step(images.batch(torch.arange(8))), parameters(one)))
    assert_equal(results[0], results[1])


def test_a_run_logs_and_shows_what_it_is_about(lossy: Recipe, images: ImageSet, tmp_path: Path) -> None:
    reports: list[Progress] = []
    trainer = Trainer(changed(lossy, train={"quantise_share": 0.0}), tmp_path, CPU, Minutes(0.02))
    trainer.run(images, images, reports.append)
    assert set(reports[-1].figures) == {"u", "y1", "z1", "x"}
    line = json.loads((tmp_path / LOG).read_text(encoding="utf-8").splitlines()[-1])
    assert {"J", "terms", "points", "step", "minutes", "budget", "quantised", "note"} == set(line)
    rows = progress_rows(trainer.objective, trainer.ema, images)
    assert list(rows) == ["original", "-q 1", "-q 50", "-q 100"]
    assert all(row.shape == (8, 32, 32, 3) for row in rows.values())


def test_training_starts_from_a_released_model(lossy: Recipe, images: ImageSet, patches: UInt8, tmp_path: Path) -> None:
    """Its weights, grids and priors are taken up, so that it is worth nearly what it was."""
    first = started(lossy, patches)
    with torch.no_grad():
        first.log_widths["u"].fill_(-1.0)
        first.grids["z1_slope"].add_(0.05 * torch.randn(12))
        first.prior.means.add_(0.3)
    write_model(tmp_path / "first", export_model(lossy, first, images), lossy, {})
    for net in dict(first.graphs()).values():
        net.formats = {}
    second = Trainer(changed(lossy, train={"start": str(tmp_path / "first"), "seed": 9}), tmp_path / "2", CPU).model
    for name, grid in first.grids.items():
        assert torch.allclose(second.grids[name], grid, atol=0.02), name
    assert torch.allclose(second.prior.means, first.prior.means, atol=1e-3)
    assert torch.allclose(second.log_widths["u"], first.log_widths["u"], atol=1e-3)
    totals = [build_objective(lossy.train.objective).evaluate(model, images).total for model in (first, second)]
    assert totals[1] == pytest.approx(totals[0], rel=0.02)


def test_a_model_needs_images_to_be_exported(lossy: Recipe) -> None:
    model = SelfVAE(lossy.model)
    with pytest.raises(InputError, match="measured on images: give --data"):
        export_model(lossy, model, None)
