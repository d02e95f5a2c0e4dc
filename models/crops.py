"""Training on random crops of whole images of any sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from selfcodec.arrays import UInt8
from selfcodec.errors import InputError, MissingDataError
from selfcodec.models import draws
from selfcodec.models.budget import in_last
from selfcodec.models.data import Place, as_batch, finished
from selfcodec.models.datasets import data_root, images_below, stands_for
from selfcodec.models.patches import cut
from selfcodec.models.training_config import CropsConfig, TrainConfig

HELD_OUT = 64
"""So many crops, at most, are evaluated on."""
GREY_SHARE = 0.03
"""Such a share of crops is grey, with every channel as the second."""


def image_paths(train: TrainConfig, data: Path | None) -> list[Path]:
    """The images of a recipe's data sets, folders below the root; or of the folder `data` in place of all of them.

    Raises:
        MissingDataError: there are none.
    """
    root, names, found = data or data_root(), train.dataset.split("+"), []
    folders = [root] if stands_for(data, names) else [root / name for name in names]
    for folder in folders:
        images = images_below(folder) if folder.is_dir() else []
        if not images:
            raise MissingDataError(f"{folder}: no images there; put whole photographs into this folder")
        found += images
    return found


def split_paths(paths: list[Path], held_out: tuple[str, ...]) -> tuple[list[Path], list[Path]]:
    """Those to train on and those held out: by parts of their names; where none has one, the last tenth."""
    named = [path for path in paths if any(part in path.name for part in held_out)]
    if not named:
        named = paths[-max(1, len(paths) // 10) :]
    return [path for path in paths if path not in named], named


def held_out_crops(pictures: list[UInt8], side: int) -> UInt8:
    """Crops (N, side, side, 3) side by side, evenly chosen; InputError where no image is as large."""
    crops = np.concatenate([cut(picture, side) for picture in pictures])
    if not len(crops):
        raise InputError(f"no image that is held out has {side}×{side} pixels")
    return crops[np.linspace(0, len(crops) - 1, min(HELD_OUT, len(crops))).astype(int)]


@dataclass
class CropSet:
    """Crops of whole images, the same for the same seed; see `selfcodec.models.data.Images`.

    Every place of every image is as probable. Crops are at random mirrored with `flip`, and with `augment` transposed
    and a few grey.

    Attributes:
        pictures: each (H, W, 3).
        patch: side of a crop.
        config: how crops grow with time.
    """

    pictures: list[UInt8]
    patch: int
    transformation: str
    levels: int
    flip: bool
    augment: bool
    device: torch.device
    config: CropsConfig = field(default_factory=CropsConfig)

    def __post_init__(self) -> None:
        largest = max(side for side, _ in self.sizes)
        self.pictures = [picture for picture in self.pictures if min(picture.shape[:2]) >= self.patch]
        if not any(min(picture.shape[:2]) >= largest for picture in self.pictures):
            raise InputError(f"no image to train on has {largest}×{largest} pixels")
        areas = np.array([picture.shape[0] * picture.shape[1] for picture in self.pictures], dtype=np.float64)
        self._shares = areas / areas.sum()

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        sides = (self.patch, self.config.larger_patch) if self.config.larger_share else (self.patch,)
        return tuple((side, side) for side in sides)

    def __len__(self) -> int:
        """As many as lie side by side."""
        return max(1, sum(picture.shape[0] * picture.shape[1] for picture in self.pictures) // self.patch**2)

    def _extent(self, rng: np.random.Generator, side: int, most: int) -> int:
        """The side in the picture of a crop that becomes `side`; at most `most`."""
        if not self.config.scaled_share or rng.random() >= self.config.scaled_share:
            return side
        return min(most, round(side / rng.uniform(self.config.least_scale, 1)))

    def _crop(self, rng: np.random.Generator, side: int) -> UInt8:
        while True:  # ends, since at least one picture is large enough
            picture = self.pictures[rng.choice(len(self.pictures), p=self._shares)]
            if min(picture.shape[:2]) >= side:
                break
        taken = self._extent(rng, side, min(picture.shape[:2]))
        top, left = (int(rng.integers(extent - taken + 1)) for extent in picture.shape[:2])
        crop = picture[top : top + taken, left : left + taken]
        if taken > side:
            crop = np.asarray(Image.fromarray(crop).resize((side, side), Image.Resampling.BICUBIC))
        mirrored, transposed, grey = rng.random(3) < (0.5, 0.5, GREY_SHARE)
        if self.flip and mirrored:
            crop = crop[:, ::-1]
        if self.augment and transposed:
            crop = crop.transpose(1, 0, 2)
        if self.augment and grey:
            crop = crop[:, :, 1:2].repeat(3, 2)
        return crop

    def _crops(self, seeds: Tensor, side: int) -> list[Tensor]:
        """A batch of one crop by each seed."""
        crops = [self._crop(np.random.default_rng(seed), side) for seed in seeds.tolist()]
        return as_batch(np.stack(crops), self.transformation, self.levels, self.device)

    def batch(self, index: Tensor) -> list[Tensor]:
        """Random crops that are always the same for the same index."""
        return self._crops(index, self.patch)

    def random_batches(
        self,
        size: int,
        generator: torch.Generator,
        fraction: Callable[[], float] = finished,
        place: Place | None = None,
    ) -> Iterator[list[Tensor]]:
        """Endless batches of `size` crops, without an order; in the last share of the time of fewer, larger ones."""
        c = self.config
        while True:
            larger = in_last(c.larger_share, fraction())
            count, side = (c.larger_batch, c.larger_patch) if larger else (size, self.patch)
            yield self._crops(draws.rows(torch.randint(2**62, (count,), generator=generator)), side)

    def batches(self, size: int) -> Iterator[list[Tensor]]:
        for start in range(0, len(self), size):
            yield self.batch(torch.arange(start, min(start + size, len(self))))
