"""What a model's objective is on a data set, and what rounding to integers costs of it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from selfcodec.models.data import ImageSet
from selfcodec.models.selfvae import SelfVAE


def bits_per_dim(rates: dict[str, Tensor], dims: int) -> dict[str, float]:
    """Mean rates in bits per dimension from rates (B,) in nats; `dims` is H * W * C of x."""
    return {name: float(rate.detach().mean()) / dims / math.log(2) for name, rate in rates.items()}


@torch.no_grad()
def evaluate(model: SelfVAE, images: ImageSet, batch: int = 64) -> dict[str, float]:
    """The objective's terms in bits per dimension, averaged over a data set; one posterior sample an image."""
    total: dict[str, float] = {}
    dims = images.ys[0][0].numel()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for ys in images.batches(batch):
            for name, bpd in bits_per_dim(model(ys), dims).items():
                total[name] = total.get(name, 0.0) + bpd * len(ys[0]) / len(images)
    return total


def rounding_loss(model: SelfVAE, images: ImageSet) -> tuple[float, float]:
    """The objective in bits per dimension in floating point, and in the integers of the exported networks."""
    rounded = sum(evaluate(model, images).values())
    formats = {name: net.formats for name, net in model.graphs()}
    for _, net in model.graphs():
        net.formats = {}
    try:
        return sum(evaluate(model, images).values()), rounded
    finally:
        for name, net in model.graphs():
            net.formats = formats[name]
