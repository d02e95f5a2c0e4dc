"""Latents given others: Gaussians (paper eq. 15), coded as points of a grid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from selfcodec.arrays import Int64, Integers
from selfcodec.coding.decoder import Decoder
from selfcodec.coding.encoder import Encoder
from selfcodec.coding.mixture import Mixture, log_scale_index, softmax_weights
from selfcodec.coding.tables import LATENT_LOG_SCALES, QUALITY_BITS, load_tables
from selfcodec.errors import ModelError
from selfcodec.fixed_point import LATENT_FRACTION, PARAM_FRACTION
from selfcodec.likelihoods.likelihood import Condition, Likelihood, giving
from selfcodec.networks.windows import Network
from selfcodec.schedule import Step

LATENT_BITS = 13
"""Means and edges of latents are in units of 2**-13."""
MOST_WIDTH = 1 << 28
"""A grid's width is at most this in 2**-12, so that no product overflows."""
IDLE_WIDTH = 14189
"""A channel whose grid is this wide in 2**-12, by the root of 12, is rounded by a standard deviation of 1, which is its
prior's: it carries nothing, and decoders never learned to read it."""
CENTRE = 128
"""This number codes the grid point nearest to a latent's mean."""


def latent_mixture(
    logits: Int64, means: Int64, log_scales: Int64, widths: Int64, *, centred: bool = False
) -> tuple[Mixture, Int64]:
    """Gaussians on a grid of points a width apart.

    Args:
        logits, means, log_scales: (B, N, M), in 2**-10.
        widths: (B, N), in 2**-12, at least 1.
        centred: the mean is a point, rounded down to 2**-12; otherwise 0 is one.

    Returns:
        the mixture, and (B, N) the point of number 0, in 2**-12.
    """
    tables = load_tables()
    weights = softmax_weights(logits)
    fine = means << (LATENT_BITS - PARAM_FRACTION)
    spacing = widths << (LATENT_BITS - LATENT_FRACTION)
    average = (weights * fine).sum(-1) // weights.sum(-1)
    nearest = (2 * average + spacing) // (2 * spacing) * widths
    middle = average >> (LATENT_BITS - LATENT_FRACTION) if centred else nearest
    first = middle - CENTRE * widths
    scales = tables.latent_inverse_scale[log_scale_index(log_scales, 0.0, LATENT_LOG_SCALES)]
    edge = (first << (LATENT_BITS - LATENT_FRACTION)) - spacing // 2
    return Mixture(tables.normal, weights, fine, scales, LATENT_BITS, edge, spacing, unbounded=True), first


def scaled_widths(widths: tuple[int, ...], quality: int) -> Int64:
    """Grid widths by channel (C,) at a quality of 1..100, in 2**-12, at least 1; those of idle channels stay."""
    scale, own = int(load_tables().quality[quality]), np.array(widths)
    return np.where(own < IDLE_WIDTH, np.maximum(1, (own * scale + (1 << (QUALITY_BITS - 1))) >> QUALITY_BITS), own)


class Latent(Likelihood):
    """p(z_k | parents), one Gaussian a value from a network of the parents.

    Settings:
        widths: of the grid, by channel, at quality 50, in 2**-12.
    """

    kind = "latent"

    @staticmethod
    def networks(step: Step, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return (f"p_{step.name}",)

    def __init__(self, step: Step, settings: Mapping[str, Any], nets: Mapping[str, Network]) -> None:
        self.widths: tuple[int, ...] = tuple(settings["widths"])
        if len(self.widths) != step.target.channels or not all(
            type(w) is int and 0 < w <= MOST_WIDTH for w in self.widths
        ):
            raise ModelError(f"widths are not {step.target.channels} whole numbers from 1 to {MOST_WIDTH}")
        self._nets = [giving(nets[name], self._outputs(step)) for name in self.networks(step, settings)]

    @staticmethod
    def _outputs(step: Step) -> int:
        """Channels that a network gives: means and log-scales."""
        return 2 * step.target.channels

    def encode(self, at: Condition, truth: Integers, coder: Encoder) -> Int64:
        mixture, first, widths = self._mixture(at)
        coded = self._to_coded(truth.astype(np.int64), at).reshape(first.shape)
        numbers = (2 * (coded - first) + widths) // (2 * widths)
        coder.encode(mixture, numbers)
        return self._from_coded((first + numbers * widths).reshape(at.shape), at)

    def _decode(self, at: Condition, coder: Decoder) -> Int64:
        mixture, first, widths = self._mixture(at)
        return self._from_coded((first + coder.decode(mixture) * widths).reshape(at.shape), at)

    def mean(self, at: Condition) -> Int64:
        mixture, _, _ = self._mixture(at)
        return self._from_coded((mixture.mean() >> (LATENT_BITS - LATENT_FRACTION)).reshape(at.shape), at)

    def _mixture(self, at: Condition) -> tuple[Mixture, Int64, Int64]:
        """The values' distributions, the grid's point of number 0, and its widths, (B, N)."""
        b, c, h, w = at.shape
        widths = np.broadcast_to(scaled_widths(self.widths, at.quality)[None, :, None], (b, c, h * w)).reshape(b, -1)
        logits, means, log_scales = (p.reshape(b, c * h * w, -1) for p in self._density(at))
        return *latent_mixture(logits, means, log_scales, widths, centred=at.centred), widths

    def _density(self, at: Condition) -> tuple[Int64, Int64, Int64]:
        """Logits, means and log-scales of the components, each (B, C, h, w, M), in 2**-10."""
        _, c, h, w = at.shape
        params = self._nets[0](*at.inputs, runtime=at.runtime)[:, :, :h, :w, None]
        return np.zeros_like(params[:, :c]), params[:, :c], params[:, c:]

    def _to_coded(self, values: Int64, at: Condition) -> Int64:
        """The latent where its grid lies, in 2**-12."""
        return values

    def _from_coded(self, coded: Int64, at: Condition) -> Int64:
        """The inverse."""
        return coded
