"""Latents refined for one image before they are coded: what rounding has spoilt of the picture is mended by the others.

An encoder network gives in one pass what is good for images on average, and knows nothing of how it will be rounded.
So the picture that a decoder would show is compared with the image, and the gradient of its error moves the latents;
they are rounded anew, weighing bits against errors, and so on: iterative shrinkage and thresholding (Daubechies et al.
2004, https://doi.org/10.1002/cpa.20042) through a network that is not linear (Campos et al. 2019,
https://arxiv.org/abs/1906.01200, descend without the rounding). Decoders know nothing of it. Gradients are real
numbers, so that files made with an effort may differ between machines; what they decode to does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from selfcodec.arrays import Int32, UInt8
from selfcodec.coding.coder import Encoder
from selfcodec.fixed_point import INPUT_FRACTION, LATENT_FRACTION
from selfcodec.likelihoods.layout import MEAN_UNIT, NEUTRAL
from selfcodec.modes import DEFAULT_QUALITY
from selfcodec.networks.fields import Span, windows
from selfcodec.networks.real import RealGraph
from selfcodec.spec import trade_of
from selfcodec.walk import Batch, Means, Sent, Values, walk
from selfcodec.zoo import Model

ROUNDS = (0, 1, 2, 3, 4, 6, 8, 12, 18, 28)
"""So often latents are moved and rounded, by effort 0..9."""
STIFFNESS = 10.0
"""The error of a decoder that were linear would grow by so many bits times the square of a step, in grid widths."""
MOMENTUM = 0.5
"""This share of where latents were before is kept."""
WINDOW, MARGIN = 32, 6
"""Gradients are computed for so many positions of z in each direction together, and so many around them are seen; both
even, since u has half as many."""


@dataclass(frozen=True)
class Work:
    """How hard an encoder works, and what for; of models that leave it no choice nothing.

    Attributes:
        effort: 0..9.
        thrift: how much bits count against errors; with 1 as much as when the model was trained.
        report: is told the share of refining that is done.
    """

    effort: int = 0
    thrift: float = 1.0
    report: Callable[[float], None] = lambda share: None


USUAL = Work()
"""What an encoder does where nothing else is asked for."""


def can_refine(model: Model, sent: Sequence[str]) -> bool:
    """Whether a model has, and sends, what is refined: a z on a grid that encoders may choose from."""
    if model.levels != 1 or not model.spec.planes:
        return False
    return "z1" in sent and model.likelihoods["z1"].grid(DEFAULT_QUALITY) is not None


@dataclass(frozen=True, eq=False)
class _Part:
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
    def cut(batch: Batch, image: UInt8, rows: Span, columns: Span) -> _Part:
        """The rows and columns of z of an image (1, H, W, 3) whose y and z the batch has."""
        steps = {step.name: step for step in batch.model.steps}
        y, z = (field.box(rows, columns) / 2**INPUT_FRACTION for field in batch.condition(steps["x"]).inputs)
        cell = 1 << steps["z1"].target.halvings
        x = image[:, rows[0] * cell : rows[1] * cell, columns[0] * cell : columns[1] * cell].transpose(0, 3, 1, 2)
        below, beside = ((b - a) * cell - n for (a, b), n in zip((rows, columns), x.shape[2:], strict=True))
        pad = (0, beside, 0, below)
        shown = torch.from_numpy(x.astype(np.float32))
        return _Part(functional.pad(shown, pad), functional.pad(torch.ones_like(shown[:, :1]), pad), y, z)


class _Synthesis:
    """The picture that a model's decoder makes of z, on real numbers, and its error's gradient.

    Args:
        model: the model.
        quality: 1..100.
    """

    def __init__(self, model: Model, quality: int) -> None:
        self._net = RealGraph(model.nets["p_x"])
        self._plane = torch.full((1, 1, 1, 1), model.plane(quality) / 2**INPUT_FRACTION)
        self._trade = trade_of(model.plane(quality))

    def gradient(self, part: _Part) -> Tensor:
        """Of trade x squared error, in bits, by z, (1, C, h, w)."""
        with torch.enable_grad():
            z = part.z.clone().requires_grad_(True)
            picture = NEUTRAL + MEAN_UNIT * self._net(part.y, z, self._plane)
            error = self._trade / 3 * ((picture - part.x).square() * part.known).sum()
            (gradient,) = torch.autograd.grad(error, z)
        return gradient


def refined(batch: Batch, image: UInt8, truth: Values, sent: Sequence[str], work: Work) -> Int32:
    """What to send of z1 of an image, before rounding, (1, C, h, w), in 2**-12.

    Args:
        batch: of the one image, of a model that can be refined; nothing of it has been walked.
        image: (1, H, W, 3).
        truth: what would be sent without refining.
        sent: the variables that are.
        work: the effort.
    """
    model, trial = batch.model, replace(batch, values={})
    grid = model.likelihoods["z1"].grid(batch.quality)
    assert grid is not None
    synthesis, points = _Synthesis(model, batch.quality), truth["z1"].astype(np.int32)
    stride = torch.from_numpy(grid[:, None, None].astype(np.float32)).square() / (2 * STIFFNESS * 2**LATENT_FRACTION)
    names, done = ["u", "y1", "z1"], 0
    _, _, height, width = points.shape
    rows_of, columns_of = (list(windows((0, extent), WINDOW, MARGIN, extent)) for extent in batch.padded("z1"))
    boxes = list(product(rows_of, columns_of))
    for _ in range(ROUNDS[work.effort]):
        kept = truth | {"z1": points.copy()}  # coding may overwrite it
        coded = Sent(Encoder(1), kept, {"z1": batch.quality}, work.thrift)
        walk([trial], {name: coded if name in sent else Means() for name in names})
        names = ["z1"]  # the others stay
        for (rows, outer_rows), (columns, outer_columns) in boxes:
            gradient = synthesis.gradient(_Part.cut(trial, image, outer_rows, outer_columns))
            inner = gradient[:, :, rows[0] - outer_rows[0] :, columns[0] - outer_columns[0] :]
            place = np.s_[:, :, rows[0] : min(rows[1], height), columns[0] : min(columns[1], width)]
            here = points[place]
            moved = trial.values["z1"][place] - (stride * inner).numpy()[:, :, : here.shape[2], : here.shape[3]]
            points[place] = np.rint(MOMENTUM * here + (1 - MOMENTUM) * moved)
            done += 1
            work.report(done / (ROUNDS[work.effort] * len(boxes)))
    return points
