"""Latents refined for one image before they are coded: what rounding has spoilt of the picture is mended by the others.

An encoder network gives in one pass what is good for images on average, and knows nothing of how it will be rounded.
So the picture that a decoder would show is compared with the image, and the gradient of its error moves the latents;
they are rounded anew, weighing bits against errors, and so on: iterative shrinkage and thresholding (Daubechies et al.
2004, https://doi.org/10.1002/cpa.20042) through a network that is not linear (Campos et al. 2019,
https://arxiv.org/abs/1906.01200, descend without the rounding). Decoders know nothing of it. Gradients are real
numbers, so that files made with an effort may differ between machines; what they decode to does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from selfcodec.arrays import Int32, UInt8
from selfcodec.coding.encoder import Encoder
from selfcodec.fixed_point import LATENT_FRACTION
from selfcodec.modes import DEFAULT_QUALITY
from selfcodec.networks.fields import Span
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
    """How hard an encoder works, and what for. Where a model leaves it no choice, it changes nothing.

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


def refined(batch: Batch, image: UInt8, truth: Values, sent: Sequence[str], work: Work) -> Int32:
    """What to send of z1 of an image, before rounding, (1, C, h, w), in 2**-12.

    Args:
        batch: of the one image, of a model that can be refined; nothing of it has been walked.
        image: (1, H, W, 3).
        truth: what would be sent without refining.
        sent: the variables that are.
        work: the effort.
    """
    from selfcodec.synthesis import Part, Synthesis  # here, since loading PyTorch takes longer than coding does

    model, trial = batch.model, replace(batch, values={})
    grid = model.likelihoods["z1"].grid(batch.quality)
    assert grid is not None
    synthesis, points = Synthesis(model, batch.quality), truth["z1"].astype(np.int32)
    stride = np.square(grid[:, None, None].astype(np.float32)) / (2 * STIFFNESS * 2**LATENT_FRACTION)
    names, done = ["u", "y1", "z1"], 0
    _, _, height, width = points.shape
    rows_of, columns_of = (list(_windows(extent)) for extent in batch.padded("z1"))
    boxes = list(product(rows_of, columns_of))
    for _ in range(ROUNDS[work.effort]):
        kept = truth | {"z1": points.copy()}  # coding may overwrite it
        coded = Sent(Encoder(1), kept, {"z1": batch.quality}, work.thrift)
        walk([trial], {name: coded if name in sent else Means() for name in names})
        names = ["z1"]  # the others stay
        for (rows, outer_rows), (columns, outer_columns) in boxes:
            gradient = synthesis.gradient(Part.cut(trial, image, outer_rows, outer_columns))
            inner = gradient[:, :, rows[0] - outer_rows[0] :, columns[0] - outer_columns[0] :]
            place = np.s_[:, :, rows[0] : min(rows[1], height), columns[0] : min(columns[1], width)]
            here = points[place]
            moved = trial.values["z1"][place] - (stride * inner)[:, :, : here.shape[2], : here.shape[3]]
            points[place] = np.rint(MOMENTUM * here + (1 - MOMENTUM) * moved)
            done += 1
            work.report(done / (ROUNDS[work.effort] * len(boxes)))
    return points


def _windows(extent: int) -> Iterator[tuple[Span, Span]]:
    """Cuts height or width into windows: each, and the same with its margins, cropped where the image ends."""
    for start in range(0, extent, WINDOW):
        stop = min(start + WINDOW, extent)
        yield (start, stop), (max(0, start - MARGIN), min(extent, stop + MARGIN))
