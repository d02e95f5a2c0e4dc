"""Where each parameter of a likelihood stands among a network's output channels; shared by trainer and codec.

A pixel variable with C channels and M mixture components takes M (3 C + C (C - 1) / 2) channels: logits, means,
log-scales, and the coefficients by which a channel's mean follows the channels before it (Salimans et al. 2017,
https://arxiv.org/abs/1701.05517). Means are offsets in units of 32 grey levels from a *base* prediction.
"""

from __future__ import annotations

from dataclasses import dataclass

MEAN_UNIT = 32
"""Grey levels for one unit of a mean output."""
LOG_SCALE_OFFSET = 2.0
PIXEL_LOG_SCALES = (-2.5, 5.5)
"""Natural logarithm of a logistic's scale in grey levels: [low, high)."""
LATENT_LOG_SCALES = (-4.0, 4.0)
"""Natural logarithm of a Gaussian's standard deviation: [low, high)."""
LOG_SCALE_STEP = 1 / 32
WINDOW = 4
"""Values of the last pixel of a cell that its known sum leaves possible."""
WINDOW_BELOW = 2
"""How many of them lie below 4 y minus the other pixels."""
COUPLING_LIMIT = 2.0
"""Largest magnitude of a coupling layer's log-scale."""


@dataclass(frozen=True)
class PixelLayout:
    """Slices of the channel axis for C image channels and M components; each slice holds C or pairs blocks of M."""

    channels: int
    mixtures: int

    @property
    def pairs(self) -> int:
        return self.channels * (self.channels - 1) // 2

    @property
    def size(self) -> int:
        return self.mixtures * (3 * self.channels + self.pairs)

    def _slice(self, start: int, blocks: int = 1) -> slice:
        return slice(start * self.mixtures, (start + blocks) * self.mixtures)

    def logits(self, channel: int) -> slice:
        return self._slice(channel)

    def means(self, channel: int) -> slice:
        return self._slice(self.channels + channel)

    def log_scales(self, channel: int) -> slice:
        return self._slice(2 * self.channels + channel)

    def coefficients(self, channel: int, earlier: int) -> slice:
        """How the mean of `channel` follows the residual of channel `earlier` < `channel`."""
        return self._slice(3 * self.channels + channel * (channel - 1) // 2 + earlier)


def phase_offsets(phases: int) -> tuple[tuple[int, int], ...]:
    """(row, column) of each phase in a cell, in coding order: 1 phase is the whole image, 4 are its 2x2 sublattices."""
    return ((0, 0),) if phases == 1 else ((0, 0), (1, 1), (0, 1), (1, 0))


def known_sum_phase(phase: int, phases: int, known_sum: bool) -> bool:
    """Whether a phase is the last of a cell whose sum is known within [4y - 2, 4y + 1] from y = (sum + 2) >> 2.

    Its values are among the WINDOW from clip(4y - others - WINDOW_BELOW, 0, 256 - WINDOW), and coded as such.
    """
    return known_sum and phases == 4 and phase == 3
