"""The picture that a lossy model's decoder makes of its latents, on real numbers, and the gradient of its error."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from selfcodec.arrays import Float32, UInt8
from selfcodec.fixed_point import INPUT_FRACTION
from selfcodec.likelihoods.layout import MEAN_UNIT, NEUTRAL
from selfcodec.networks.fields import Span
from selfcodec.networks.real import RealGraph
from selfcodec.spec import trade_of
from selfcodec.walk import Batch
from selfcodec.zoo import Model

if hasattr(os, "register_at_fork"):
    # A forked copy of a process has none of its threads. OpenMP would wait for them for ever, unless it needs just one.
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


@dataclass(frozen=True, eq=False)
class Part:
    """A window of an image, at whole positions of u.

    Attributes:
        x: (1, 3, 16 h, 16 w), grey levels.
        known: 1 where x lies inside the image, else 0, (1, 1, 16 h, 16 w).
        y, z: as networks see them.
    """

    x: Tensor
    known: Tensor
    y: Tensor
    z: Tensor

    @staticmethod
    def cut(batch: Batch, image: UInt8, rows: Span, columns: Span) -> Part:
        """The rows and columns of z of an image (1, H, W, 3) whose y and z the batch has."""
        steps = {step.name: step for step in batch.model.steps}
        y, z = (
            torch.from_numpy(field.box(rows, columns)) / 2**INPUT_FRACTION
            for field in batch.condition(steps["x"]).inputs
        )
        cell = 1 << steps["z1"].target.halvings
        x = image[:, rows[0] * cell : rows[1] * cell, columns[0] * cell : columns[1] * cell].transpose(0, 3, 1, 2)
        below, beside = ((b - a) * cell - n for (a, b), n in zip((rows, columns), x.shape[2:], strict=True))
        pad = (0, beside, 0, below)
        shown = torch.from_numpy(x.astype(np.float32))
        return Part(functional.pad(shown, pad), functional.pad(torch.ones_like(shown[:, :1]), pad), y, z)


class Synthesis:
    """The picture that a model's decoder makes of z, on real numbers, and its error's gradient.

    Args:
        model: the model.
        quality: 1..100.
    """

    def __init__(self, model: Model, quality: int) -> None:
        self._net = RealGraph(model.nets["p_x"])
        self._plane = torch.full((1, 1, 1, 1), model.plane(quality) / 2**INPUT_FRACTION)
        self._trade = trade_of(model.plane(quality))

    def gradient(self, part: Part) -> Float32:
        """Of trade x squared error, in bits, by z, (1, C, h, w)."""
        with torch.enable_grad():
            z = part.z.clone().requires_grad_(True)
            picture = NEUTRAL + MEAN_UNIT * self._net(part.y, z, self._plane)
            error = self._trade / 3 * ((picture - part.x).square() * part.known).sum()
            (gradient,) = torch.autograd.grad(error, z)
        return gradient.numpy()
