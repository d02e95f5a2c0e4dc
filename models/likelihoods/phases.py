"""Pixels in phases: the whole variable in one pass, or its four 2x2 sublattices one after another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from selfcodec.likelihoods.layout import PixelLayout, known_sum_phase, phase_offsets
from selfcodec.models.config import ModelConfig, PhasesConfig
from selfcodec.models.distributions import Centre, dmol_log_prob, dmol_mean, dmol_sample
from selfcodec.models.layers import FloatGraph
from selfcodec.models.likelihoods.likelihood import (
    SIDE_BY_SIDE,
    PixelLikelihood,
    Values,
    Withheld,
    network,
    parent_inputs,
    pixel_base,
    pixel_input,
)
from selfcodec.models.networks import Style, phase_head, trunk
from selfcodec.schedule import Step


def _cell(phases: int) -> int:
    """Side of the cells of pixels, of which each phase has one."""
    return 1 if phases == 1 else 2


class Phases(PixelLikelihood[PhasesConfig]):
    """p(pixels | parents): features of the parents, and a head for each phase that also sees the phases before it.

    Attributes:
        layout: of each head's output.
        offsets: (row, column) of each phase in a cell.
        known_sum: whether the parent y leaves the last phase WINDOW values around 4 y minus the other phases.
    """

    kind = "phases"
    tile = SIDE_BY_SIDE

    @classmethod
    def networks(cls, step: Step, own: PhasesConfig, model: ModelConfig) -> dict[str, FloatGraph]:
        c, target = model.blocks, step.target
        style = Style.of(c, c.width, c.blocks, c.finest)
        graph = trunk(style, step.parents, target.halvings + _cell(own.phases) - 1, c.width)
        nets = {f"p_{step.name}": FloatGraph(graph, weight_norm=c.weight_norm, output_scale=1.0)}
        layout, head = PixelLayout(target.channels, own.mixtures), Style.of(c, own.head_width, own.head_blocks)
        for i in range(own.phases):
            graph = phase_head(head, c.width, i * target.channels + 1 if i else 0, layout.size)
            nets[f"p_{step.name}_{i}"] = FloatGraph(graph, weight_norm=c.weight_norm, output_scale=0.05)
        return nets

    def __init__(self, step: Step, own: PhasesConfig, model: ModelConfig, nets: nn.ModuleDict) -> None:
        super().__init__(step, own, model, nets)
        self.layout = PixelLayout(step.target.channels, own.mixtures)
        self.offsets = phase_offsets(own.phases)
        follows = step.parents[0].kind == "pixels" and model.transformation == "downscale"
        self.known_sum = follows and known_sum_phase(own.phases - 1, own.phases, True)
        self._cell = _cell(own.phases)

    # Parts of the computation, phase by phase.

    def split(self, x: Tensor) -> list[Tensor]:
        """The phases of (B, C, H, W), each (B, C, h, w)."""
        return [x[:, :, row :: self._cell, column :: self._cell] for row, column in self.offsets]

    def join(self, parts: list[Tensor]) -> Tensor:
        """The inverse of `split`."""
        if self._cell == 1:
            return parts[0]
        b, c, h, w = parts[0].shape
        out = parts[0].new_empty(b, c, 2 * h, 2 * w)
        for (row, column), part in zip(self.offsets, parts, strict=True):
            out[:, :, row::2, column::2] = part
        return out

    def features(self, values: Values) -> Tensor:
        """What the heads see of the parents, (B, width, h, w)."""
        return network(self._nets, f"p_{self.step.name}")(*parent_inputs(self.step, values))

    def parameters(self, i: int, features: Tensor, earlier: list[Tensor], withheld: Tensor) -> Tensor:
        """Mixture parameters (B, layout.size, h, w) of one phase.

        Args:
            i: the phase.
            features: of the parents.
            earlier: phases decoded before, each (B, C, h, w) in grey levels.
            withheld: (B,) bool, images whose context is hidden.
        """
        net = network(self._nets, f"p_{self.step.name}_{i}")
        if i == 0:
            return net(features).float()
        shown = (~withheld).float()[:, None, None, None]
        context = torch.cat([pixel_input(torch.cat(earlier, 1)), torch.ones_like(earlier[0][:, :1])], 1)
        return net(features, context * shown).float()

    def sum_is_known(self, i: int) -> bool:
        """Whether y and the phases before phase i leave it WINDOW values."""
        return known_sum_phase(i, len(self.offsets), self.known_sum)

    def base(self, values: Values, size: tuple[int, ...]) -> Tensor:
        """What a phase's means are relative to where no other is known; (B, C, h, w) = `size`, grey levels."""
        return pixel_base(self.step, values, size, self._cell)

    def phase_base(self, i: int, base: Tensor, earlier: list[Tensor], withheld: Tensor) -> Tensor:
        """What the phase's means are relative to, (B, C, h, w) in grey levels."""
        if not self.sum_is_known(i):
            return base
        rest = 4 * base - torch.stack(earlier).sum(0)
        return torch.where(withheld[:, None, None, None], base, rest)

    # Whole variables.

    def log_prob(
        self, values: Values, target: Tensor, withheld: Withheld, *, generate: bool
    ) -> tuple[Tensor, Tensor | None]:
        phases, features = self.split(target), self.features(values)
        base = self.base(values, phases[0].shape)
        total = torch.zeros(len(target), device=target.device)
        generated: list[Tensor] = []
        for i, part in enumerate(phases):
            params = self.parameters(i, features, phases[:i], withheld.context)
            centre = Centre(self.phase_base(i, base, phases[:i], withheld.context))
            known = ~withheld.context if self.sum_is_known(i) else None
            total = total + dmol_log_prob(params, part, centre, self.layout, known).sum((1, 2, 3))
            if generate:
                generated.append(dmol_mean(params.detach(), Centre(base), self.layout))
        return total, self.join(generated) if generate else None

    def mean(self, values: Values, shape: tuple[int, ...]) -> Tensor:
        """Every phase's mean without those before it, rounded to grey levels."""
        return self._filled(values, shape, draw=False)

    def sample(self, values: Values, shape: tuple[int, ...]) -> Tensor:
        """Phase after phase, each given those before it."""
        return self._filled(values, shape, draw=True)

    def _filled(self, values: Values, shape: tuple[int, ...], *, draw: bool) -> Tensor:
        batch, channels, height, width = shape
        features = self.features(values)
        base = self.base(values, (batch, channels, height // self._cell, width // self._cell))
        hidden, parts = torch.full((batch,), not draw, device=base.device), list[Tensor]()
        for i in range(len(self.offsets)):
            params = self.parameters(i, features, parts, hidden)
            centre = Centre(self.phase_base(i, base, parts, hidden))
            if draw:
                parts.append(dmol_sample(params, centre, self.layout, known=self.sum_is_known(i)))
            else:
                parts.append(dmol_mean(params, centre, self.layout))
        return self.join(parts)

    def settings(self, errors: Mapping[str, Tensor] | None = None) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "phases": len(self.offsets),
            "mixtures": self.layout.mixtures,
            "known_sum": self.known_sum,
        }
