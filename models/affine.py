"""Images turned, scaled, sheared and shifted a little at random, as the paper trains on them (section 4.1)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from selfcodec.models import draws

TURN = math.radians(10)
"""The paper does not say how far its random affine maps go; here they turn by at most this, and shear by as much."""
SCALE, SHIFT = 0.1, 0.1
"""They scale by at most this share more or less, and shift by at most this share of half a side."""


def moved(x: Tensor, generator: torch.Generator) -> Tensor:
    """A batch (B, C, H, H), uint8, each image by a map of its own, bilinear; beyond edges it is reflected."""
    chance = 2 * draws.rows(torch.rand(5, draws.whole(len(x)), generator=generator), 1) - 1
    turn, shear = TURN * chance[0], torch.tan(TURN * chance[1])
    size = 1 / (1 + SCALE * chance[2])
    cos, sin = size * turn.cos(), size * turn.sin()
    rows = ((cos, cos * shear - sin, SHIFT * chance[3]), (sin, sin * shear + cos, SHIFT * chance[4]))
    maps = torch.stack([torch.stack(row, 1) for row in rows], 1).to(x.device)  # (B, 2, 3), from the result to x
    grid = F.affine_grid(maps, list(x.shape), align_corners=False)
    values = F.grid_sample(x.float(), grid, padding_mode="reflection", align_corners=False)
    return torch.floor(values + 0.5).clamp(0, 255).to(torch.uint8)
