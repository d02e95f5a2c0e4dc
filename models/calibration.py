"""Fixed-point formats from what a model computes on images, and what rounding to them costs."""

from __future__ import annotations

import torch

from selfcodec.models.data import Images
from selfcodec.models.objectives.objective import Objective
from selfcodec.models.selfvae import SelfVAE

CALIBRATION_BATCHES = 20


def calibrate(objective: Objective, model: SelfVAE, images: Images, generator: torch.Generator, batch: int) -> None:
    """Sets every network's fixed-point formats from the magnitudes seen on some batches."""
    nets = [net for _, net in model.graphs()]
    for net in nets:
        net.observe(True)
    stream = images.random_batches(min(batch, len(images)), generator)
    for _ in range(CALIBRATION_BATCHES):
        objective.exercise(model, next(stream))
    for net in nets:
        net.observe(False)
        net.calibrate(objective.clamp_weight)


def rounding_loss(objective: Objective, model: SelfVAE, images: Images) -> tuple[float, float]:
    """The objective in floating point, and in the integers of the exported networks."""
    rounded = objective.evaluate(model, images).total
    formats = {name: net.formats for name, net in model.graphs()}
    for _, net in model.graphs():
        net.formats = {}
    try:
        return objective.evaluate(model, images).total, rounded
    finally:
        for name, net in model.graphs():
            net.formats = formats[name]
