"""What a model's likelihoods are on a data set."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from selfcodec.models.data import Images
from selfcodec.models.selfvae import SelfVAE


def bits_per_dim(rates: dict[str, Tensor], dims: int) -> dict[str, float]:
    """Mean rates in bits per dimension from rates (B,) in nats; `dims` is H * W * C of x."""
    return {name: float(rate.detach().mean()) / dims / math.log(2) for name, rate in rates.items()}


@torch.no_grad()
def evaluate(model: SelfVAE, images: Images, batch: int = 64) -> dict[str, float]:
    """The terms of the negative evidence lower bound in bits per dimension, averaged over a data set.

    One posterior sample an image is drawn.
    """
    total: dict[str, float] = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for ys in images.batches(batch):
            for name, bpd in bits_per_dim(model(ys), ys[0][0].numel()).items():
                total[name] = total.get(name, 0.0) + bpd * len(ys[0]) / len(images)
    return total
