"""The self-supervised variational auto-encoder: networks for every factor of the schedule, and its objective."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfcodec.likelihoods.layout import CONTEXT_FOLD, PixelLayout, context_inputs, known_sum_phase, phase_offsets
from selfcodec.models.config import DenseNetConfig, ModelConfig, PhasesConfig, UniformPosteriorConfig
from selfcodec.models.context import MOST, context_of
from selfcodec.models.distributions import (
    Centre,
    dmol_log_prob,
    dmol_mean,
    dmol_sample,
    gaussian_bin_log_prob,
    gaussian_log_prob,
    latent_log_scale,
)
from selfcodec.models.layers import FloatGraph
from selfcodec.models.networks import Style, context_head, encoder, phase_head, trunk
from selfcodec.models.priors import build_prior
from selfcodec.schedule import Shape, Step, build_schedule
from selfcodec.transforms import get_transform

MOST_WIDTH = MOST
"""Of a uniform posterior, so that its noise stays inside what integer networks take. Without a bound the width of a
latent that carries nothing grows for ever, and its readers learn from noise that no file will show them."""
Values = dict[str, Tensor]


def pixel_input(x: Tensor) -> Tensor:
    """Grey levels 0..255 to a network's input."""
    return (x - 128) / 64


@dataclass(frozen=True)
class Withheld:
    """Which images of a batch are trained without what a lossy decoder would not have; all (B,) bool.

    Attributes:
        context: the pixels already decoded are hidden from the likelihood networks.
        truth: generated y take the place of true ones (a subset of `context`).
    """

    context: Tensor
    truth: Tensor

    @staticmethod
    def nothing(batch: int, device: torch.device) -> Withheld:
        none = torch.zeros(batch, dtype=torch.bool, device=device)
        return Withheld(none, none)

    @staticmethod
    def draw(batch: int, device: torch.device, free_share: float, generated_share: float) -> Withheld:
        context = torch.rand(batch, device=device) < free_share
        return Withheld(context, context & (torch.rand(batch, device=device) < generated_share))


class SelfVAE(nn.Module):
    """p(u) p(y_K|u) p(z_K|u,y_K) ... p(x|y_1,z_1) with q(u|y_K) prod_k q(z_k|y_{k-1}) (paper eq. 21, 22).

    x (B,3,H,W) --d--> y1 --d--> ... yK --q--> u
     |                  |
     +--q--> z1         +--q--> z2
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        transform = get_transform(config.transformation)
        shape = Shape(
            config.levels,
            transform.factor,
            transform.channels,
            config.u.channels,
            config.u.down,
            config.z.channels,
            config.z.down,
        )
        self.steps = build_schedule(shape)
        self.shape = shape
        self.known_sum = config.transformation == "downscale"
        self.phases = config.likelihood.phases if isinstance(config.likelihood, PhasesConfig) else 1
        self.in_context = not isinstance(config.likelihood, PhasesConfig)
        self.offsets = phase_offsets(self.phases)
        self.cell = 1 if self.phases == 1 else 2
        self.fold = CONTEXT_FOLD if self.in_context else self.cell
        self.uniform = isinstance(config.posterior, UniformPosteriorConfig)
        self.weight_norm = isinstance(config.network, DenseNetConfig)
        self.nets = nn.ModuleDict()
        self.log_widths = nn.ParameterDict()
        for step in self.steps:
            self._build(step)
        self.prior = build_prior(config.prior, config.u.channels, config.network, weight_norm=self.weight_norm)

    def _net(self, name: str) -> FloatGraph:
        net = self.nets[name]
        assert isinstance(net, FloatGraph)
        return net

    def _build(self, step: Step) -> None:
        c, likelihood, target = self.config.network, self.config.likelihood, step.target
        style = Style.of(c, c.width, c.blocks, c.finest)
        norm = self.weight_norm
        if step.inferred_from is not None:
            source = next(s.target for s in self.steps if s.name == step.inferred_from)
            style_q = Style.of(c, c.encoder_width, c.encoder_blocks)
            outputs = target.channels * (1 if self.uniform else 2)
            graph = encoder(style_q, source, target.halvings, outputs, c.encoder_folds)
            self.nets[f"q_{step.name}"] = FloatGraph(graph, weight_norm=norm, output_scale=3.0)
            if self.uniform:
                self.log_widths[step.name] = nn.Parameter(torch.zeros(target.channels))
        if target.kind == "latent" and step.parents:
            graph = trunk(style, step.parents, target.halvings, 2 * target.channels)
            self.nets[f"p_{step.name}"] = FloatGraph(graph, weight_norm=norm)
        if target.kind == "pixels":
            graph = trunk(style, step.parents, target.halvings + self.fold - 1, c.width)
            self.nets[f"p_{step.name}"] = FloatGraph(graph, weight_norm=norm, output_scale=1.0)
            layout, head = self.layout(step), Style.of(c, likelihood.head_width, likelihood.head_blocks)
            if self.in_context:
                graph = context_head(head, c.width // 4, context_inputs(target.channels), layout.size)
                self.nets[f"p_{step.name}_0"] = FloatGraph(graph, weight_norm=norm, output_scale=0.05)
                return
            for i in range(self.phases):
                context = i * target.channels + 1 if i else 0
                graph = phase_head(head, c.width, context, layout.size)
                self.nets[f"p_{step.name}_{i}"] = FloatGraph(graph, weight_norm=norm, output_scale=0.05)

    def layout(self, step: Step) -> PixelLayout:
        return PixelLayout(step.target.channels, self.config.likelihood.mixtures, self.in_context)

    def graphs(self) -> Iterator[tuple[str, FloatGraph]]:
        """Every network with its name, the prior's couplings included."""
        for name, net in self.nets.items():
            assert isinstance(net, FloatGraph)
            yield name, net
        for i, net in enumerate(getattr(self.prior, "couplings", ())):
            yield f"f_{i}", net

    def pixel_networks(self) -> Iterator[FloatGraph]:
        """The networks of the pixel variables' likelihoods: trunks and heads."""
        steps = [f"p_{step.name}" for step in self.steps if step.target.kind == "pixels"]
        for name, net in self.graphs():
            if any(name == step or name.startswith(f"{step}_") for step in steps):
                yield net

    # Inference.

    def posterior(self, step: Step, source: Tensor) -> tuple[Tensor, Tensor | None]:
        """q's mean and, for the Gaussian family, its log-scale; source in grey levels."""
        out = self._net(f"q_{step.name}")(pixel_input(source)).float()
        if self.uniform:
            return out, None
        mean, raw = out.chunk(2, 1)
        return mean, latent_log_scale(raw)

    def width(self, name: str) -> Tensor:
        """A latent's uniform posterior's width by channel, (C,), at most MOST_WIDTH."""
        return self.log_widths[name].exp().clamp_max(MOST_WIDTH)

    def prior_parameters(self, step: Step, values: Values) -> tuple[Tensor, Tensor]:
        """Mean and log-scale of p(z_k | parents) (paper eq. 15)."""
        mean, raw = self._net(f"p_{step.name}")(*self._inputs(step, values)).float().chunk(2, 1)
        return mean, latent_log_scale(raw)

    def _inputs(self, step: Step, values: Values) -> list[Tensor]:
        return [pixel_input(values[p.name]) if p.kind == "pixels" else values[p.name] for p in step.parents]

    def _latent(self, step: Step, values: Values) -> tuple[Tensor, Tensor]:
        """A posterior sample (B, C, h, w) and its rate log q - log p, (B,) nats."""
        assert step.inferred_from is not None
        mean, log_scale = self.posterior(step, values[f"true {step.inferred_from}"])
        if log_scale is None:
            width = self.width(step.name)[:, None, None]
            noise = width * (torch.rand_like(mean) - 0.5)
            if not step.parents:
                v = self.prior.inverse_map(mean)[0] + noise
                return self.prior.forward_map(v), -self.prior.base_log_prob(v, width).sum((1, 2, 3))
            z = mean + noise
            return z, -gaussian_bin_log_prob(z, *self.prior_parameters(step, values), width).sum((1, 2, 3))
        z = mean + log_scale.exp() * torch.randn_like(mean)
        log_q = gaussian_log_prob(z, mean, log_scale).sum((1, 2, 3))
        if not step.parents:
            return z, log_q - self.prior.log_prob(z)
        return z, log_q - gaussian_log_prob(z, *self.prior_parameters(step, values)).sum((1, 2, 3))

    # Likelihoods of pixel variables.

    def base(self, step: Step, values: Values, size: tuple[int, ...]) -> Tensor:
        """What means are relative to before any phase is known: y where it stands for the cell, else mid-grey."""
        parent = step.parents[0]
        if parent.kind == "latent" or self.shape.factor == 1 or parent.channels != step.target.channels:
            return torch.full(size, 128.0, device=values[parent.name].device)
        y, times = values[parent.name], self.shape.factor // self.cell
        return y.repeat_interleave(times, 2).repeat_interleave(times, 3)

    def phase_parameters(self, step: Step, i: int, features: Tensor, earlier: list[Tensor], withheld: Tensor) -> Tensor:
        """Mixture parameters (B, layout.size, h, w) of one phase.

        Args:
            features: the trunk's output.
            earlier: phases decoded before, each (B, C, h, w) in grey levels.
            withheld: (B,) bool, images whose context is hidden.
        """
        net = self._net(f"p_{step.name}_{i}")
        if i == 0:
            return net(features).float()
        shown = (~withheld).float()[:, None, None, None]
        context = torch.cat([pixel_input(torch.cat(earlier, 1)), torch.ones_like(earlier[0][:, :1])], 1)
        return net(features, context * shown).float()

    def sum_is_known(self, step: Step, i: int) -> bool:
        """Whether y and the phases before phase i leave it WINDOW values."""
        return step.parents[0].kind == "pixels" and known_sum_phase(i, self.phases, self.known_sum)

    def phase_base(self, step: Step, i: int, base: Tensor, earlier: list[Tensor], withheld: Tensor) -> Tensor:
        """What the phase's means are relative to, (B, C, h, w) in grey levels."""
        if not self.sum_is_known(step, i):
            return base
        rest = 4 * base - torch.stack(earlier).sum(0)
        return torch.where(withheld[:, None, None, None], base, rest)

    def _phases(self, x: Tensor) -> list[Tensor]:
        return [x[:, :, r :: self.cell, c :: self.cell] for r, c in self.offsets]

    def _assemble(self, parts: list[Tensor]) -> Tensor:
        if self.cell == 1:
            return parts[0]
        b, c, h, w = parts[0].shape
        out = parts[0].new_empty(b, c, 2 * h, 2 * w)
        for (row, column), part in zip(self.offsets, parts, strict=True):
            out[:, :, row::2, column::2] = part
        return out

    def _pixels(self, step: Step, values: Values, target: Tensor, withheld: Withheld) -> tuple[Tensor, Tensor]:
        """-log p(target | parents), (B,) nats, and the target with generated values where the truth is withheld."""
        if self.in_context:
            return self._pixels_in_context(step, values, target, withheld)
        layout, phases = self.layout(step), self._phases(target)
        features = self._net(f"p_{step.name}")(*self._inputs(step, values))
        base = self.base(step, values, phases[0].shape)
        rate, generated = torch.zeros(len(target), device=target.device), []
        for i, part in enumerate(phases):
            params = self.phase_parameters(step, i, features, phases[:i], withheld.context)
            centre = self.phase_base(step, i, base, phases[:i], withheld.context)
            known = ~withheld.context if self.sum_is_known(step, i) else None
            rate = rate - dmol_log_prob(params, part, Centre(centre), layout, known).sum((1, 2, 3))
            if step.name != "x":
                generated.append(dmol_mean(params.detach(), Centre(base), layout))
        if step.name == "x":
            return rate, target
        return rate, torch.where(withheld.truth[:, None, None, None], self._assemble(generated), target)

    def context_parameters(self, step: Step, values: Values, x: Tensor, withheld: Tensor) -> tuple[Tensor, Centre]:
        """Mixture parameters (B, layout.size, H, W) of every pixel given those before it, and their centre.

        Args:
            x: (B, C, H, W), grey levels.
            withheld: (B,) bool, images whose context is hidden.
        """
        features = F.pixel_shuffle(self._net(f"p_{step.name}")(*self._inputs(step, values)), self.fold)
        inputs, centre = context_of(x, self.base(step, values, x.shape), withheld)
        return self._net(f"p_{step.name}_0")(features, inputs).float(), centre

    def _pixels_in_context(
        self, step: Step, values: Values, target: Tensor, withheld: Withheld
    ) -> tuple[Tensor, Tensor]:
        layout = self.layout(step)
        params, centre = self.context_parameters(step, values, target, withheld.context)
        rate = -dmol_log_prob(params, target, centre, layout).sum((1, 2, 3))
        if step.name == "x":
            return rate, target
        generated = dmol_mean(params.detach(), centre, layout)
        return rate, torch.where(withheld.truth[:, None, None, None], generated, target)

    def forward(self, ys: list[Tensor], withheld: Withheld | None = None) -> dict[str, Tensor]:
        """The objective (paper eq. 11, 23), term by term.

        Args:
            ys: [x, y_1, ..., y_K], each (B, C, H, W), float tensors of integers 0..255.
            withheld: what is hidden in training; nothing by default, which is the lossless code's own objective.

        Returns:
            for each variable in schedule order its rate (B,) in nats: -log p for pixels, log q - log p for latents.
            Their sum is the negative evidence lower bound.
        """
        withheld = withheld or Withheld.nothing(len(ys[0]), ys[0].device)
        values: Values = {("true x" if k == 0 else f"true y{k}"): y for k, y in enumerate(ys)}
        rates: dict[str, Tensor] = {}
        for step in self.steps:
            if step.target.kind == "latent":
                values[step.name], rates[step.name] = self._latent(step, values)
            else:
                rates[step.name], values[step.name] = self._pixels(step, values, values[f"true {step.name}"], withheld)
        return rates

    @torch.no_grad()
    def generate(self, size: tuple[int, int], known: Values, *, draw: bool, batch: int) -> Values:
        """Walks the schedule, keeping the variables in `known` and filling in the others.

        Args:
            size: (H, W) of x.
            draw: draw from the conditionals; otherwise their means. Phases are drawn in context, whole pixel variables
                without it, since that would take a pass for every pixel.
            batch: number of images.

        Returns:
            every variable's value.
        """
        device = next(self.parameters()).device
        values: Values = dict(known)
        for step in self.steps:
            if step.name in values:
                continue
            h, w = (n >> step.target.halvings for n in size)
            if step.target.kind == "latent":
                values[step.name] = self._fill_latent(step, values, (batch, step.target.channels, h, w), draw)
                continue
            if self.in_context:
                blank = torch.zeros(batch, step.target.channels, h, w, device=device)
                params, at = self.context_parameters(
                    step, values, blank, torch.ones(batch, dtype=torch.bool, device=device)
                )
                values[step.name] = (dmol_sample if draw else dmol_mean)(params, at, self.layout(step))
                continue
            features = self._net(f"p_{step.name}")(*self._inputs(step, values))
            base = self.base(step, values, (batch, step.target.channels, h // self.cell, w // self.cell))
            hidden = torch.full((batch,), not draw, device=device)
            parts: list[Tensor] = []
            for i in range(self.phases):
                params = self.phase_parameters(step, i, features, parts, hidden)
                centre, layout = Centre(self.phase_base(step, i, base, parts, hidden)), self.layout(step)
                if draw:
                    parts.append(dmol_sample(params, centre, layout, known=self.sum_is_known(step, i)))
                else:
                    parts.append(dmol_mean(params, centre, layout))
            values[step.name] = self._assemble(parts)
        return values

    def _fill_latent(self, step: Step, values: Values, shape: tuple[int, ...], draw: bool) -> Tensor:
        if step.parents:
            mean, log_scale = self.prior_parameters(step, values)
            return mean + log_scale.exp() * torch.randn_like(mean) if draw else mean
        device = next(self.parameters()).device
        if not draw:
            return self.prior.forward_map(torch.zeros(shape, device=device))
        return self.prior.forward_map(self.prior.sample_base(shape, device))

    @torch.no_grad()
    def infer(self, ys: list[Tensor]) -> Values:
        """Posterior means of u and all z, and the y: what an encoder would send before rounding to its grids."""
        values: Values = {("x" if k == 0 else f"y{k}"): y for k, y in enumerate(ys)}
        for step in self.steps:
            if step.inferred_from is not None:
                values[step.name] = self.posterior(step, values[step.inferred_from])[0]
        return values
