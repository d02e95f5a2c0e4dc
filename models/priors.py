"""Priors p(u): a density of v that factorises, and an invertible map u = f(v) (paper eq. 3, 12, 13).

`gaussian` and `mog` are densities with f the identity; `realnvp` puts affine coupling layers (paper eq. 5) on the
Gaussian one. Coded files carry v on a grid; the decoder computes u = f(v).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from selfcodec.coding.tables import COUPLING_LIMIT
from selfcodec.errors import InputError, ModelError
from selfcodec.models.config import MixturePriorConfig, NetworkConfig, PriorConfig, RealNVPConfig, TransformConfig
from selfcodec.models.distributions import gaussian_bin_log_prob, gaussian_log_prob, latent_log_scale
from selfcodec.models.layers import FloatGraph
from selfcodec.models.networks import Style, coupling


class Prior(nn.Module):
    """A standard Gaussian and no map: v = u."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def networks(self) -> Iterator[FloatGraph]:
        """The map's networks, in order."""
        yield from ()

    def components(self) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, means and log-scales of the density's mixture, each (M, C)."""
        zero = torch.zeros(1, self.channels)
        return zero, zero, zero

    def take(self, logits: Tensor, means: Tensor, log_scales: Tensor) -> None:
        """Takes another density's components, (M, C) each, where the own ones are learned."""

    def forward_map(self, v: Tensor) -> Tensor:
        """u = f(v), (B, C, H, W)."""
        return v

    def inverse_map(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """v = f^-1(u) and log|det df^-1/du| summed over each image, (B,)."""
        return u, u.new_zeros(len(u))

    def density_log_prob(self, v: Tensor, width: Tensor | None = None) -> Tensor:
        """Log-density of v, or with `width` the log-mass of the bin of that width around v; (B, C, H, W), nats."""
        logits, means, log_scales = (p.to(v.device)[:, None, :, None, None] for p in self.components())
        if width is None:
            log_prob = gaussian_log_prob(v, means, log_scales)
        else:
            log_prob = gaussian_bin_log_prob(v, means, log_scales, width)
        return torch.logsumexp(torch.log_softmax(logits, 0) + log_prob, 0)

    def sample_density(self, shape: tuple[int, ...], device: torch.device) -> Tensor:
        """A draw of v, (B, C, H, W)."""
        logits, means, log_scales = (p.detach().to(device) for p in self.components())
        b, c, h, w = shape
        chosen = torch.distributions.Categorical(logits=logits.T).sample((b, h, w)).movedim(-1, 1)  # (B, C, H, W)
        pick = torch.arange(c, device=device)[:, None, None].expand(b, c, h, w)
        return means[chosen, pick] + log_scales.exp()[chosen, pick] * torch.randn(shape, device=device)

    def log_prob(self, u: Tensor) -> Tensor:
        """log p(u) of each image (paper eq. 4), (B,), nats."""
        v, log_det = self.inverse_map(u)
        return self.density_log_prob(v).sum((1, 2, 3)) + log_det


class MixturePrior(Prior):
    """A mixture of Gaussians for every element, with parameters shared over positions."""

    def __init__(self, channels: int, mixtures: int) -> None:
        super().__init__(channels)
        self.logits = nn.Parameter(torch.zeros(mixtures, channels))
        self.means = nn.Parameter(torch.linspace(-1, 1, mixtures)[:, None].repeat(1, channels))
        self.log_scales = nn.Parameter(torch.full((mixtures, channels), -0.3))

    def components(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.logits, self.means, latent_log_scale(self.log_scales)

    @torch.no_grad()
    def take(self, logits: Tensor, means: Tensor, log_scales: Tensor) -> None:
        for own, taken in ((self.logits, logits), (self.means, means), (self.log_scales, log_scales)):
            if own.shape != taken.shape:
                raise ModelError(f"a prior of {len(own)} components cannot start from one of {len(taken)}")
            own.copy_(taken)


class RealNVP(Prior):
    """Affine coupling layers over halves of the channels, the channels reversed in between.

    One layer: v_b' = exp(s(v_a)) v_b + t(v_a), |s| <= 2 (Dinh et al. 2017, paper eq. 5).
    """

    def __init__(self, channels: int, style: Style, layers: int, *, weight_norm: bool) -> None:
        super().__init__(channels)
        if channels % 2:
            raise ValueError("a RealNVP prior needs an even number of channels")
        graph = coupling(style, channels // 2)
        self.couplings = nn.ModuleList(
            FloatGraph(graph, weight_norm=weight_norm, output_scale=0.05) for _ in range(layers)
        )

    def networks(self) -> Iterator[FloatGraph]:
        for net in self.couplings:
            assert isinstance(net, FloatGraph)
            yield net

    def _scale_shift(self, layer: nn.Module, a: Tensor) -> tuple[Tensor, Tensor]:
        s, t = layer(a).chunk(2, 1)
        return s.clamp(-COUPLING_LIMIT, COUPLING_LIMIT), t

    def forward_map(self, v: Tensor) -> Tensor:
        for layer in self.couplings:
            a, b = v.chunk(2, 1)
            s, t = self._scale_shift(layer, a)
            v = torch.cat([a, b * torch.exp(s) + t], 1).flip(1)
        return v

    def inverse_map(self, u: Tensor) -> tuple[Tensor, Tensor]:
        log_det = u.new_zeros(len(u))
        for layer in reversed(self.couplings):
            a, b = u.flip(1).chunk(2, 1)
            s, t = self._scale_shift(layer, a)
            u = torch.cat([a, (b - t) * torch.exp(-s)], 1)
            log_det = log_det - s.sum((1, 2, 3))
        return u, log_det


def build_prior(config: PriorConfig, channels: int, network: NetworkConfig, *, weight_norm: bool) -> Prior:
    """The prior that a recipe names, for u of so many channels; the network's blocks are also those of couplings."""
    if isinstance(config, RealNVPConfig):
        if isinstance(network, TransformConfig):
            raise InputError(f"a realnvp prior has no couplings of networks of kind {network.kind!r}")
        return RealNVP(channels, Style.of(network, config.width, 1), config.layers, weight_norm=weight_norm)
    return MixturePrior(channels, config.mixtures) if isinstance(config, MixturePriorConfig) else Prior(channels)
