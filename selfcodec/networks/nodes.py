"""A network's nodes as arrays, which compiled loops walk."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from selfcodec.arrays import Float32, Int16, Int32, Int64

TILE_ROWS, TILE_COLUMNS = 6, 16
"""Products are computed in tiles of so many rows and columns, see `microkernel`."""


def filled_up(count: int, tile: int) -> int:
    """So many rows or columns, and those that fill the last tile."""
    return -(-count // tile) * tile


class Nodes(NamedTuple):
    """A network of 1x1 convolutions and sums for compiled loops, see `pointwise_loops.run`.

    Channels of nodes are filled up with zeros to a multiple of the tiles' columns.

    Attributes:
        plan: (nodes, 7), of each node: its channels; its slot; slot and channels of what it is made of, -1 for an
            input; of a sum the slot of the other summand; of a product the places where its weights and its columns
            begin; -1 for others.
        settings: (nodes, 4), of each node: what values below zero are multiplied by, the limit, and of a sum what each
            source is multiplied by.
        weights: of each product (C' / TILE_COLUMNS, C / 2, TILE_COLUMNS, 2), one after another.
        biases, scales: of each product (C',), one after another.
        inputs: channels of each input.
        width: the most channels of a node.
    """

    plan: Int64
    settings: Float32
    weights: Int16
    biases: Int32
    scales: Float32
    inputs: Int64
    width: int

    def room(self, rows: int) -> Int16:
        """Slots for the values of nodes of so many rows."""
        slots = int(self.plan[:, 1].max()) + 1
        return np.zeros((slots, filled_up(rows, TILE_ROWS) * self.width), dtype=np.int16)
