"""Training images and the batches made of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.errors import InputError, MissingDataError
from selfcodec.models import data
from selfcodec.models.affine import SHIFT, moved
from selfcodec.models.data import LUMA, ImageSet, augmented, coarse_colour, training_images
from selfcodec.models.image_sets import calibration_sets
from selfcodec.models.recipe import load_recipe
from selfcodec.models.training_config import TrainConfig
from selfcodec.transforms import get_transform

CPU = torch.device("cpu")


def test_random_batches_show_every_image_once_an_epoch(patches: UInt8) -> None:
    marked = patches[:10].copy()
    marked[:, 0, 0, 0] = np.arange(10)
    images = ImageSet.build(marked, "downscale", 1, flip=False, device=CPU)
    batches = images.random_batches(5, torch.Generator().manual_seed(1))
    epochs = [[int(v) for _ in range(2) for v in next(batches)[0][:, 0, 0, 0]] for _ in range(3)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize("size", [0, 11])
def test_a_batch_of_more_images_than_there_are_is_refused(patches: UInt8, size: int) -> None:
    images = ImageSet.build(patches[:10], "downscale", 1, flip=False, device=CPU)
    with pytest.raises(InputError, match="10 images"):
        next(images.random_batches(size, torch.Generator()))


def test_mirrored_images_have_the_transformations_of_what_they_show(patches: UInt8) -> None:
    images = ImageSet.build(patches[:4, :9, :9], "downscale", 2, flip=True, device=CPU)
    assert len(images) == 8
    x, y1, y2 = images.batch(torch.arange(8))
    assert torch.equal(x[4:], x[:4].flip(3))
    assert y1.shape == (8, 3, 5, 5)
    assert y2.shape == (8, 3, 3, 3)
    # Odd sizes: the last column is averaged with its copy, so mirroring does not commute with averaging.
    assert not torch.equal(y1[4:], y1[:4].flip(3))


# Sets for training.


def settings(**changes: object) -> TrainConfig:
    return replace(load_recipe("cifar10-downscale").train, batch=4, **changes)  # type: ignore[arg-type]


def test_several_sets_are_taken_together_and_each_holds_out_its_last(patches: UInt8, tmp_path: Path) -> None:
    for name, part in (("a", patches[:40]), ("b", patches[40:60])):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "train.npy", part)
    kept, held_out = training_images(settings(dataset="a+b"), tmp_path)
    assert (kept == np.concatenate([patches[:36], patches[40:58]])).all()
    assert (held_out == np.concatenate([patches[36:40], patches[58:60]])).all()


def rolled(path: Path, patches: UInt8, count: int) -> None:
    """Saves photographs of 128×128 pixels, all the same but for how far they are rolled."""
    path.mkdir(parents=True)
    whole = patches[:16].reshape(4, 4, 32, 32, 3).transpose(0, 2, 1, 3, 4).reshape(128, 128, 3)
    for i in range(count):
        Image.fromarray(np.roll(whole, 3 * i, 0)).save(path / f"{i:02}.png")


def test_a_folder_below_the_root_is_a_set_and_another_folder_stands_for_all(patches: UInt8, tmp_path: Path) -> None:
    rolled(tmp_path / "photos", patches, 3)
    kept, held_out = training_images(settings(dataset="photos", patch=32), tmp_path)
    assert (kept[:16] == patches[:16]).all()
    assert (len(kept), len(held_out)) == (32, 16)
    kept, held_out = training_images(settings(dataset="photos", patch=32, augment=True), tmp_path)
    cut_twice = (25 + 25) + (16 + 9) + (4 + 4) + (4 + 1)  # sides of 179, 128, 90 and 64
    assert (len(kept), len(held_out)) == (2 * cut_twice, cut_twice)
    kept, held_out = training_images(settings(dataset="one+two", patch=32), tmp_path / "photos")
    assert (len(kept), len(held_out)) == (32, 16)


def test_no_photograph_is_both_trained_on_and_held_out(tmp_path: Path) -> None:
    """Every photograph has a colour of its own, at every scale."""
    (tmp_path / "photos").mkdir()
    for i in range(20):
        Image.new("RGB", (128, 128), (10 * i, 0, 0)).save(tmp_path / "photos" / f"{i:02}.png")
    parts = training_images(settings(dataset="photos", patch=32, augment=True), tmp_path)
    kept, held_out = ({int(image[0, 0, 0]) // 10 for image in part} for part in parts)
    assert (kept, held_out) == (set(range(18)), {18, 19})


def test_what_is_held_out_is_of_all_photographs_of_the_last_tenth(
    patches: UInt8, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "HELD_OUT", 5)
    rolled(tmp_path / "photos", patches, 20)
    every = training_images(settings(dataset="photos", patch=16), tmp_path)[1]
    assert len(every) == 5
    assert (every[0] == np.asarray(Image.open(tmp_path / "photos" / "18.png"))[:16, :16]).all()
    assert (every[-1] == np.asarray(Image.open(tmp_path / "photos" / "19.png"))[-16:, -16:]).all()


def test_a_root_that_lacks_one_of_the_sets_is_refused(patches: UInt8, tmp_path: Path) -> None:
    rolled(tmp_path / "photos", patches, 3)
    with pytest.raises(InputError, match="data set 'other' is not there"):
        training_images(settings(dataset="photos+other", patch=32), tmp_path)
    with pytest.raises(InputError, match="nothing: no such folder; data set 'photos' is not there"):
        training_images(settings(dataset="photos", patch=32), tmp_path / "nothing")


@pytest.mark.parametrize("count", [0, 1])
def test_photographs_too_few_to_hold_one_out(count: int, patches: UInt8, tmp_path: Path) -> None:
    rolled(tmp_path / "own", patches, count)
    with pytest.raises(InputError, match="own: fewer than two images of 32×32 pixels"):
        training_images(settings(dataset="photos", patch=32), tmp_path / "own")


def test_sets_of_different_sizes_do_not_mix(patches: UInt8, tmp_path: Path) -> None:
    for name, part in (("a", patches[:40]), ("b", patches[:40, :16, :16])):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "train.npy", part)
    with pytest.raises(InputError, match="different sizes"):
        training_images(settings(dataset="a+b"), tmp_path)


def test_augmented_images_keep_what_is_natural(patches: UInt8) -> None:
    x = torch.from_numpy(patches.transpose(0, 3, 1, 2).copy())
    varied = augmented(x, torch.Generator().manual_seed(0))
    assert (varied.shape, varied.dtype) == (x.shape, x.dtype)
    grey = (varied[:, :1] == varied).flatten(1).all(1).float().mean()
    assert 0.005 < grey < 0.15


@pytest.mark.parametrize("kind", ["FLATTER_SHARE", "GREY_SHARE", "COARSE_SHARE", "NOISY_SHARE"])
def test_every_kind_of_variation_happens_as_often_as_said(
    kind: str, patches: UInt8, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in ("FLATTER_SHARE", "GREY_SHARE", "COARSE_SHARE", "NOISY_SHARE"):
        monkeypatch.setattr(data, other, 0.4 if other == kind else 0.0)
    x = torch.from_numpy(patches.transpose(0, 3, 1, 2).copy())
    varied = augmented(x, torch.Generator().manual_seed(0))
    turned = x if float((varied == x).float().mean()) > 0.3 else x.transpose(2, 3)
    same = (varied == turned).flatten(1).all(1)
    assert 0.5 < float(same.float().mean()) < 0.7
    change = (varied.float() - turned.float())[~same]
    if kind == "NOISY_SHARE":
        deviations = change.std((1, 2, 3))  # uniform from 0, and a little from rounding
        assert float(deviations.max()) < 1.1 * data.NOISE
        assert float(deviations.mean()) == pytest.approx(data.NOISE / 2, rel=0.2)
    if kind == "FLATTER_SHARE":
        assert (varied.float().std((1, 2, 3)) <= turned.float().std((1, 2, 3)) + 0.5).all()


def test_coarse_colour_keeps_brightness(patches: UInt8) -> None:
    x = torch.from_numpy(patches[:8].transpose(0, 3, 1, 2).copy()).float()
    coarse, weights = coarse_colour(x), torch.tensor(LUMA)[:, None, None]
    assert torch.allclose((coarse * weights).sum(1), (x * weights).sum(1), atol=1e-3)
    colour, coarser = x - (x * weights).sum(1, True), coarse - (coarse * weights).sum(1, True)
    roughness = [float(c.diff(dim=3).abs().mean()) for c in (colour, coarser)]
    assert roughness[1] < 0.7 * roughness[0]
    grey = x[:, :1].expand(-1, 3, -1, -1)
    assert torch.allclose(coarse_colour(grey), grey, atol=1e-3)


def test_augmented_batches_have_the_y_of_their_x(patches: UInt8) -> None:
    images = ImageSet.build(patches[:32], "downscale4", 1, flip=True, device=CPU, augment=True)
    x, y = next(images.random_batches(16, torch.Generator().manual_seed(1)))
    expected = get_transform("downscale4")(x.permute(0, 2, 3, 1).to(torch.uint8).numpy())
    assert (y.permute(0, 2, 3, 1).numpy() == expected).all()


# Affine maps.


def test_affine_maps_move_images_a_little_and_each_another_way(patches: UInt8) -> None:
    """A ramp stays one inside, of about the same slope and not far away; flat images stay as they are."""
    ramp = np.arange(32, dtype=np.uint8)[:, None, None] * np.full((1, 32, 3), 7, np.uint8)
    x = torch.from_numpy(np.stack([ramp] * 40)).permute(0, 3, 1, 2)
    found = moved(x, torch.Generator().manual_seed(0)).float()
    assert found.shape == x.shape
    inner = found[:, 0, 10:22, 10:22]
    slope = (inner[:, -1] - inner[:, 0]).mean(1) / 11
    middle = inner.mean((1, 2)) - x[0, 0, 10:22].float().mean()
    assert 7 * 0.8 < float(slope.min()) < float(slope.max()) < 7 * 1.2
    assert float(slope.std()) > 0.1
    assert 7 < float(middle.abs().max()) < 7 * (SHIFT * 16 + 1)
    flat = torch.full((4, 3, 16, 16), 93, dtype=torch.uint8)
    assert torch.equal(moved(flat, torch.Generator()), flat)


def test_batches_are_moved_before_their_y_is_made(patches: UInt8) -> None:
    still, moving = (
        ImageSet.build(patches[:8], "downscale", 1, flip=False, device=CPU, affine=affine) for affine in (False, True)
    )
    before, after = (next(images.random_batches(8, torch.Generator().manual_seed(0))) for images in (still, moving))
    assert not torch.equal(before[0], after[0])
    x = after[0].permute(0, 2, 3, 1).numpy().astype(np.uint8)
    y = get_transform("downscale")(x)
    assert torch.equal(after[1], torch.from_numpy(y).permute(0, 3, 1, 2).float())


def test_export_goes_without_data_that_are_not_there_but_not_with_damaged_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe("cifar10-downscale")
    monkeypatch.setenv("SELFCODEC_DATA", str(tmp_path))
    assert calibration_sets(recipe, None) == (None, None)
    with pytest.raises(MissingDataError):
        calibration_sets(recipe, tmp_path / "nothing")
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "train.npy").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"train\.npy: not an array"):
        calibration_sets(recipe, None)
