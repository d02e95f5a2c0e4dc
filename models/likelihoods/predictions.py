"""Linear predictions for training, by the codec's own loop."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from selfcodec.arrays import Float32, Int64, UInt8
from selfcodec.fixed_point import INPUT_FRACTION
from selfcodec.likelihoods.context import predicting
from selfcodec.likelihoods.context.neighbours import Scene
from selfcodec.likelihoods.context.order import wavefront
from selfcodec.likelihoods.layout import ACTIVITY_MEAN_UNIT, ACTIVITY_UNIT, prediction_inputs
from selfcodec.models.distributions import Centre
from selfcodec.parallel import mapped


def _of_image(plane: UInt8, bases: Int64, activity: Int64, out: Float32) -> None:
    """Sets a head's inputs (H, W, N) of one image from its plane and bases (H, W, C) and its activity (H, W)."""
    height, width, channels = plane.shape
    order = wavefront(((height, width),), max(height, width))
    rows, columns = order.places[:, 1], order.places[:, 2]
    nothing = np.empty((1, height, width, 0))
    scene = Scene(plane[None], np.array([width]), plane[None], nothing.astype(np.int16), max(height, width))
    predictor = predicting.blank(1, channels, height, width, int(np.diff(order.starts).max()))
    inputs = np.empty((height * width, out.shape[2]), dtype=np.float32)
    predicting.foresee(
        scene,
        order.places,
        order.starts,
        bases[rows, columns],
        activity[rows, columns],
        plane[rows, columns].astype(np.int64),
        True,
        predictor,
        inputs,
    )
    out[rows, columns] = inputs


@torch.no_grad()
def predictions_of(x: Tensor, centre: Centre, withheld: Tensor) -> Tensor:
    """A context head's inputs (B, layout.prediction_inputs(C), H, W) of predictions, zero where withheld.

    They are learned over the whole image, where the codec begins anew in every tile.

    Args:
        x: (B, C, H, W), grey levels.
        centre: as from `context_of`.
        withheld: (B,) bool, images whose neighbours are hidden.
    """
    b, c, h, w = x.shape
    planes = x.to("cpu", torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()  # (B, H, W, C)
    bases = centre.base.to("cpu", torch.int64).permute(0, 2, 3, 1).numpy()  # (B, H, W, C)
    units = torch.as_tensor(centre.unit)[:, 0].cpu() / ACTIVITY_MEAN_UNIT  # (B, H, W)
    activity = (torch.log2(units).round().long() + ACTIVITY_UNIT).numpy()
    inputs = np.zeros((b, h, w, prediction_inputs(c)), dtype=np.float32)
    images = zip(planes, bases, activity, inputs, withheld.tolist(), strict=True)
    for _ in mapped([partial(_of_image, *image) for *image, hidden in images if not hidden]):
        pass
    return torch.from_numpy(inputs).to(x).mul_(2.0**-INPUT_FRACTION).permute(0, 3, 1, 2)
