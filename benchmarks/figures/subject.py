"""What a figure of the paper is drawn of: a model, and test images of the kind that it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.sources import load_pictures, load_test_split
from selfcodec.errors import InputError
from selfcodec.models.config import Recipe
from selfcodec.models.recipe import parse_recipe_dict
from selfcodec.zoo import MANIFEST, Model, find_model, read_manifest

SPREAD = 4000
"""Images are taken evenly from the first so many of a data set, since some are sorted by class."""


@dataclass(frozen=True)
class Subject:
    """A model and its images, or images alone; both are loaded when they are first asked for.

    Attributes:
        name: name or folder of the model; "" for none, whose figures ask for no more than images.
        dataset: as of `load_pictures`; "" for the test split of that which the model was trained on.
    """

    name: str
    dataset: str = ""

    @property
    def title(self) -> str:
        """Return what the model's pictures are called by."""
        return Path(self.name).name

    @cached_property
    def model(self) -> Model:
        """The model."""
        return find_model(self.name)

    @cached_property
    def recipe(self) -> Recipe:
        """The model's recipe; InputError where its manifest has none."""
        folder = Path(self.model.where).parent
        return parse_recipe_dict(read_manifest(folder).get("recipe"), str(folder / MANIFEST))

    @property
    def side(self) -> int:
        """Return the side of the model's training images in pixels."""
        return self.recipe.train.patch

    def images(self, count: int, side: int = 0, *, least: int = 0) -> list[UInt8]:
        """Return test images, each (side, side, 3); those of other sizes are cut to squares and resized.

        Args:
            count: images.
            side: in pixels; 0 for the model's own.
            least: so many are enough; 0 for `count`.

        Raises:
            InputError: the data set is not there, or smaller, or has no test split.
        """
        side = side or self.side
        dataset = self.dataset or self.recipe.train.dataset
        load = load_pictures if self.dataset else load_test_split
        found = list(load(dataset, SPREAD).values())
        if len(found) < (least or count):
            raise InputError(f"data set {dataset!r}: has {len(found)} images, where {least or count} are shown")
        count = min(count, len(found))
        chosen = (found[i * len(found) // count] for i in range(count))
        return [np.asarray(ImageOps.fit(Image.fromarray(image), (side, side))) for image in chosen]
