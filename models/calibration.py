"""Fixed-point formats from what a model computes on images, and what rounding to them costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product

import torch

from selfcodec.models.data import Images, ImageSet
from selfcodec.models.formats import MAX_FRACTION, chosen_groups
from selfcodec.models.layers import FloatGraph
from selfcodec.models.objectives.objective import Objective
from selfcodec.models.selfvae import SelfVAE

CALIBRATION_BATCHES = 20
SEARCH_ROUNDS = 2
"""Formats are looked for so many times, since one node's depends on the others'."""
SEARCHED_PIXELS = 1 << 17
LEAST_COST = 1e-3
"""A network is searched if its rounding makes such a share of the loss."""


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


def search_formats(objective: Objective, model: SelfVAE, images: ImageSet) -> None:
    """Moves fixed-point formats by one bit after another where the objective is less then.

    Formats with the least errors (`calibrate`) are not those with the least loss: this asks for the loss, one group of
    nodes after another, in those networks whose rounding costs any, for SEARCHED_PIXELS of the images. A network takes
    some three evaluations for each of its nodes and round.

    Args:
        objective: what is to be small.
        model: with formats.
        images: to evaluate on; not those on which the result is measured.
    """
    height, width = images.sizes[0]
    images = images.spread(max(1, SEARCHED_PIXELS // (height * width)))
    best = objective.evaluate(model, images).total
    for _, net in model.graphs():
        with _without_rounding([net]):
            exact = objective.evaluate(model, images).total
        if best - exact < LEAST_COST * abs(best):
            continue
        for names, step in SEARCH_ROUNDS * list(product(chosen_groups(net.graph), (1, -1))):
            while 0 <= (bits := net.formats[names[0]] + step) <= MAX_FRACTION:
                before = net.formats
                net.formats = before | dict.fromkeys(names, bits)
                found = objective.evaluate(model, images).total
                if found >= best:
                    net.formats = before
                    break
                best = found


def rounding_loss(objective: Objective, model: SelfVAE, images: Images) -> tuple[float, float]:
    """The objective in floating point, and in the integers of the exported networks."""
    rounded = objective.evaluate(model, images).total
    with _without_rounding([net for _, net in model.graphs()]):
        return objective.evaluate(model, images).total, rounded


@contextmanager
def _without_rounding(nets: Sequence[FloatGraph]) -> Iterator[None]:
    """Within the block networks compute in floating point."""
    formats = [net.formats for net in nets]
    for net in nets:
        net.formats = {}
    try:
        yield
    finally:
        for net, own in zip(nets, formats, strict=True):
            net.formats = own
