"""The images that a recipe trains on, and those held out, as its `[train.images]` has them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from selfcodec.errors import MissingDataError
from selfcodec.models.config import Recipe
from selfcodec.models.crops import CropSet, held_out_crops, image_paths, split_paths
from selfcodec.models.data import Images, ImageSet, training_images
from selfcodec.models.datasets import read_images, stands_for
from selfcodec.models.training_config import CropsConfig

CALIBRATION_IMAGES = 2048
"""Exported models are calibrated on at most so many images."""
MEASURED_IMAGES = 200
"""They are measured on at least so many held-out images, in even steps; on all where fewer than twice as many are."""
CPU = torch.device("cpu")


def of_folder(recipe: Recipe, data: Path | None) -> Recipe:
    """The recipe as it is trained: where a folder stands for its data sets, with that folder's name for theirs."""
    if data is None or not stands_for(data, recipe.train.dataset.split("+")):
        return recipe
    return replace(recipe, train=replace(recipe.train, dataset=data.resolve().name))


def _crops(recipe: Recipe, config: CropsConfig, data: Path | None, device: torch.device) -> tuple[CropSet, ImageSet]:
    t, m = recipe.train, recipe.model
    paths, held_out = split_paths(image_paths(t, data), config.held_out)
    crops = CropSet(
        [image for _, image in read_images(paths)],
        t.patch,
        m.transformation,
        m.levels,
        t.flip,
        t.augment,
        device,
        config,
    )
    shown = held_out_crops([image for _, image in read_images(held_out)], t.patch)
    return crops, ImageSet.build(shown, m.transformation, m.levels, flip=False, device=device)


def training_sets(recipe: Recipe, data: Path | None, device: torch.device) -> tuple[Images, ImageSet]:
    """Images to train on and those held out.

    Args:
        recipe: names the data sets.
        data: root of the data sets, or a folder of images; `data_root()` by default.
        device: where batches are served.

    Raises:
        InputError: nothing is there, or not enough.
    """
    t, m = recipe.train, recipe.model
    if isinstance(t.images, CropsConfig):
        return _crops(recipe, t.images, data, device)
    images, held_out = training_images(t, data)
    return (
        ImageSet.build(
            images, m.transformation, m.levels, flip=t.flip, device=device, augment=t.augment, affine=t.affine
        ),
        ImageSet.build(held_out, m.transformation, m.levels, flip=False, device=device),
    )


def calibration_sets(recipe: Recipe, data: Path | None) -> tuple[Images | None, ImageSet | None]:
    """Images to calibrate on, from all over the training set, and held-out ones; None where there is no data set.

    Raises:
        InputError: `data` is given and has no images; or images are there, but damaged or too few.
    """
    t, m = recipe.train, recipe.model
    try:
        if isinstance(t.images, CropsConfig):
            return _crops(recipe, t.images, data, CPU)
        images, held_out = training_images(t, data)
    except MissingDataError:
        if data is not None:
            raise
        return None, None
    some = np.linspace(0, len(images) - 1, min(len(images), CALIBRATION_IMAGES)).astype(int)
    calibration, measured = (
        ImageSet.build(chosen, m.transformation, m.levels, flip=False, device=CPU)
        for chosen in (images[some], held_out[:: max(1, len(held_out) // MEASURED_IMAGES)])
    )
    return calibration, measured
