"""A latent by groups of channels and halves of a checkerboard, for every quality.

The codec's twin is `selfcodec.likelihoods.groups`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor, nn

from selfcodec.coding.tables import GRID_HIGHEST, GRID_STEPS
from selfcodec.errors import InputError
from selfcodec.fixed_point import LATENT_FRACTION, PARAM_FRACTION
from selfcodec.likelihoods.groups import LOG_SCALE_UNIT, MOST, WEIGHT
from selfcodec.models.config import GroupsConfig, ModelConfig
from selfcodec.models.layers import FloatGraph
from selfcodec.models.likelihoods.latent import GivenLatent, to_integers
from selfcodec.models.likelihoods.likelihood import MOST_INPUT, QUALITY, Values, network, parent_inputs
from selfcodec.models.likelihoods.quality import PLANE_FRACTION, log_lambda_of
from selfcodec.models.transform_coding import group_entropy
from selfcodec.schedule import Step

LOG_SCALES = (-3.0, 3.96)
"""Log-scales, in widths of the grid, are clamped to these in training."""
FINE_SCALE = 2 ** (GRID_HIGHEST / GRID_STEPS)
"""Encoders choose where deviations are at most so many widths."""
LEAST_MASS = 1e-6
"""The mass of a grid point counts as at least this, so that gradients stay bounded."""


class Groups(GivenLatent):
    """p(z | y, u) for every quality: group after group, in each the even positions and then the odd ones.

    With l = log lambda and for every channel learned a, b and s, the grid's width is exp(a + b l). The Gaussians'
    deviations are exp(s + 4 r) with r from a group's network, within LOG_SCALES widths.
    """

    kind = "groups"

    @staticmethod
    def networks(step: Step, model: ModelConfig) -> dict[str, FloatGraph]:
        (y, u), width, edges = step.parents, model.transform.entropy_width, _edges(model)
        return {
            f"p_{step.name}_{i}": FloatGraph(group_entropy(width, y, u, own.start, own.stop - own.start))
            for i, own in enumerate(edges)
        }

    @staticmethod
    def grids(step: Step) -> dict[str, nn.Parameter]:
        channels = step.target.channels
        return {
            f"{step.name}_log_width": nn.Parameter(torch.zeros(channels)),
            f"{step.name}_slope": nn.Parameter(torch.full((channels,), -0.5)),
            f"{step.name}_log_scale": nn.Parameter(torch.zeros(channels)),
        }

    def __init__(self, step: Step, model: ModelConfig, nets: nn.ModuleDict, grids: nn.ParameterDict) -> None:
        super().__init__(step, model, nets, grids)
        self._groups = _edges(model)
        self._grids = grids

    def grid(self, name: str) -> nn.Parameter:
        """One of what is learned by channel, (C,): `log_width` at log lambda 0, its `slope`, and `log_scale`."""
        return self._grids[f"{self.step.name}_{name}"]

    def log_width(self, values: Values) -> Tensor:
        log_lambda = log_lambda_of(values[QUALITY])
        return (self.grid("log_width") + self.grid("slope") * log_lambda[:, None])[:, :, None, None]

    def _parameters(self, values: Values, z: Tensor, even: Tensor, group: int, *, odd: bool) -> tuple[Tensor, Tensor]:
        """Means and log-scales (B, c, h, w) of a group's channels at all positions, right in one half.

        Args:
            values: of the parents, and the quality.
            z: the groups before, and where `odd` the group's even positions; (B, C, h, w).
            even: 1 at even positions, 0 at others, (B, 1, h, w).
            group: its number.
            odd: which half.
        """
        own, flag = self._groups[group], even * float(odd)
        before = [z[:, : own.start]] if group else []
        net = network(self._nets, f"p_{self.step.name}_{group}")
        out = net(*parent_inputs(self.step, values), *before, z[:, own] * flag, flag, values[QUALITY]).float()
        mean, raw = out.chunk(2, 1)
        return mean, self.grid("log_scale")[own, None, None] + LOG_SCALE_UNIT * raw

    def _halves(self, like: Tensor) -> Iterator[tuple[int, slice, bool, Tensor, Tensor]]:
        """Group by group and half by half: the group, its channels, whether odd, 1 at even positions, 1 in the half."""
        even = checkerboard(like)
        for group, own in enumerate(self._groups):
            yield group, own, False, even, even
            yield group, own, True, even, 1 - even

    def log_prob(self, z: Tensor, values: Values) -> Tensor:
        raise InputError(f"{self.step.name} in groups has no density off its grid: train by 'rate_distortion'")

    def log_mass(self, v: Tensor, width: Tensor, values: Values) -> Tensor:
        """See `LatentLikelihood`; here width is (B, C, 1, 1)."""
        z, total = v.clamp(-MOST_INPUT, MOST_INPUT), v.new_zeros(len(v))
        for group, own, odd, even, half in self._halves(v):
            mean, log_scale = self._parameters(values, z, even, group, odd=odd)
            scale = _in_widths(log_scale, width[:, own])
            total = total + (_log_mass((v[:, own] - mean) / width[:, own], scale) * half).sum((1, 2, 3))
        return total

    def thrifty(self, mean: Tensor, width: Tensor, values: Values) -> tuple[Tensor, Tensor]:
        """Half by half the nearest points, or those next to them towards the means where that saves enough bits.

        As `selfcodec.coding.grid.Gaussians.nearest` does with its tables.
        """
        z, total = torch.zeros_like(mean), mean.new_zeros(len(mean))
        for group, own, odd, even, half in self._halves(mean):
            centre, log_scale = self._parameters(values, z, even, group, odd=odd)
            scale, points = _in_widths(log_scale, width[:, own]), mean[:, own] / width[:, own]
            centre = centre / width[:, own]
            index = _thrifty(points, centre.detach(), scale.detach())
            total = total + (_log_mass(index - centre, scale) * half).sum((1, 2, 3))
            z[:, own] += half * (index * width[:, own]).clamp(-MOST_INPUT, MOST_INPUT)
        return z, total

    def _filled(self, values: Values, shape: tuple[int, ...], value: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """A latent whose values, half by half, are made of means and deviations."""
        z = values[self.step.parents[0].name].new_zeros(shape).contiguous(memory_format=torch.channels_last)
        for group, own, odd, even, half in self._halves(z):
            mean, log_scale = self._parameters(values, z, even, group, odd=odd)
            z[:, own] += half * value(mean, log_scale.exp())
        return z

    def mean(self, values: Values, shape: tuple[int, ...]) -> Tensor:
        return self._filled(values, shape, lambda mean, deviation: mean)

    def sample(self, values: Values, shape: tuple[int, ...]) -> Tensor:
        return self._filled(values, shape, lambda mean, deviation: mean + deviation * torch.randn_like(mean))

    def settings(self, widths: list[Any]) -> dict[str, Any]:
        grid = torch.tensor(widths, dtype=torch.float64).clamp(1, 2 * MOST)  # (100, C)
        log_scales = self.grid("log_scale").detach().cpu().double() - (grid * 2.0**-LATENT_FRACTION).log()
        return {
            "kind": self.kind,
            "groups": [own.stop - own.start for own in self._groups],
            "widths": grid.long().tolist(),
            "log_scales": to_integers(log_scales, PARAM_FRACTION),
        }

    @torch.no_grad()
    def start(self, log_width: Tensor, log_scale: Tensor) -> None:
        self.grid("log_width").copy_(log_width)
        self.grid("log_scale").copy_(log_scale)

    @torch.no_grad()
    def take(self, settings: Mapping[str, Any], planes: tuple[int, ...]) -> None:
        """The line through the log-widths of every channel, by least squares."""
        qualities = torch.tensor(planes, dtype=torch.float64) * 2.0**-PLANE_FRACTION
        log_lambda = log_lambda_of(qualities[:, None, None, None])
        log_widths = (torch.tensor(settings["widths"], dtype=torch.float64) * 2.0**-LATENT_FRACTION).log()
        centred = log_lambda - log_lambda.mean()
        slope = (centred[:, None] * log_widths).sum(0) / centred.square().sum()
        self.grid("slope").copy_(slope)
        self.grid("log_width").copy_(log_widths.mean(0) - slope * log_lambda.mean())
        log_scales = torch.tensor(settings["log_scales"]) * 2.0**-PARAM_FRACTION
        self.grid("log_scale").copy_((log_scales + log_widths).mean(0))


def _in_widths(log_scale: Tensor, width: Tensor) -> Tensor:
    """Deviations in widths of the grid."""
    return (log_scale - width.log()).clamp(*LOG_SCALES).exp()


def _log_mass(distance: Tensor, scale: Tensor) -> Tensor:
    """Of grid points at a distance from Gaussians' means, all in widths."""
    away = distance.abs()
    mass = torch.special.ndtr((0.5 - away) / scale) - torch.special.ndtr((-0.5 - away) / scale)
    return mass.clamp_min(LEAST_MASS).log()


def _thrifty(points: Tensor, centre: Tensor, scale: Tensor) -> Tensor:
    """Indices of the points' best representatives; see `Groups.thrifty`."""
    index = points.round()
    closer = index - (index - centre.round()).sign()
    saved = (_log_mass(closer - centre, scale) - _log_mass(index - centre, scale)) / math.log(2)
    more = (points - closer).square() - (points - index).square()
    return torch.where((saved > WEIGHT * more) & (scale <= FINE_SCALE), closer, index)


def _edges(model: ModelConfig) -> list[slice]:
    """The channels of every group."""
    own = model.z_likelihood
    assert isinstance(own, GroupsConfig)
    return [slice(*pair) for pair in pairwise(accumulate(own.groups, initial=0))]


def checkerboard(like: Tensor) -> Tensor:
    """1 where row and column add up to an even number, else 0, (B, 1, h, w) of a tensor (B, C, h, w)."""
    b, _, h, w = like.shape
    row, column = torch.arange(h, device=like.device)[:, None], torch.arange(w, device=like.device)
    even = ((row + column) % 2 == 0).to(like.dtype)
    return even.expand(b, 1, h, w).contiguous(memory_format=torch.channels_last)
