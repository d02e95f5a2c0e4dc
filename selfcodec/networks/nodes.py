"""A network's nodes as arrays, which compiled loops walk."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from selfcodec.arrays import Float32, Int64


class Nodes(NamedTuple):
    """A network of 1x1 convolutions and sums for compiled loops, see `pointwise_loops.run`.

    Attributes:
        plan: (nodes, 6), of each node: its channels; its slot; of two sources slot and channels, the first slot -1 for
            an input and the second for a product, which has instead the place where its weights begin.
        settings: (nodes, 4), of each node: what values below zero are multiplied by, the limit, and of a sum what each
            source is multiplied by.
        weights: of each product weight (C, C') and bias (C',), one after another.
        width: the most channels of a node.
    """

    plan: Int64
    settings: Float32
    weights: Float32
    width: int

    def room(self, rows: int) -> Float32:
        """Slots for the values of nodes of so many rows."""
        return np.empty((int(self.plan[:, 1].max()) + 1, rows * self.width), dtype=np.float32)
