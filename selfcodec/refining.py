"""Latents refined for one image: gradient steps on its own rate and distortion before it is coded.

An encoder network gives in one pass what is good for images on average. The very loss that it was trained by can be
lowered further for the image at hand, by moving its latents (Campos et al. 2019, https://arxiv.org/abs/1906.01200);
rounding is annealed meanwhile, between the two nearest points of the grid (Yang et al. 2020,
https://arxiv.org/abs/2006.04240). Decoders know nothing of it. All of this is in real numbers, so that files made with
an effort may differ between machines; what they decode to does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from selfcodec.arrays import Int32, Integers, UInt8
from selfcodec.coding.coder import Encoder
from selfcodec.fixed_point import ACTIVATION_MAX, INPUT_FRACTION, LATENT_FRACTION, PARAM_FRACTION
from selfcodec.likelihoods.groups import LOG_SCALE_UNIT, Groups
from selfcodec.likelihoods.layout import MEAN_UNIT, NEUTRAL
from selfcodec.networks.fields import Span
from selfcodec.networks.real import RealGraph
from selfcodec.spec import trade_of
from selfcodec.walk import Batch, Means, Sent, Values, walk
from selfcodec.zoo import Model

STEPS = (0, 6, 10, 15, 22, 32, 46, 64, 90, 120)
"""Gradient steps of every effort 0..9."""
RATE = 0.03
"""Adam's learning rate, in widths of the grid."""
HOTTEST, COLDEST = 1.0, 0.2
"""The temperature at which rounding is drawn falls from the one to the other."""
INSIDE = 0.45
"""A point starts at most so far from the grid point that it would be coded as."""
WINDOW, MARGIN = 32, 6
"""So many positions of z in each direction are refined together, and so many around them are seen; both even, since
u has half as many."""
_MOST = ACTIVATION_MAX / 2**INPUT_FRACTION
_LEAST_SCALE = math.exp(-3.0)


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

    @property
    def rounding(self) -> float:
        """The thrift with which what is sent is rounded: refined latents are near the points that they stand for."""
        return self.thrift / 2 if self.effort else self.thrift


USUAL = Work()
"""What an encoder does where nothing else is asked for."""


def can_refine(model: Model) -> bool:
    """Whether a model has what is refined: a z by groups of channels, and a picture that a network makes of it."""
    return model.levels == 1 and isinstance(model.likelihoods["z1"], Groups) and bool(model.spec.planes)


class _Networks:
    """A model's decoder on real numbers, at one quality.

    Attributes:
        width: of the grid, by channel, (C, 1, 1).
    """

    def __init__(self, model: Model, quality: int) -> None:
        groups = model.likelihoods["z1"]
        assert isinstance(groups, Groups)
        self._slices = groups.slices
        self._entropies = [RealGraph(net.net) for net in groups.nets]
        self._synthesis = RealGraph(model.nets["p_x"])
        self.width = _real(groups.widths[quality - 1], LATENT_FRACTION)[:, None, None]
        self._offset = _real(groups.log_scales[quality - 1], PARAM_FRACTION)[:, None, None]
        self._plane = torch.full((1, 1, 1, 1), model.plane(quality) / 2**INPUT_FRACTION)
        self._trade = trade_of(model.plane(quality))

    def loss(self, index: Tensor, part: _Part, thrift: float) -> Tensor:
        """Bits + trade x squared error, summed over a part of an image; `index` is z in widths, (1, C, h, w)."""
        z = (index * self.width).clamp(-_MOST, _MOST)
        picture = NEUTRAL + MEAN_UNIT * self._synthesis(part.y, z, self._plane)
        error = ((picture - part.x).square() * part.known).sum() / 3
        return thrift * self._bits(index, z, part) + self._trade * error

    def _bits(self, index: Tensor, z: Tensor, part: _Part) -> Tensor:
        _, _, h, w = z.shape
        even = ((torch.arange(h)[:, None] + torch.arange(w)) % 2 == 0).float()[None, None]
        bits = z.new_zeros(())
        for group, net in zip(self._slices, self._entropies, strict=True):
            own, before = z[:, group], [z[:, : group.start]] if group.start else []
            for coded, known, flag in ((even, 0 * own, 0 * even), (1 - even, own * even, even)):
                mean, raw = net(part.y, part.u, *before, known, flag, self._plane).chunk(2, 1)
                scale = (LOG_SCALE_UNIT * raw + self._offset[group]).exp().clamp_min(_LEAST_SCALE)
                distance = (index[:, group] - mean / self.width[group]).abs()
                mass = torch.special.ndtr((0.5 - distance) / scale) - torch.special.ndtr((-0.5 - distance) / scale)
                bits = bits - (mass.clamp_min(1e-6).log2() * coded).sum()
        return bits


@dataclass(frozen=True, eq=False)
class _Part:
    """A window of an image, at whole positions of u.

    Attributes:
        x: (1, 3, 16 h, 16 w), grey levels.
        known: 1 where x lies inside the image, else 0, (1, 1, 16 h, 16 w).
        y, u: as networks see them.
    """

    x: Tensor
    known: Tensor
    y: Tensor
    u: Tensor

    @staticmethod
    def cut(batch: Batch, image: UInt8, rows: Span, columns: Span) -> _Part:
        """The rows and columns of z of an image (1, H, W, 3) whose y and u the batch has."""
        step = next(step for step in batch.model.steps if step.name == "z1")
        condition = batch.condition(step)
        y, u = (
            field.box(*((a >> down, b >> down) for a, b in (rows, columns))) / 2**INPUT_FRACTION
            for field, down in zip(condition.inputs, (0, 1), strict=True)
        )
        cell = 1 << step.target.halvings
        x = image[:, rows[0] * cell : rows[1] * cell, columns[0] * cell : columns[1] * cell].transpose(0, 3, 1, 2)
        below, beside = ((b - a) * cell - n for (a, b), n in zip((rows, columns), x.shape[2:], strict=True))
        pad = (0, beside, 0, below)
        shown = torch.from_numpy(x.astype(np.float32))
        return _Part(functional.pad(shown, pad), functional.pad(torch.ones_like(shown[:, :1]), pad), y, u)


def _real(values: Integers, bits: int) -> Tensor:
    return torch.from_numpy(values.astype(np.float32) / np.float32(2**bits))


def _softly_rounded(points: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """Points drawn towards one of their two neighbours, the nearer one more often (Gumbel softmax)."""
    low = points.detach().floor()
    up = (points - low).clamp(1e-4, 1 - 1e-4)
    logits = torch.stack([-torch.atanh(up * 0.999), -torch.atanh((1 - up) * 0.999)]) / temperature
    noise = -torch.log(-torch.log(torch.rand(logits.shape, generator=generator).clamp(1e-9, 1 - 1e-7)))
    share = torch.softmax((logits + noise) / max(2 * temperature, 0.4), 0)
    return low + share[1]


def _steps(nets: _Networks, part: _Part, points: Tensor, work: Work, generator: torch.Generator) -> Iterator[None]:
    """Moves points (1, C, h, w) in place, step by step."""
    points.requires_grad_(True)
    optimizer = torch.optim.Adam([points], lr=RATE)
    count = STEPS[work.effort]
    for i in range(count):
        temperature = max(COLDEST, HOTTEST * (1 - i / count))
        optimizer.param_groups[0]["lr"] = RATE * (1 - i / count)
        optimizer.zero_grad()
        nets.loss(_softly_rounded(points, temperature, generator), part, work.thrift).backward()
        optimizer.step()
        yield


def _spans(extent: int) -> Iterator[tuple[Span, Span]]:
    """Windows along one direction: what is kept of each, and with its margins."""
    for start in range(0, extent, WINDOW):
        stop = min(start + WINDOW, extent)
        yield (start, stop), (max(0, start - MARGIN), min(extent, stop + MARGIN))


def refined(batch: Batch, image: UInt8, truth: Values, sent: Sequence[str], work: Work) -> Int32:
    """The latent z1 of an image, refined, (1, C, h, w), in 2**-12.

    Args:
        batch: of the one image, of a model that can be refined; nothing of it has been walked.
        image: (1, H, W, 3).
        truth: what would be sent without refining.
        sent: the variables that are.
        work: the effort.
    """
    plain = replace(batch, values={})
    kept = {name: values.copy() for name, values in truth.items()}  # coding may overwrite it
    coded = Sent(Encoder(1), kept, {"z1": batch.quality}, work.thrift)
    walk([plain], {name: coded if name in sent else Means() for name in ("u", "y1", "z1")})
    nets = _Networks(batch.model, batch.quality)
    (h, w), (height, width) = truth["z1"].shape[2:], batch.padded("z1")
    whole = functional.pad(_real(truth["z1"], LATENT_FRACTION) / nets.width, (0, width - w, 0, height - h))
    rounded = (_real(plain.values["z1"], LATENT_FRACTION) / nets.width).round()
    start = functional.pad(rounded, (0, width - w, 0, height - h))
    whole = start + (whole - start).clamp(-INSIDE, INSIDE)
    boxes = [(rows, columns) for rows in _spans(height) for columns in _spans(width)]
    done, total, generator = 0, STEPS[work.effort] * len(boxes), torch.Generator().manual_seed(0)
    for (rows, outer_rows), (columns, outer_columns) in boxes:
        points = whole[:, :, slice(*outer_rows), slice(*outer_columns)].clone()
        part = _Part.cut(plain, image, outer_rows, outer_columns)
        for _ in _steps(nets, part, points, work, generator):
            done += 1
            work.report(done / total)
        inner = points.detach()[:, :, rows[0] - outer_rows[0] :, columns[0] - outer_columns[0] :]
        whole[:, :, slice(*rows), slice(*columns)] = inner[:, :, : rows[1] - rows[0], : columns[1] - columns[0]]
    found: Int32 = (whole[:, :, :h, :w] * nets.width * 2**LATENT_FRACTION).round().int().numpy()
    return found
