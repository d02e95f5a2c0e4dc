"""Training images as one uint8 array, and their transformations y_1..y_K."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from selfcodec import imageio
from selfcodec.errors import InputError
from selfcodec.transforms import get_transform

CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
CIFAR10_MD5 = "c58f30108f718f92721af3b95e74349a"
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm")


def data_root() -> Path:
    """`$SELFCODEC_DATA`, or `~/.cache/selfcodec/data`."""
    return Path(os.environ.get("SELFCODEC_DATA", "~/.cache/selfcodec/data")).expanduser()


def _cifar10_batches(folder: Path, split: str) -> np.ndarray:
    names = ["test_batch"] if split == "test" else [f"data_batch_{i}" for i in range(1, 6)]
    parts = []
    for name in names:
        with (folder / name).open("rb") as file:
            parts.append(pickle.load(file, encoding="bytes")[b"data"])  # the layout that its authors publish
    return np.concatenate(parts).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def _folder(folder: Path, patch: int) -> np.ndarray:
    """Every image below a folder, cut into patches of patch x patch; what is left at the edges is dropped."""
    patches = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES):
        pixels = imageio.load(path, strip=True).planes
        if pixels.shape[2] == 1:
            pixels = pixels.repeat(3, 2)
        rows, columns = pixels.shape[0] // patch, pixels.shape[1] // patch
        cut = pixels[: rows * patch, : columns * patch].reshape(rows, patch, columns, patch, 3)
        patches.append(cut.transpose(0, 2, 1, 3, 4).reshape(-1, patch, patch, 3))
    if not patches or not sum(map(len, patches)):
        raise InputError(f"{folder}: no images of at least {patch} x {patch} pixels there")
    return np.concatenate(patches)


def load_images(dataset: str, split: str, data: Path | None = None, patch: int = 32) -> np.ndarray:
    """A data set's images, uint8 (N, H, W, 3).

    Args:
        dataset: a name; images are looked for in `<root>/<dataset>/<split>.npy`, for `cifar10` also in the published
            `cifar-10-batches-py`.
        split: `train` or `test`.
        data: root to look in instead of `data_root()`; or, where it has no such files, a folder of images.
        patch: side of the patches that a folder's images are cut into.

    Raises:
        InputError: nothing is there; says what to put where.
    """
    root = data or data_root()
    array, batches = root / dataset / f"{split}.npy", root / "cifar-10-batches-py"
    if array.is_file():
        images = np.load(array)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
            raise InputError(f"{array}: expected uint8 (N, H, W, 3), found {images.dtype} {images.shape}")
        return np.asarray(images)
    if dataset == "cifar10" and batches.is_dir():
        return _cifar10_batches(batches, split)
    if data is not None and data.is_dir():
        return _folder(data, patch)
    where = f"put {split}.npy, uint8 (N, H, W, 3), into {root / dataset}"
    if dataset == "cifar10":
        where = f"unpack {CIFAR10_URL} (MD5 {CIFAR10_MD5}) in {root}, or {where}"
    raise InputError(f"data set {dataset!r} is not there: {where}")


def with_transformations(images: np.ndarray, transformation: str, levels: int) -> list[np.ndarray]:
    """[x, y_1, ..., y_K], each uint8 (N, H, W, C)."""
    transform = get_transform(transformation)
    ys = [images]
    for _ in range(levels):
        ys.append(transform(ys[-1]))
    return ys


@dataclass
class ImageSet:
    """x and all y_k on one device, uint8 (N, C, H, W), served in random batches."""

    ys: list[Tensor]

    @staticmethod
    def build(images: np.ndarray, transformation: str, levels: int, *, flip: bool, device: torch.device) -> ImageSet:
        if flip:  # mirrored before the transformations, which need not commute with mirroring
            images = np.concatenate([images, images[:, :, ::-1]])
        ys = with_transformations(np.ascontiguousarray(images), transformation, levels)
        return ImageSet([torch.from_numpy(y.transpose(0, 3, 1, 2).copy()).to(device) for y in ys])

    def __len__(self) -> int:
        return len(self.ys[0])

    def batch(self, index: Tensor) -> list[Tensor]:
        """Images by index, float tensors of integers 0..255."""
        return [y[index].float() for y in self.ys]

    def random_batches(self, size: int, generator: torch.Generator) -> Iterator[list[Tensor]]:
        """Endless batches; every image once before any image twice. InputError where one batch is more than all."""
        if not 0 < size <= len(self):
            raise InputError(f"a batch of {size} cannot be drawn from {len(self)} images: use more images")
        while True:
            order = torch.randperm(len(self), generator=generator).to(self.ys[0].device)
            for start in range(0, len(self) - size + 1, size):
                yield self.batch(order[start : start + size])

    def batches(self, size: int) -> Iterator[list[Tensor]]:
        """All images once, in order."""
        for start in range(0, len(self), size):
            yield self.batch(torch.arange(start, min(start + size, len(self)), device=self.ys[0].device))
