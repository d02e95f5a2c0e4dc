"""Training images: where they are looked for, how they are cut, and the batches made of them."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from selfcodec.errors import InputError
from selfcodec.models.data import ImageSet, load_images

UInt8 = npt.NDArray[np.uint8]
CPU = torch.device("cpu")


def test_an_array_is_found_by_its_name(patches: UInt8, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own").mkdir()
    np.save(tmp_path / "own" / "train.npy", patches[:3])
    np.save(tmp_path / "own" / "test.npy", patches[3:5])
    assert (load_images("own", "test", tmp_path) == patches[3:5]).all()
    monkeypatch.setenv("SELFCODEC_DATA", str(tmp_path))
    assert (load_images("own", "train") == patches[:3]).all()


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 8, 8, 3)), np.zeros((2, 8, 8), np.uint8), np.zeros((2, 3, 8, 8), np.uint8)]
)
def test_an_array_of_another_kind_is_refused(wrong: npt.NDArray[np.generic], tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    np.save(tmp_path / "own" / "train.npy", wrong)
    with pytest.raises(InputError, match=r"train.npy: expected uint8 \(N, H, W, 3\)"):
        load_images("own", "train", tmp_path)


def test_cifar10_is_read_as_its_authors_publish_it(patches: UInt8, tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for i, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        rows = patches[2 * i : 2 * i + 2].transpose(0, 3, 1, 2).reshape(2, -1)
        (folder / name).write_bytes(pickle.dumps({b"data": rows}))
    assert (load_images("cifar10", "train", tmp_path) == patches[:10]).all()
    assert (load_images("cifar10", "test", tmp_path) == patches[10:12]).all()


def test_a_folder_of_images_is_cut_into_patches(photo: UInt8, tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    Image.fromarray(photo[:40, :70]).save(tmp_path / "a.png")
    Image.fromarray(photo[:32, :32, 0]).save(tmp_path / "deeper" / "b.PNG")
    (tmp_path / "c.txt").write_text("no image", encoding="utf-8")
    found = load_images("any", "train", tmp_path)
    grey = np.repeat(photo[:32, :32, :1], 3, 2)
    assert (found == np.stack([photo[:32, :32], photo[:32, 32:64], grey])).all()
    assert load_images("any", "train", tmp_path, patch=16).shape == (2 * 4 + 4, 16, 16, 3)
    with pytest.raises(InputError, match="no images of at least 64 x 64"):
        load_images("any", "train", tmp_path, patch=64)


def test_images_that_training_would_spoil_are_refused_by_name(photo: UInt8, tmp_path: Path) -> None:
    Image.fromarray(photo[..., 0].astype(np.uint16) * 257).save(tmp_path / "deep.png")
    with pytest.raises(InputError, match=r"deep\.png: it has more than 8 bits"):
        load_images("any", "train", tmp_path)
    (tmp_path / "deep.png").unlink()
    Image.fromarray(photo).save(tmp_path / "short.png")
    (tmp_path / "short.png").write_bytes((tmp_path / "short.png").read_bytes()[:3000])
    with pytest.raises(InputError, match=r"short\.png: damaged"):
        load_images("any", "train", tmp_path)


@pytest.mark.parametrize(("name", "remedy"), [("cifar10", "cs.toronto.edu"), ("own", "put train.npy")])
def test_data_that_are_not_there_are_asked_for(name: str, remedy: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=remedy):
        load_images(name, "train", tmp_path / "nothing")


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
