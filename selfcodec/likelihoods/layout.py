"""Where each parameter of a likelihood stands among a network's output channels; shared by trainer and codec.

A pixel variable with C channels and M mixture components takes M (3 C + C (C - 1) / 2) channels: logits, means,
log-scales, and the coefficients by which a channel's mean follows the channels before it (Salimans et al. 2017,
https://arxiv.org/abs/1701.05517). Means are offsets in units of 32 grey levels from a *base* prediction. Where the
mixture is `joint`, its components are of the whole pixel, as in that paper, and M logits serve all channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from selfcodec.arrays import Int64

NEUTRAL = 128
"""Networks see this grey level as 0, as beyond an image's border."""
MEAN_UNIT = 32
"""One unit of a mean output is so many grey levels."""
PIXEL_BITS = 5
"""Means and edges of pixels are in units of 2**-5 grey levels."""
LOG_SCALE_OFFSET = 2.0
"""It is added to a raw log-scale."""
MOST_MIXTURES = 256
"""A mixture has at most so many components."""
WINDOW_BELOW = 2
"""Of the values that a known sum leaves possible so many lie below 4 y minus the other pixels."""


@dataclass(frozen=True)
class PixelLayout:
    """Slices of the channel axis for C image channels and M components; each slice holds C or pairs blocks of M."""

    channels: int
    mixtures: int
    joint: bool = False

    @property
    def pairs(self) -> int:
        """Of a channel and an earlier one."""
        return self.channels * (self.channels - 1) // 2

    @property
    def size(self) -> int:
        """Of the whole axis."""
        return self.mixtures * (self._logit_blocks + 2 * self.channels + self.pairs)

    @property
    def _logit_blocks(self) -> int:
        return 1 if self.joint else self.channels

    def _slice(self, start: int, blocks: int = 1) -> slice:
        return slice(start * self.mixtures, (start + blocks) * self.mixtures)

    def logits(self, channel: int) -> slice:
        """Of the components' weights; of all channels the same where they are `joint`."""
        return self._slice(0 if self.joint else channel)

    def means(self, channel: int) -> slice:
        """Of the components' means, relative to the channel's base."""
        return self._slice(self._logit_blocks + channel)

    def log_scales(self, channel: int) -> slice:
        """Of the logarithms of the components' scales."""
        return self._slice(self._logit_blocks + self.channels + channel)

    def coefficients(self, channel: int, earlier: int) -> slice:
        """How the mean of `channel` follows the residual of channel `earlier` < `channel`."""
        return self._slice(self._logit_blocks + 2 * self.channels + channel * (channel - 1) // 2 + earlier)

    def starts(self) -> Int64:
        """For compiled loops (C, 2 + C): where a channel's means, log-scales and coefficients of each other begin."""
        table = np.zeros((self.channels, 2 + self.channels), dtype=np.int64)
        for c in range(self.channels):
            table[c, :2] = self.means(c).start, self.log_scales(c).start
            table[c, 2 : 2 + c] = [self.coefficients(c, e).start for e in range(c)]
        return table


def phase_offsets(phases: int) -> tuple[tuple[int, int], ...]:
    """(row, column) of each phase in a cell, in coding order: 1 phase is the whole image, 4 are its 2x2 sublattices."""
    return ((0, 0),) if phases == 1 else ((0, 0), (1, 1), (0, 1), (1, 0))


def known_sum_phase(phase: int, phases: int, known_sum: bool) -> bool:
    """Whether a phase is the last of a cell whose sum is known within [4y - 2, 4y + 1] from y = (sum + 2) >> 2.

    Its values are among the WINDOW from clip(4y - others - WINDOW_BELOW, 0, 256 - WINDOW), and coded as such.
    """
    return known_sum and phases == 4 and phase == 3


# Local causal context: what a pixel's likelihood sees of the values before it, relative to their average.

CONTEXT_FOLD = 2
"""A trunk's features come at half the variable's resolution, four pixels' in each position (depth to space)."""
CONTEXT_REACH = 4
"""The context reaches so many rows above, and so many columns to the left and right."""
NEIGHBOURS = tuple(
    (row, column)
    for row in range(-CONTEXT_REACH, 1)
    for column in range(-CONTEXT_REACH, CONTEXT_REACH + 1)
    if (row, column) < (0, 0)
)
"""Every neighbour has this (row, column) relative to the pixel; all are decoded before it."""
BASE_NEIGHBOURS = tuple(NEIGHBOURS.index(at) for at in ((0, -1), (-1, 0), (-1, -1), (-1, 1)))
"""The average of these neighbours is the pixel's base."""
ACTIVITY_NEIGHBOURS = tuple(NEIGHBOURS.index(at) for at in ((0, -1), (0, -2), (-1, 0), (-2, 0), (-1, -1), (-1, 1)))
"""The distances of these neighbours from the base make the pixel's activity."""
ACTIVITY_CHANNELS = 3
"""Distances are summed as if over this many channels."""
ACTIVITY_RANGE = (3, 13)
"""Activity is the number of binary digits of that sum, within these bounds."""
ACTIVITY_WITHOUT = 9
"""The activity has this value where no neighbour is known."""
ACTIVITY_CENTRE = 7
"""Heads see this activity as 0; one more is half a unit of their inputs."""
ACTIVITY_UNIT = 5
"""At this activity a unit of a head's inputs is one grey level; one more doubles it."""
ACTIVITY_MEAN_UNIT = 4
"""At that activity one unit of a mean output is so many grey levels."""
ACTIVITY_LOG_SCALE = 710
"""An activity of one more adds this to raw log-scales, in 2**-10: the natural logarithm of 2."""


def context_inputs(channels: int) -> int:
    """Inputs of a context head: every neighbour's distance from the base, the activity, the base, and a flag."""
    return (len(NEIGHBOURS) + 1) * channels + 2


def head_inputs(channels: int, *, predictions: bool) -> int:
    """All inputs of a context head but the features: of the neighbours, and perhaps of predictions."""
    return context_inputs(channels) + (prediction_inputs(channels) if predictions else 0)


def prediction_inputs(channels: int) -> int:
    """What a head sees of predictions: their values, the nearest neighbours' residuals, and slopes of channel pairs."""
    return (1 + len(BASE_NEIGHBOURS)) * channels + channels * (channels - 1) // 2
