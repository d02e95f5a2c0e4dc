"""Training images with their transformations y_1..y_K, in random batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from selfcodec.arrays import UInt8
from selfcodec.errors import InputError, MissingDataError
from selfcodec.models import draws
from selfcodec.models.affine import moved
from selfcodec.models.datasets import data_root, images_below, load_images, not_there, stands_for
from selfcodec.models.patches import load_patches
from selfcodec.models.training_config import TrainConfig
from selfcodec.transforms import get_transform

HELD_OUT = 500
"""At most so many training images are kept for validation."""
FLATTER_SHARE, GREY_SHARE, COARSE_SHARE, NOISY_SHARE = 0.25, 0.04, 0.3, 0.35
"""Augmented images have these changes in such shares."""
NOISE = 2.5
"""Added noise has at most this standard deviation in grey levels."""
LUMA = (0.299, 0.587, 0.114)
"""Red, green and blue have these weights (ITU-R BT.601)."""


def _found(name: str, train: TrainConfig, root: Path) -> UInt8 | list[UInt8] | None:
    """A data set's images (N, H, W, 3), or the patches of every photograph of a folder; None where nothing is there."""
    images = load_images(name, "train", root)
    if images is None and (root / name).is_dir() and (paths := images_below(root / name)):
        return load_patches(paths, train.patch, several=train.augment)
    return images


def _sources(train: TrainConfig, data: Path | None) -> list[UInt8 | list[UInt8]]:
    """What `_found` returns for each of a recipe's data sets; or a folder of images in place of all of them."""
    root, names, sources = data or data_root(), train.dataset.split("+"), []
    if data is not None and stands_for(data, names):
        return [load_patches(images_below(data), train.patch, several=train.augment)]
    for name in names:
        if (source := _found(name, train, root)) is None:
            missing = not_there(name, "train", root)
            raise missing if root.is_dir() or not data else MissingDataError(f"{data}: no such folder; {missing}")
        sources.append(source)
    return sources


def _split(source: UInt8 | list[UInt8], most: int) -> tuple[UInt8, UInt8]:
    """Images to train on, and of the last tenth at most so many.

    Patches of one photograph are all on the same side, since they show the same at several scales.
    """
    tenth = max(1, len(source) // 10)
    if isinstance(source, list):
        last = np.concatenate(source[-tenth:])
        return np.concatenate(source[:-tenth]), last[np.linspace(0, len(last) - 1, min(most, len(last))).astype(int)]
    count = min(most, tenth)
    return source[:-count], source[-count:]


def training_images(train: TrainConfig, data: Path | None = None) -> tuple[UInt8, UInt8]:
    """A recipe's images (N, H, W, 3) to train on, and those held out: of the last tenth of each data set.

    Args:
        train: names the data sets, which are arrays, as their authors publish them, or folders of images; those are
            cut into patches.
        data: root of the data sets, or where none of them is there, a folder of images; `data_root()` by default.

    Raises:
        InputError: nothing is there, or not all of the data sets; their sizes differ, or there are too few for a batch.
    """
    sources = _sources(train, data)
    if any(len(source) < 2 for source in sources):
        size = f"{train.patch}×{train.patch}"
        raise InputError(f"{data or data_root()}: fewer than two images of {size} pixels, one is held out: add images")
    parts = [_split(source, max(1, HELD_OUT // len(sources))) for source in sources]
    if len({kept.shape[1:] for kept, _ in parts}) > 1:
        raise InputError(f"the data sets {train.dataset} have images of different sizes")
    kept, held_out = (np.concatenate(side) for side in zip(*parts, strict=True))
    if len(kept) * (2 if train.flip else 1) < train.batch:
        raise InputError(
            f"{len(kept) + len(held_out)} images are too few for batches of {train.batch}, one in ten held out: add"
            " images, or lower batch in the recipe"
        )
    return kept, held_out


def coarse_colour(x: Tensor) -> Tensor:
    """Images (B, 3, H, W) in grey levels with colour at half the resolution, as JPEG files and photo CDs have it."""
    luma = (x * x.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
    return luma + F.interpolate(F.avg_pool2d(x - luma, 2), size=x.shape[2:], mode="bilinear")


def augmented(x: Tensor, generator: torch.Generator) -> Tensor:
    """A batch (B, 3, H, H), uint8, at random transposed as a whole, and varied image by image.

    Photographs come in many kinds: some have their colour at half the resolution, are darker and flatter, or noisier; a
    few are grey.
    """
    if torch.rand((), generator=generator) < 0.5:
        x = x.transpose(2, 3)
    n = draws.whole(len(x))
    chance = draws.rows(torch.rand(7, n, 1, 1, 1, generator=generator), 1).to(x.device)
    values = x.float()
    values = torch.where(chance[0] < COARSE_SHARE, coarse_colour(values), values)
    gain = 1 - 0.5 * chance[2]
    values = torch.where(chance[1] < FLATTER_SHARE, values * gain + 255 * (1 - gain) * chance[3], values)
    noise = NOISE * chance[5] * draws.rows(torch.randn(n, *x.shape[1:], generator=generator)).to(x.device)
    values = torch.where(chance[4] < NOISY_SHARE, values + noise, values)
    values = torch.where(chance[6] < GREY_SHARE, values[:, 1:2], values)
    return torch.floor(values + 0.5).clamp(0, 255).to(torch.uint8)


def by_name(ys: Sequence[Tensor]) -> dict[str, Tensor]:
    """[x, y_1, ..., y_K] by their variables' names."""
    return {("x" if k == 0 else f"y{k}"): y for k, y in enumerate(ys)}


def with_transformations(images: np.ndarray, transformation: str, levels: int) -> list[np.ndarray]:
    """[x, y_1, ..., y_K], each uint8 (N, H, W, C)."""
    transform = get_transform(transformation)
    ys = [images]
    for _ in range(levels):
        ys.append(transform(ys[-1]))
    return ys


def finished() -> float:
    """The share of a training's time that is over, where there is no training."""
    return 1.0


@dataclass
class Place:
    """Where random batches are in the order of their images.

    Attributes:
        order: the images of this round by index, (N,); empty before the first one.
        served: so many of them have been.
    """

    order: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    served: int = 0


class Images(Protocol):
    """x and all y_k, served in batches [x, y_1, ..., y_K] of float tensors (B, C, H, W), integers 0..255.

    Attributes:
        sizes: (H, W) of x, all that there are.
        device: where the tensors are.
    """

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]: ...

    @property
    def device(self) -> torch.device: ...

    def __len__(self) -> int: ...

    def batch(self, index: Tensor) -> list[Tensor]:
        """Images by index."""

    def random_batches(
        self,
        size: int,
        generator: torch.Generator,
        fraction: Callable[[], float] = finished,
        place: Place | None = None,
    ) -> Iterator[list[Tensor]]:
        """Endless random batches, of each this process's rows (see `selfcodec.models.draws`).

        Args:
            size: images of a whole batch, or so many.
            generator: of their order and variations.
            fraction: tells how much of the training's time is over.
            place: where to go on in the order of the images, and what follows it; at its beginning by default.
        """

    def batches(self, size: int) -> Iterator[list[Tensor]]:
        """All images once, in order."""


def as_batch(images: UInt8, transformation: str, levels: int, device: torch.device) -> list[Tensor]:
    """Images (B, H, W, 3) with their y as a batch, see `Images`."""
    ys = with_transformations(np.ascontiguousarray(images), transformation, levels)
    return [torch.from_numpy(y).to(device).permute(0, 3, 1, 2).float() for y in ys]


@dataclass
class ImageSet:
    """x and all y_k on one device, uint8 (N, C, H, W), served in random batches.

    With `affine` and `augment` random batches are varied (see `moved` and `augmented`), and their y computed from the
    varied x.
    """

    ys: list[Tensor]
    transformation: str
    augment: bool = False
    affine: bool = False

    @staticmethod
    def build(
        images: np.ndarray,
        transformation: str,
        levels: int,
        *,
        flip: bool,
        device: torch.device,
        augment: bool = False,
        affine: bool = False,
    ) -> ImageSet:
        """The set of images (N, H, W, 3), uint8, and with `flip` of their mirror images.

        Raises:
            InputError: there is no such transformation, or the images are not as it takes them.
        """
        if flip:  # mirrored before the transformations, which need not commute with mirroring
            images = np.concatenate([images, images[:, :, ::-1]])
        ys = with_transformations(np.ascontiguousarray(images), transformation, levels)
        tensors = [torch.from_numpy(y.transpose(0, 3, 1, 2).copy()).to(device) for y in ys]
        return ImageSet(tensors, transformation, augment, affine)

    def __len__(self) -> int:
        return len(self.ys[0])

    def spread(self, count: int) -> ImageSet:
        """At most so many of the images, from all over the set."""
        return replace(self, ys=[y[:: -(-len(self) // count)] for y in self.ys])

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        return ((self.ys[0].shape[2], self.ys[0].shape[3]),)

    @property
    def device(self) -> torch.device:
        return self.ys[0].device

    def batch(self, index: Tensor) -> list[Tensor]:
        """Images by index, float tensors of integers 0..255."""
        return [y[index].float() for y in self.ys]

    def random_batches(
        self,
        size: int,
        generator: torch.Generator,
        fraction: Callable[[], float] = finished,
        place: Place | None = None,
    ) -> Iterator[list[Tensor]]:
        """Endless batches, whatever the time; every image once before any image twice.

        Raises:
            InputError: one batch is more than all images.
        """
        if not 0 < size <= len(self):
            raise InputError(f"a batch of {size} cannot be drawn from {len(self)} images: use more images")
        place = place or Place()
        varied = self.augment or self.affine
        while True:
            if len(place.order) != len(self) or place.served + size > len(self):
                place.order, place.served = torch.randperm(len(self), generator=generator), 0
            chosen = draws.rows(place.order[place.served : place.served + size]).to(self.device)
            place.served += size
            yield self._varied(chosen, generator) if varied else self.batch(chosen)

    def _varied(self, index: Tensor, generator: torch.Generator) -> list[Tensor]:
        x = self.ys[0][index]
        if self.affine:
            x = moved(x, generator)
        if self.augment:
            x = augmented(x, generator)
        return as_batch(x.cpu().numpy().transpose(0, 2, 3, 1), self.transformation, len(self.ys) - 1, self.device)

    def batches(self, size: int) -> Iterator[list[Tensor]]:
        """All images once, in order."""
        for start in range(0, len(self), size):
            yield self.batch(torch.arange(start, min(start + size, len(self)), device=self.ys[0].device))
