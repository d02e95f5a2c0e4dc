"""The top latent u as a variable of the schedule: a prior's density, with its grid where that factorises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from selfcodec.fixed_point import PARAM_FRACTION
from selfcodec.models.layers import FloatGraph
from selfcodec.models.likelihoods.latent import LatentLikelihood, to_integers
from selfcodec.models.likelihoods.likelihood import Values
from selfcodec.models.priors import Prior
from selfcodec.schedule import Step

_COMPONENTS = ("logits", "means", "log_scales")


class TopLatent(LatentLikelihood):
    """p(u) (paper eq. 3, 12, 13): v has a density that factorises, u = f(v); the grid is v's.

    Args:
        step: the factor p(u).
        nets: the model's networks.
        prior: the density and the map.
    """

    kind = "prior"

    def __init__(self, step: Step, nets: nn.ModuleDict, prior: Prior) -> None:
        super().__init__(step, nets)
        self._prior = prior

    def networks(self) -> Iterator[tuple[str, FloatGraph]]:
        """The prior's couplings by name."""
        for i, net in enumerate(self._prior.networks()):
            yield f"f_{i}", net

    def to_grid(self, z: Tensor) -> Tensor:
        return self._prior.inverse_map(z)[0]

    def from_grid(self, v: Tensor) -> Tensor:
        return self._prior.forward_map(v)

    def deviation_on_grid(self, mean: Tensor, deviation: Tensor) -> Tensor:
        high, low = (self.to_grid(mean + sign * deviation) for sign in (1, -1))
        return (high - low).abs() / 2

    def log_prob(self, z: Tensor, values: Values) -> Tensor:
        return self._prior.log_prob(z)

    def log_mass(self, v: Tensor, width: Tensor, values: Values) -> Tensor:
        return self._prior.density_log_prob(v, width).sum((1, 2, 3))

    def mean(self, values: Values, shape: tuple[int, ...]) -> Tensor:
        """Where v is its mean."""
        logits, means, _ = (values.detach().to(self._device) for values in self._prior.components())
        v = (logits.softmax(0) * means).sum(0)[:, None, None]  # (C, 1, 1)
        return self.from_grid(v.expand(shape))

    def sample(self, values: Values, shape: tuple[int, ...]) -> Tensor:
        return self.from_grid(self._prior.sample_density(shape, self._device))

    @property
    def _device(self) -> torch.device:
        """Of the model; a prior may have no parameters to tell it."""
        return next(self._nets.parameters()).device

    def take(self, settings: Mapping[str, Any], planes: tuple[int, ...]) -> None:
        self._prior.take(*(torch.tensor(settings["density"][name]) * 2.0**-PARAM_FRACTION for name in _COMPONENTS))

    def settings(self, widths: list[Any]) -> dict[str, Any]:
        components = (to_integers(values.detach(), PARAM_FRACTION) for values in self._prior.components())
        return {
            "kind": self.kind,
            "widths": widths,
            "density": dict(zip(_COMPONENTS, components, strict=True)),
            "couplings": len(list(self.networks())),
        }
