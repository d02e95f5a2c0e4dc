"""Latents: Gaussians on a grid."""

from __future__ import annotations

from selfcodec.arrays import Int64
from selfcodec.coding.mixture import Mixture, log_scale_index, softmax_weights
from selfcodec.coding.tables import LATENT_LOG_SCALES, load_tables
from selfcodec.fixed_point import LATENT_FRACTION, PARAM_FRACTION

LATENT_BITS = 13
"""Means and edges of latents are in units of 2**-13."""
CENTRE = 128
"""The byte of the grid point nearest to a latent's mean."""


def latent_mixture(logits: Int64, means: Int64, log_scales: Int64, steps: Int64) -> tuple[Mixture, Int64]:
    """Gaussians on a grid of points index * step.

    Args:
        logits, means, log_scales: (B, N, M), in 2**-10.
        steps: (B, N), in 2**-12, at least 1.

    Returns:
        the mixture, and (B, N) the grid index of byte 128: byte = index - centre + 128.
    """
    tables = load_tables()
    weights = softmax_weights(logits)
    fine = means << (LATENT_BITS - PARAM_FRACTION)
    spacing = steps << (LATENT_BITS - LATENT_FRACTION)
    average = (weights * fine).sum(-1) // weights.sum(-1)
    centre = (2 * average + spacing) // (2 * spacing)
    first_edge = (centre - CENTRE) * spacing - spacing // 2
    index = log_scale_index(log_scales, 0.0, LATENT_LOG_SCALES)
    mixture = Mixture(
        tables.normal, weights, fine, tables.latent_inverse_scale[index], LATENT_BITS, first_edge, spacing
    )
    return mixture, centre
