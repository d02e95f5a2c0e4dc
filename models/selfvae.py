"""The self-supervised variational auto-encoder: networks for every factor of the schedule, and its objective."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from selfcodec.models.config import ModelConfig
from selfcodec.models.data import by_name
from selfcodec.models.layers import FloatGraph
from selfcodec.models.likelihoods.families import LATENTS, PIXELS, POSTERIORS
from selfcodec.models.likelihoods.latent import LatentLikelihood
from selfcodec.models.likelihoods.likelihood import (
    QUALITY,
    Likelihood,
    PixelLikelihood,
    Rounding,
    Values,
    Withheld,
    network,
)
from selfcodec.models.likelihoods.posterior import Posterior
from selfcodec.models.likelihoods.prior import TopLatent
from selfcodec.models.priors import build_prior
from selfcodec.schedule import Shape, Step, build_schedule
from selfcodec.transforms import get_transform


@dataclass(frozen=True)
class Transmission:
    """What sending images costs and shows, where no pixel variable is sent.

    Attributes:
        rates: of u and the z, by name, (B,), nats.
        pictures: of x and the y, by name, (B, C, H, W), grey levels, neither rounded nor clamped.
    """

    rates: dict[str, Tensor]
    pictures: dict[str, Tensor]


class SelfVAE(nn.Module):
    """p(u) p(y_K|u) p(z_K|u,y_K) ... p(x|y_1,z_1) with q(u|y_K) prod_k q(z_k|y_{k-1}) (paper eq. 21, 22).

    x (B,3,H,W) --d--> y1 --d--> ... yK --q--> u
     |                  |
     +--q--> z1         +--q--> z2

    The model holds the parameters and walks the schedule; what is computed for a variable its family does.

    Attributes:
        pixels: the likelihoods of x and the y, by name.
        latents: those of u and the z.
        posteriors: what u and the z are inferred by.
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
        self.nets = nn.ModuleDict()
        self.log_widths = nn.ParameterDict()
        self.grids = nn.ParameterDict()
        self._of_pixels: list[str] = []
        self.pixels: dict[str, PixelLikelihood[Any]] = {}
        self.latents: dict[str, LatentLikelihood] = {}
        self.posteriors: dict[str, Posterior] = {}
        for step in self.steps:
            self._build(step)
        self.prior = build_prior(
            config.prior, config.u.channels, config.network, weight_norm=config.network.weight_norm
        )
        self._top = TopLatent(self.steps[0], self.nets, self.prior)
        self.latents[self.steps[0].name] = self._top

    def _build(self, step: Step) -> None:
        """One factor's networks, in an order by which a seed always gives the same weights, and its families."""
        if step.inferred_from is not None:
            source = next(s.target for s in self.steps if s.name == step.inferred_from)
            posterior = POSTERIORS[self.config.posterior.kind]
            self.nets.update(posterior.networks(step, source, self.config))
            self.log_widths.update(posterior.log_widths(step))
            self.posteriors[step.name] = posterior(step, self.nets, self.log_widths)
        if step.target.kind == "pixels":
            own = self.config.likelihood_of(step.name)
            family = PIXELS[own.kind]
            nets = family.networks(step, own, self.config)
            self.nets.update(nets)
            self._of_pixels += nets
            self.pixels[step.name] = family(step, own, self.config, self.nets)
        elif step.parents:
            latent = LATENTS[self.config.z_likelihood.kind]
            self.nets.update(latent.networks(step, self.config))
            self.grids.update(latent.grids(step))
            self.latents[step.name] = latent(step, self.config, self.nets, self.grids)

    def graphs(self) -> Iterator[tuple[str, FloatGraph]]:
        """Every network with its name, the prior's couplings included."""
        for name in self.nets:
            yield name, network(self.nets, name)
        yield from self._top.networks()

    def pixel_networks(self) -> Iterator[FloatGraph]:
        """The networks of the pixel variables' likelihoods: trunks and heads."""
        for name in self._of_pixels:
            yield network(self.nets, name)

    def likelihood(self, name: str) -> Likelihood:
        """The likelihood of any variable."""
        return self.pixels[name] if name in self.pixels else self.latents[name]

    # Training.

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
        values = self._true(ys)
        rates: dict[str, Tensor] = {}
        for step in self.steps:
            if step.inferred_from is not None:
                values[step.name], rates[step.name] = self._latent(step, values, withheld)
                continue
            target, generate = values[f"true {step.name}"], step.name != "x"  # nothing depends on x
            log_prob, generated = self.pixels[step.name].log_prob(values, target, withheld, generate=generate)
            values[step.name], rates[step.name] = withheld.replaced(target, generated), -log_prob
        return rates

    def transmit(self, ys: list[Tensor], quality: Tensor, rounding: Rounding) -> Transmission:
        """What a lossy decoder of all latents shows, and their rates.

        Args:
            ys: as of `forward`.
            quality: planes (B, 1, 1, 1), see `selfcodec.models.likelihoods.quality`.
            rounding: what stands for the encoder's.
        """
        values = self._true(ys) | {QUALITY: quality}
        rates, pictures = {}, {}
        for step in self.steps:
            if step.inferred_from is not None:
                source, likelihood = values[f"true {step.inferred_from}"], self.latents[step.name]
                values[step.name], rates[step.name] = self.posteriors[step.name].transmit(
                    source, likelihood, values, rounding
                )
                continue
            picture = self.pixels[step.name].picture(values, values[f"true {step.name}"].shape)
            pictures[step.name] = picture
            values[step.name] = picture + (torch.floor(picture + 0.5).clamp(0, 255) - picture).detach()
        return Transmission(rates, pictures)

    @staticmethod
    def _true(ys: list[Tensor]) -> Values:
        return {f"true {name}": y for name, y in by_name(ys).items()}

    def _latent(self, step: Step, values: Values, withheld: Withheld) -> tuple[Tensor, Tensor]:
        """A posterior sample (B, C, h, w) of a latent and its rate log q - log p, (B,) nats."""
        posterior, source = self.posteriors[step.name], values[f"true {step.inferred_from}"]
        return posterior.sample(source, self.latents[step.name], values, withheld.noise)

    # Without training.

    @torch.no_grad()
    def generate(self, size: tuple[int, int], known: Values, *, draw: bool, batch: int) -> Values:
        """Walks the schedule, keeping the variables in `known` and filling in the others.

        Args:
            size: (H, W) of x.
            known: values by name; of models that see the quality, that too.
            draw: draw from the conditionals; otherwise their means. What a draw of pixels is, their family says.
            batch: number of images.

        Returns:
            every variable's value.
        """
        values: Values = dict(known)
        for step in self.steps:
            if step.name not in values:
                family, (h, w) = self.likelihood(step.name), (n >> step.target.halvings for n in size)
                shape = (batch, step.target.channels, h, w)
                values[step.name] = family.sample(values, shape) if draw else family.mean(values, shape)
        return values

    @torch.no_grad()
    def infer(self, ys: list[Tensor], quality: Tensor | None = None) -> Values:
        """Posterior means of u and all z, and the y: what an encoder would send before rounding to its grids.

        Args:
            ys: as of `forward`.
            quality: as of `transmit`, for models that see it; it is among the results.
        """
        values: Values = by_name(ys)
        if quality is not None:
            values[QUALITY] = quality
        for step in self.steps:
            if step.inferred_from is not None:
                values[step.name] = self.posteriors[step.name].mean(values[step.inferred_from], values)
        return values
