"""Training images as one uint8 array, and their transformations y_1..y_K."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from selfcodec import imageio
from selfcodec.errors import InputError
from selfcodec.models.config import TrainConfig
from selfcodec.transforms import get_transform

CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
CIFAR10_MD5 = "c58f30108f718f92721af3b95e74349a"
HELD_OUT = 500
"""Training images at most that are kept for validation."""
SCALES = (1.0, 0.7, 0.5)
"""At which whole images are cut into patches; a photograph at half the size is a sharper one."""
FLATTER_SHARE, GREY_SHARE = 0.25, 0.04
"""Of augmented images."""
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


def _cut(pixels: np.ndarray, patch: int) -> np.ndarray:
    """An image (H, W, 3) in patches (N, patch, patch, 3); what is left at the edges is dropped."""
    rows, columns = pixels.shape[0] // patch, pixels.shape[1] // patch
    cut = pixels[: rows * patch, : columns * patch].reshape(rows, patch, columns, patch, 3)
    return cut.transpose(0, 2, 1, 3, 4).reshape(-1, patch, patch, 3)


def _at_scale(pixels: np.ndarray, scale: float) -> np.ndarray:
    size = [max(1, round(n * scale)) for n in (pixels.shape[1], pixels.shape[0])]
    return np.asarray(Image.fromarray(pixels).resize((size[0], size[1]), Image.Resampling.BICUBIC))


def _folder(folder: Path, patch: int, *, several: bool) -> np.ndarray:
    """Every image below a folder, cut into patches of patch x patch.

    With `several`, at every one of SCALES, and cut twice: also from half a patch off the corner.
    """
    patches = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES):
        pixels = imageio.load(path, strip=True).planes
        if pixels.shape[2] == 1:
            pixels = pixels.repeat(3, 2)
        for scale in SCALES if several else SCALES[:1]:
            scaled = pixels if scale == 1 else _at_scale(pixels, scale)
            patches.append(_cut(scaled, patch))
            if several:
                patches.append(_cut(scaled[patch // 2 :, patch // 2 :], patch))
    if not patches or not sum(map(len, patches)):
        raise InputError(f"{folder}: no images of at least {patch} x {patch} pixels there")
    return np.concatenate(patches)


def load_images(
    dataset: str, split: str, data: Path | None = None, patch: int = 32, *, several: bool = False
) -> np.ndarray:
    """A data set's images, uint8 (N, H, W, 3).

    Args:
        dataset: a name; images are looked for in `<root>/<dataset>/<split>.npy`, for `cifar10` also in the published
            `cifar-10-batches-py`, for training also as image files in `<root>/<dataset>`.
        split: `train` or `test`.
        data: root to look in instead of `data_root()`; or, where it has no such files, a folder of images.
        patch: side of the patches that a folder's images are cut into.
        several: cut them at several scales and offsets.

    Raises:
        InputError: nothing is there; says what to put where.
    """
    root = data or data_root()
    array, batches = root / dataset / f"{split}.npy", root / "cifar-10-batches-py"
    if split == "test" and not array.is_file():  # where a data set calls its held-out part so
        array = array.with_name("val.npy")
    if array.is_file():
        images = np.load(array)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
            raise InputError(f"{array}: expected uint8 (N, H, W, 3), found {images.dtype} {images.shape}")
        return np.asarray(images)
    if dataset == "cifar10" and batches.is_dir():
        return _cifar10_batches(batches, split)
    if split == "train" and any(p.suffix.lower() in IMAGE_SUFFIXES for p in (root / dataset).glob("*")):
        return _folder(root / dataset, patch, several=several)
    if data is not None and data.is_dir():
        return _folder(data, patch, several=several)
    where = f"put {split}.npy, uint8 (N, H, W, 3), into {root / dataset}"
    if dataset == "cifar10":
        where = f"unpack {CIFAR10_URL} (MD5 {CIFAR10_MD5}) in {root}, or {where}"
    raise InputError(f"data set {dataset!r} is not there: {where}")


def training_images(train: TrainConfig, data: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """A recipe's images (N, H, W, 3) to train on, and those held out: the last ones of each data set, a tenth at most.

    Raises:
        InputError: nothing is there, the data sets' sizes differ, or there are too few for a batch.
    """
    root, names = data or data_root(), train.dataset.split("+")
    if data is not None and not any((root / name).exists() for name in names):
        names = names[:1]  # a folder of images in place of all of them
    sets = [load_images(name, "train", data, train.patch, several=train.augment) for name in names]
    if len({images.shape[1:] for images in sets}) > 1:
        raise InputError(f"the data sets {train.dataset} have images of different sizes")
    kept, held_out = [], []
    for images in sets:
        count = max(1, min(HELD_OUT // len(sets), len(images) // 10))
        kept.append(images[:-count])
        held_out.append(images[-count:])
    total = sum(map(len, kept)) * (2 if train.flip else 1)
    if total < train.batch:
        found = sum(map(len, sets))
        raise InputError(f"{found} images are too few for batches of {train.batch}, one in ten held out")
    return np.concatenate(kept), np.concatenate(held_out)


def augmented(x: Tensor, generator: torch.Generator) -> Tensor:
    """A batch (B, 3, H, H), uint8, at random transposed; some images darker and flatter, a few of them grey."""
    if torch.rand((), generator=generator) < 0.5:
        x = x.transpose(2, 3)
    chance = torch.rand(3, len(x), 1, 1, 1, generator=generator).to(x.device)
    gain = 1 - 0.5 * chance[1]
    flatter = torch.floor(x * gain + 255 * (1 - gain) * chance[2] + 0.5).to(torch.uint8)
    x = torch.where(chance[0] < FLATTER_SHARE, flatter, x)
    return torch.where(chance[0] > 1 - GREY_SHARE, x[:, 1:2].expand_as(x), x)


def with_transformations(images: np.ndarray, transformation: str, levels: int) -> list[np.ndarray]:
    """[x, y_1, ..., y_K], each uint8 (N, H, W, C)."""
    transform = get_transform(transformation)
    ys = [images]
    for _ in range(levels):
        ys.append(transform(ys[-1]))
    return ys


@dataclass
class ImageSet:
    """x and all y_k on one device, uint8 (N, C, H, W), served in random batches.

    With `augment` random batches are varied (see `augmented`), and their y computed from the varied x.
    """

    ys: list[Tensor]
    transformation: str
    augment: bool = False

    @staticmethod
    def build(
        images: np.ndarray,
        transformation: str,
        levels: int,
        *,
        flip: bool,
        device: torch.device,
        augment: bool = False,
    ) -> ImageSet:
        if flip:  # mirrored before the transformations, which need not commute with mirroring
            images = np.concatenate([images, images[:, :, ::-1]])
        ys = with_transformations(np.ascontiguousarray(images), transformation, levels)
        tensors = [torch.from_numpy(y.transpose(0, 3, 1, 2).copy()).to(device) for y in ys]
        return ImageSet(tensors, transformation, augment)

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
                chosen = order[start : start + size]
                yield self._varied(chosen, generator) if self.augment else self.batch(chosen)

    def _varied(self, index: Tensor, generator: torch.Generator) -> list[Tensor]:
        x = augmented(self.ys[0][index], generator).cpu().numpy().transpose(0, 2, 3, 1)
        ys = with_transformations(np.ascontiguousarray(x), self.transformation, len(self.ys) - 1)
        return [torch.from_numpy(y).to(self.ys[0].device).permute(0, 3, 1, 2).float() for y in ys]

    def batches(self, size: int) -> Iterator[list[Tensor]]:
        """All images once, in order."""
        for start in range(0, len(self), size):
            yield self.batch(torch.arange(start, min(start + size, len(self)), device=self.ys[0].device))
