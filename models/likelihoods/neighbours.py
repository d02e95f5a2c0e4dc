"""The local causal context for training, by the codec's own loop; on a GPU the same in PyTorch.

A head sees every neighbour as its distance from the *base*, the average of the nearest neighbours, divided by a power
of two that follows the local *activity*; means and scales are relative to both. So one small network serves smooth and
busy places alike.
"""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from selfcodec.fixed_point import INPUT_FRACTION, PARAM_FRACTION
from selfcodec.likelihoods.context.neighbours import Scene, gather
from selfcodec.likelihoods.layout import (
    ACTIVITY_CENTRE,
    ACTIVITY_CHANNELS,
    ACTIVITY_LOG_SCALE,
    ACTIVITY_MEAN_UNIT,
    ACTIVITY_NEIGHBOURS,
    ACTIVITY_RANGE,
    ACTIVITY_UNIT,
    ACTIVITY_WITHOUT,
    BASE_NEIGHBOURS,
    CONTEXT_REACH,
    NEIGHBOURS,
    NEUTRAL,
    context_inputs,
)
from selfcodec.models.distributions import Centre
from selfcodec.models.likelihoods.likelihood import MOST_INPUT
from selfcodec.parallel import mapped


@lru_cache(maxsize=8)
def _inside(height: int, width: int, device: torch.device) -> Tensor:
    """Whether each neighbour of each pixel lies in the image, float (1, H, W, N, 1)."""
    return _neighbours(torch.ones(1, 1, height, width, device=device))


def _neighbours(x: Tensor) -> Tensor:
    """Every pixel's neighbours, zero beyond the image: (B, C, H, W) to (B, H, W, N, C)."""
    height, width = x.shape[2:]
    padded = F.pad(x, (CONTEXT_REACH, CONTEXT_REACH, CONTEXT_REACH, 0)).permute(0, 2, 3, 1)
    rows = [(CONTEXT_REACH + r, CONTEXT_REACH + c) for r, c in NEIGHBOURS]
    return torch.stack([padded[:, r : r + height, c : c + width] for r, c in rows], 3)


def _seen(x: Tensor, fallback: Tensor, withheld: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A head's inputs (B, H, W, N), the bases (B, H, W, C) and the activity (B, H, W, 1), in PyTorch."""
    b, c, h, w = x.shape
    inside = _inside(h, w, x.device) * (~withheld).float()[:, None, None, None, None]  # (B, H, W, N, 1)
    values = _neighbours(x)  # (B, H, W, N, C)
    near, known = values[:, :, :, BASE_NEIGHBOURS], inside[:, :, :, BASE_NEIGHBOURS]
    count = known.sum(3)  # (B, H, W, 1)
    average = torch.floor((2 * (near * known).sum(3) + count) / (2 * count).clamp_min(1))
    base = torch.where(count > 0, average, fallback.permute(0, 2, 3, 1))  # (B, H, W, C)
    distance = (values - base[:, :, :, None]) * inside
    total = distance[:, :, :, ACTIVITY_NEIGHBOURS].abs().sum((3, 4)) * ACTIVITY_CHANNELS / c
    length = torch.frexp(torch.floor(total))[1].to(x.dtype).clamp(*ACTIVITY_RANGE)  # binary digits, (B, H, W)
    activity = torch.where(count[..., 0] > 0, length, float(ACTIVITY_WITHOUT))[..., None]
    unit = torch.exp2(activity - ACTIVITY_UNIT)
    scaled = (distance / unit[..., None]).clamp(-MOST_INPUT, MOST_INPUT).reshape(b, h, w, -1)
    return (
        torch.cat([scaled, (activity - ACTIVITY_CENTRE) / 2, (base - NEUTRAL) / 64, (count > 0).to(x.dtype)], 3),
        base,
        activity,
    )


def _gathered(x: Tensor, fallback: Tensor, withheld: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same by the codec's own compiled loop, which is faster on a processor (docs/decisions/0005)."""
    b, c, h, w = x.shape
    planes, fallbacks = (
        values.to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy() for values in (x, fallback)
    )  # (B, H, W, C)
    places = np.insert(np.stack(np.divmod(np.arange(h * w, dtype=np.int32), w), 1), 0, 0, axis=1)
    inputs = np.empty((b, h * w, context_inputs(c)), dtype=np.float32)
    bases, activity = np.empty((b, h * w, c), dtype=np.int64), np.empty((b, h * w), dtype=np.int64)
    widths, features = np.array([w]), np.empty((1, h, w, 0), dtype=np.int16)
    tasks = [
        partial(gather, Scene(plane[None], widths, known[None], features, max(h, w)), places, not hidden, *rows)
        for plane, known, hidden, *rows in zip(
            planes, fallbacks, withheld.tolist(), inputs, bases, activity, strict=True
        )
    ]
    for _ in mapped(tasks):
        pass
    scaled = torch.from_numpy(inputs).mul_(2.0**-INPUT_FRACTION)
    rows = (scaled, torch.from_numpy(bases).to(x.dtype), torch.from_numpy(activity).to(x.dtype))
    seen, base, found = (values.view(b, h, w, -1) for values in rows)
    return seen, base, found


@torch.no_grad()
def context_of(x: Tensor, fallback: Tensor, withheld: Tensor) -> tuple[Tensor, Centre]:
    """A context head's inputs, and what its outputs are relative to.

    Args:
        x: (B, C, H, W), grey levels.
        fallback: (B, C, H, W), the base where no neighbour is known.
        withheld: (B,) bool, images whose neighbours are hidden.

    Returns:
        (B, layout.context_inputs(C), H, W), and the centre.
    """
    seen = _gathered if x.device.type == "cpu" else _seen
    inputs, base, activity = seen(x, fallback, withheld)
    unit = torch.exp2(activity - ACTIVITY_UNIT)
    centre = Centre(
        base.permute(0, 3, 1, 2),
        (ACTIVITY_MEAN_UNIT * unit).permute(0, 3, 1, 2),
        ((activity - ACTIVITY_UNIT) * (ACTIVITY_LOG_SCALE / 2**PARAM_FRACTION)).permute(0, 3, 1, 2),
    )
    return inputs.permute(0, 3, 1, 2), centre
