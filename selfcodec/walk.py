"""The walk along the schedule that encoder, decoder, sampler and reconstruction share.

At each step the network gives the target's distributions from its parents; a target that is sent goes through the
coder, any other is filled in. Whether values come from an image, a stream or chance is the coder's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from selfcodec.arrays import Int64
from selfcodec.coding.coder import ByteCoder, Decoder, Encoder, Mean
from selfcodec.coding.mixture import WINDOW
from selfcodec.coding.tables import QUALITY_BITS, load_tables
from selfcodec.fixed_point import ACTIVATION_MAX, INPUT_FRACTION, LATENT_FRACTION, PARAM_FRACTION, requantise_
from selfcodec.format.container import DEFAULT_QUALITY
from selfcodec.likelihoods.context.coder import ContextCoder, feature_rows
from selfcodec.likelihoods.latent import CENTRE, LATENT_BITS, latent_mixture
from selfcodec.likelihoods.layout import PIXEL_BITS, WINDOW_BELOW, known_sum_phase, phase_offsets
from selfcodec.likelihoods.phases import pixel_mixture
from selfcodec.networks import flow
from selfcodec.networks.integer import Runtime
from selfcodec.schedule import Step, Variable
from selfcodec.zoo import Model

NEUTRAL = 128
"""Grey level that networks see as 0, as beyond an image's border."""
FLAG = 1 << INPUT_FRACTION
"""The number 1 as a network's input."""

_COEFFICIENT_DROP = PARAM_FRACTION - PIXEL_BITS


def extent(size: tuple[int, int], variable: Variable) -> tuple[int, int]:
    """Height and width of a variable for an image of that size; half positions count as whole ones."""
    return (-(-size[0] >> variable.scale), -(-size[1] >> variable.scale))


@dataclass
class Walk:
    """One walk, for a batch of images of equal size.

    Attributes:
        model: the model.
        size: (height, width) of x.
        sent: names of the variables that go through the coder.
        coder: for what is sent.
        fill: for what is not.
        quality: 1..100, scales the latents' grids.
        grey: the three colour channels are equal, so that only the first is coded.
        truth: on the encoder's side x and all y, int64 (B, C, h, w); empty otherwise.
    """

    model: Model
    size: tuple[int, int]
    batch: int
    sent: frozenset[str]
    coder: ByteCoder
    fill: ByteCoder
    quality: int
    grey: bool
    runtime: Runtime
    truth: Mapping[str, Int64] = field(default_factory=dict)
    values: dict[str, Int64] = field(default_factory=dict)

    def step(self, step: Step) -> None:
        """Codes or fills in one variable; its parents must have been walked."""
        if step.target.kind == "latent":
            self.values[step.name] = self._latent(step)
        else:
            self.values[step.name] = self._pixels(step)

    def run(self) -> Int64:
        """All steps; returns x, int64 (B, 3, H, W), values 0..255."""
        for step in self.model.steps:
            self.step(step)
        return self.values["x"]

    # Network inputs.

    def _padded(self, scale: int) -> tuple[int, int]:
        pad = self.model.padding
        return tuple((-(-n // pad) * pad) >> scale for n in self.size)  # type: ignore[return-value]

    def _input(self, variable: Variable, values: Int64) -> Tensor:
        """A variable's values as a network input, zero beyond its extent; float32 (B, C, h, w)."""
        h, w = self._padded(variable.scale)
        x = torch.zeros(values.shape[0], values.shape[1], h, w)
        inner = torch.from_numpy(values)
        inner = inner - NEUTRAL if variable.kind == "pixels" else flow.latent_input(inner)
        x[:, :, : values.shape[2], : values.shape[3]] = inner
        return x

    def _network(self, name: str, *inputs: Tensor) -> Int64:
        return self.model.nets[name](*inputs, runtime=self.runtime).cpu().numpy()

    def _inputs(self, step: Step) -> list[Tensor]:
        return [self._input(parent, self.values[parent.name]) for parent in step.parents]

    # Latents.

    def _latent(self, step: Step) -> Int64:
        """int64 (B, C, h, w) in 2**-12."""
        h, w = extent(self.size, step.target)
        c, n = step.target.channels, step.target.channels * h * w
        logits, means, log_scales = (p.reshape(self.batch, n, -1) for p in self._gaussians(step, h, w))
        sent = step.name in self.sent
        scale = int(load_tables().quality[self.quality if sent else DEFAULT_QUALITY])
        grid = [
            max(1, (s * scale + (1 << (QUALITY_BITS - 1))) >> QUALITY_BITS) for s in self.model.spec.steps[step.name]
        ]
        steps = np.broadcast_to(np.array(grid)[None, :, None], (self.batch, c, h * w)).reshape(self.batch, n)
        mixture, centre = latent_mixture(logits, means, log_scales, steps)
        if not sent and isinstance(self.fill, Mean):
            v = mixture.mean() >> (LATENT_BITS - LATENT_FRACTION)
        else:
            target = None
            if sent and self.truth:
                index = (2 * self._inferred(step).reshape(self.batch, n) + steps) // (2 * steps)
                target = np.clip(index - centre + CENTRE, 0, 255)
            v = ((self.coder if sent else self.fill).code(mixture, target) + centre - CENTRE) * steps
        v = v.reshape(self.batch, c, h, w)
        if step.parents:
            return v
        return flow.forward_map(torch.from_numpy(v), self.model.couplings, self.runtime).numpy()

    def _gaussians(self, step: Step, h: int, w: int) -> tuple[Int64, Int64, Int64]:
        """Logits, means and log-scales of a latent's prior, each (B, C, h, w, M), in 2**-10."""
        c = step.target.channels
        if step.parents:
            params = self._network(f"p_{step.name}", *self._inputs(step))[:, :, :h, :w, None]
            return np.zeros_like(params[:, :c]), params[:, :c], params[:, c:]
        base = (np.array(self.model.spec.base[key], dtype=np.int64).T for key in ("logits", "means", "log_scales"))
        logits, means, log_scales = (
            np.broadcast_to(b[None, :, None, None], (self.batch, c, h, w, b.shape[1])) for b in base
        )
        return logits, means, log_scales

    def _inferred(self, step: Step) -> Int64:
        """The posterior's mean, of u in the base space; int64 (B, C, h, w) in 2**-12."""
        assert step.inferred_from is not None
        source = next(s.target for s in self.model.steps if s.name == step.inferred_from)
        out = self._network(f"q_{step.name}", self._input(source, self.truth[source.name]))
        h, w = extent(self.size, step.target)
        mean = out[:, : step.target.channels, :h, :w] << (LATENT_FRACTION - PARAM_FRACTION)
        if step.parents:
            return mean
        return flow.inverse_map(torch.from_numpy(mean.copy()), self.model.couplings, self.runtime).numpy()

    # Pixel variables.

    def _pixels(self, step: Step) -> Int64:
        """int64 (B, C, h, w), values 0..255."""
        if self.model.spec.block:
            return self._in_context(step)
        phases, sent = self.model.spec.phases, step.name in self.sent
        offsets, cell = phase_offsets(phases), 1 if phases == 1 else 2
        withheld = not sent and isinstance(self.fill, Mean)
        x = self._features(step)
        base = self._base(step, (x.shape[2], x.shape[3]), cell)
        size = extent(self.size, step.target)
        out = np.empty((self.batch, step.target.channels, *size), dtype=np.int64)
        parts: list[Int64] = []
        for i, (row, column) in enumerate(offsets):
            inputs = [x, self._context(parts, withheld)] if i else [x]
            params = self._network(f"p_{step.name}_{i}", *inputs)
            rest = known_sum_phase(i, phases, self.model.spec.known_sum) and self._has_sum(step) and not withheld
            centre = 4 * base - sum(parts) if rest else base
            target = self.truth[step.name][:, :, row::cell, column::cell] if sent and self.truth else None
            inner = (-(-(size[0] - row) // cell), -(-(size[1] - column) // cell))
            part = self._phase(step, params, centre, target, inner, known=rest)
            out[:, :, row::cell, column::cell] = part[:, :, : inner[0], : inner[1]]
            parts.append(part)
        return out

    def _features(self, step: Step) -> Tensor:
        """The trunk's output as an input of heads, float32 (B, F, h, w)."""
        features = self.model.nets[f"p_{step.name}"].floats(*self._inputs(step), runtime=self.runtime)
        return requantise_(features, PARAM_FRACTION - INPUT_FRACTION, ACTIVATION_MAX)

    def in_context(self, step: Step) -> ContextCoder:
        """What codes a pixel variable in the context of neighbours."""
        fallback = self._base(step, extent(self.size, step.target), 1)
        return ContextCoder(
            self.model.heads[f"p_{step.name}_0"],
            self.model.layout(step),
            (extent(self.size, step.target),) * self.batch,
            feature_rows(self._features(step)),
            fallback.astype(np.uint8),
            self.model.spec.block,
            self.grey and step.target.channels > 1,
        )

    def _in_context(self, step: Step) -> Int64:
        """int64 (B, C, h, w), pixel by pixel."""
        coding, coder = self.in_context(step), self.coder if step.name in self.sent else self.fill
        if isinstance(coder, Decoder):
            return coding.decode(coder).astype(np.int64)
        if isinstance(coder, Encoder):
            truth = self.truth[step.name]
            coding.encode(coder, truth.astype(np.uint8))
            return truth
        return coding.expect().astype(np.int64)

    @staticmethod
    def _context(parts: list[Int64], withheld: bool) -> Tensor:
        values = torch.from_numpy(np.concatenate(parts, 1) - NEUTRAL).float()
        flag = torch.full_like(values[:, :1], FLAG)
        context = torch.cat([values, flag], 1)
        return torch.zeros_like(context) if withheld else context

    @staticmethod
    def _has_sum(step: Step) -> bool:
        return step.parents[0].kind == "pixels"

    def _base(self, step: Step, size: tuple[int, int], cell: int) -> Int64:
        """What means are relative to, (B, C, h, w) at the networks' resolution."""
        parent, shape = step.parents[0], (self.batch, step.target.channels, *size)
        base = np.full(shape, NEUTRAL, dtype=np.int64)
        if parent.kind == "latent" or self.model.spec.shape.factor == 1 or parent.channels != step.target.channels:
            return base
        times = self.model.spec.shape.factor // cell
        y = self.values[parent.name].repeat(times, 2).repeat(times, 3)[:, :, : size[0], : size[1]]
        base[:, :, : y.shape[2], : y.shape[3]] = y
        return base

    def _phase(
        self,
        step: Step,
        params: Int64,
        centre: Int64,
        target: Int64 | None,
        inner: tuple[int, int],
        *,
        known: bool,
    ) -> Int64:
        """One phase's values (B, C, h, w), `centre` beyond `inner`; channel after channel.

        With `known`, `centre` is what the known sum leaves, and only the values in a window around it can occur.
        At an odd edge d repeats the last column; with y for what is missing there, the known sum still holds.
        """
        layout, (h, w) = self.model.layout(step), inner
        out = centre.copy()
        coder = self.coder if step.name in self.sent else self.fill
        if not h or not w:
            return out
        for c in range(layout.channels):
            if c and self.grey and layout.channels > 1:
                out[:, c] = out[:, 0]
                continue
            mean = (centre[:, c : c + 1] << PIXEL_BITS) + params[:, layout.means(c)]
            for e in range(c):
                residual = out[:, e : e + 1] - centre[:, e : e + 1]
                product = params[:, layout.coefficients(c, e)] * residual
                mean = mean + ((product + (1 << (_COEFFICIENT_DROP - 1))) >> _COEFFICIENT_DROP)
            logits, log_scales = params[:, layout.logits(c)], params[:, layout.log_scales(c)]
            window = None
            if known:
                lowest = np.clip(centre[:, c, :h, :w] - WINDOW_BELOW, 0, 256 - WINDOW)
                window = lowest.reshape(self.batch, -1)
            rows = [self._rows(p[:, :, :h, :w]) for p in (logits, mean, log_scales)]
            mixture = pixel_mixture(rows[0], rows[1], rows[2], window)
            values = None if target is None else target[:, c, :h, :w].reshape(self.batch, -1)
            out[:, c, :h, :w] = coder.code(mixture, values).reshape(self.batch, h, w)
        return out

    @staticmethod
    def _rows(p: Int64) -> Int64:
        """(B, M, h, w) to (B, h w, M)."""
        return np.ascontiguousarray(p.reshape(p.shape[0], p.shape[1], -1).transpose(0, 2, 1))


def run_together(walks: Sequence[Walk], coder: ByteCoder, fill: ByteCoder) -> list[Int64]:
    """All steps of several batches, images of different sizes; returns every batch's x, int64 (B, 3, H, W).

    What is read in context takes one wavefront for all of them.

    Args:
        walks: batches of one model with the same variables sent.
        coder, fill: of all images of all batches, in order; each walk has its part of them.
    """
    model, sent = walks[0].model, walks[0].sent
    for step in model.steps:
        reader = coder if step.name in sent else fill
        if not (step.target.kind == "pixels" and model.spec.block and isinstance(reader, Decoder)):
            for walk in walks:
                walk.step(step)
            continue
        values = ContextCoder.joined([walk.in_context(step) for walk in walks]).decode(reader).astype(np.int64)
        for walk in walks:
            h, w = extent(walk.size, step.target)
            walk.values[step.name], values = values[: walk.batch, :, :h, :w], values[walk.batch :]
    return [walk.values["x"] for walk in walks]
