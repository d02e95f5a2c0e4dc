"""What a model's likelihoods are on a data set."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from selfcodec.models.data import Images
from selfcodec.models.draws import seeded
from selfcodec.models.selfvae import SelfVAE

PIXELS = 1 << 16
"""Samples are drawn for about so many pixels together, which bounds memory."""
PIXELS_AT_ONCE = 1 << 18
"""A data set is gone through in batches of at most about so many pixels, for the same reason."""


def bits_per_dim(rates: dict[str, Tensor], dims: int) -> dict[str, float]:
    """Mean rates in bits per dimension from rates (B,) in nats; `dims` is H * W * C of x."""
    return {name: float(rate.detach().mean()) / dims / math.log(2) for name, rate in rates.items()}


@torch.no_grad()
def evaluate(model: SelfVAE, images: Images, batch: int = 64) -> dict[str, float]:
    """The terms of the negative evidence lower bound in bits per dimension, averaged over a data set.

    One posterior sample an image is drawn. Of large images fewer than `batch` are taken together.
    """
    total: dict[str, float] = {}
    batch = max(1, min(batch, PIXELS_AT_ONCE // max(height * width for height, width in images.sizes)))
    with seeded(0, images.device):
        for ys in images.batches(batch):
            for name, bpd in bits_per_dim(model(ys), ys[0][0].numel()).items():
                total[name] = total.get(name, 0.0) + bpd * len(ys[0]) / len(images)
    return total


@dataclass(frozen=True)
class Bounds:
    """Upper bounds of one image's -log p(x, y), in nats.

    Attributes:
        rates: the terms of the negative evidence lower bound by variable, means over posterior samples.
        weighted: the importance weighted bound of the same samples (Burda et al. 2016,
            https://arxiv.org/abs/1509.00519), never above the sum of `rates`.
    """

    rates: dict[str, float]
    weighted: float


@torch.no_grad()
def bounds(model: Callable[[list[Tensor]], dict[str, Tensor]], ys: list[Tensor], samples: int) -> Bounds:
    """Bounds by a number of posterior samples, averaged in float64.

    Args:
        model: gives the rates of a batch by variable, (B,), nats, each from one posterior sample.
        ys: [x, y_1, ..., y_K] of one image, each (1, C, H, W).
        samples: at least 1.
    """
    most = max(1, PIXELS // ys[0][0, 0].numel())
    parts = []
    for start in range(0, samples, most):
        count = min(most, samples - start)
        found = model([y.expand(count, -1, -1, -1) for y in ys])
        parts.append({name: rate.double().cpu() for name, rate in found.items()})
    rates = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    log_weights = -torch.stack(list(rates.values())).sum(0)  # (samples,)
    weighted = math.log(samples) - float(torch.logsumexp(log_weights, 0))
    return Bounds({name: float(rate.mean()) for name, rate in rates.items()}, weighted)
