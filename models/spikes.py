"""Gradients that are not followed, because they are far longer than those before them."""

from __future__ import annotations

import math
from dataclasses import dataclass

SPIKE = 8.0
"""A gradient more than this many times as long as usual is not followed."""


@dataclass
class Spikes:
    """Knows how long gradients usually are.

    One batch, of an image that a latent's prior finds impossible, can undo hours (Child 2021,
    https://arxiv.org/abs/2011.10650, skips by a fixed norm).

    Attributes:
        usual: a running mean of norms; None before the first.
    """

    usual: float | None = None

    def passes(self, norm: float) -> bool:
        """Whether a gradient of that norm is finite and at most SPIKE times as long as those before it."""
        if not math.isfinite(norm):
            return False
        most = SPIKE * (self.usual or norm)
        self.usual = 0.98 * (self.usual or norm) + 0.02 * min(norm, most)
        return norm <= most
