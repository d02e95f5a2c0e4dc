"""What exporting a model measures on images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from recipe_changes import changed
from trainer_state import CPU

from selfcodec.arrays import UInt8
from selfcodec.models.config import Recipe
from selfcodec.models.data import ImageSet
from selfcodec.models.export import WIDTH_IMAGES, calibrated_widths
from selfcodec.models.selfvae import SelfVAE

pytest_plugins = ("training_fixtures",)
pytestmark = pytest.mark.usefixtures("own_random_numbers")


def test_grid_widths_are_measured_all_over_a_set_that_is_sorted(recipe: Recipe, patches: UInt8) -> None:
    """Of many images of one kind and then as many of another, in either order."""
    torch.manual_seed(1)
    model = SelfVAE(changed(recipe, model={"posterior": {"kind": "gaussian"}}).model)
    kinds = np.zeros((1, 16, 16, 3), np.uint8), patches[64:65, :16, :16]
    widths = []
    for first, second in (kinds, kinds[::-1]):
        images = np.concatenate([first.repeat(WIDTH_IMAGES, 0), second.repeat(WIDTH_IMAGES, 0)])
        sorted_set = ImageSet.build(images, "downscale", 1, flip=False, device=CPU)
        widths.append(calibrated_widths(model, sorted_set, ()))
    for name in ("u", "z1"):
        torch.testing.assert_close(widths[0][name], widths[1][name], rtol=1e-4, atol=0)
