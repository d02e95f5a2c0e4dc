"""Log-probabilities of the model's families, in nats, differentiable and numerically stable."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from selfcodec.coding.mixture import WINDOW
from selfcodec.coding.tables import LATENT_LOG_SCALES, LOG_SCALE_STEP, PIXEL_LOG_SCALES
from selfcodec.likelihoods.layout import LOG_SCALE_OFFSET, MEAN_UNIT, WINDOW_BELOW, PixelLayout


@dataclass(frozen=True)
class Centre:
    """What a pixel likelihood's parameters are relative to.

    Attributes:
        base: (B, C, H, W), the prediction that means are offsets from, in grey levels.
        unit: grey levels for one unit of a mean output; a number, or (B, 1, H, W).
        log_scale: what is added to log-scales, likewise.
    """

    base: Tensor
    unit: float | Tensor = MEAN_UNIT
    log_scale: float | Tensor = LOG_SCALE_OFFSET


def _pixel_scales(raw: Tensor, centre: Centre) -> Tensor:
    low, high = PIXEL_LOG_SCALES
    return (raw + centre.log_scale).clamp(low, high - LOG_SCALE_STEP)


def latent_log_scale(raw: Tensor) -> Tensor:
    """A network's output as the natural logarithm of a Gaussian's standard deviation, within the tables' bounds."""
    low, high = LATENT_LOG_SCALES
    return raw.clamp(low, high - LOG_SCALE_STEP)


Blocks = Callable[[slice], Tensor]


def _blocks(params: Tensor, layout: PixelLayout) -> Blocks:
    """The parameters at a slice of `layout`, cut by one `split`: each slice would have a full tensor as gradient."""
    parts = params.split(layout.mixtures, 1)
    return lambda at: parts[at.start // layout.mixtures]


def _channel_means(blocks: Blocks, x: Tensor, centre: Centre, layout: PixelLayout, c: int) -> Tensor:
    """Means (B, M, H, W) of channel c in grey levels, given the true values of the channels before it."""
    base = centre.base
    mean = base[:, c : c + 1] + centre.unit * blocks(layout.means(c))
    for e in range(c):
        mean = mean + blocks(layout.coefficients(c, e)) * (x[:, e : e + 1] - base[:, e : e + 1])
    return mean


def _log_mass(low: Tensor, high: Tensor, means: Tensor, inverse: Tensor) -> Tensor:
    """log of logistics' mass on the integers low..high, the bins of 0 and 255 taking the tails; nats.

    With a = (high + 1/2 - m) / s and b = (low - 1/2 - m) / s,
    log(sigm(a) - sigm(b)) = log sigm(a) + log sigm(-b) + log(1 - e^-(a-b)) has no cancellation.
    """
    above = (high - means + 0.5) * inverse
    below = (low - means - 0.5) * inverse
    lower_tail, upper_tail = low <= 0, high >= 255
    return (
        -F.softplus(-above).masked_fill(upper_tail, 0.0)
        - F.softplus(below).masked_fill(lower_tail, 0.0)
        + torch.log(-torch.expm1((low - high - 1) * inverse)).masked_fill(lower_tail | upper_tail, 0.0)
    )


def window_start(base: Tensor) -> Tensor:
    """The lowest of the WINDOW values that a known sum leaves possible, if it leaves `base` on average."""
    return (base - WINDOW_BELOW).clamp(0, 256 - WINDOW)


def dmol_log_prob(
    params: Tensor, x: Tensor, centre: Centre, layout: PixelLayout, known: Tensor | None = None
) -> Tensor:
    """Discretized mixture of logistics with channel autoregression (paper eq. 14, 16, 19).

    Args:
        params: (B, layout.size, H, W); see `PixelLayout`.
        x: (B, C, H, W), integers 0..255.
        centre: what they are relative to.
        known: (B,) bool, images where x is known to be in the window around the base, to which the mixture is
            restricted; none by default, and none of a joint mixture.

    Returns:
        nats, (B, C, H, W); of a joint mixture (B, 1, H, W).
    """
    blocks = _blocks(params, layout)
    logits, means, scales = [], [], []
    for c in range(layout.channels):
        logits.append(blocks(layout.logits(c)))
        means.append(_channel_means(blocks, x, centre, layout, c))
        scales.append(_pixel_scales(blocks(layout.log_scales(c)), centre))
    weight = torch.log_softmax(torch.stack(logits, 1), 2)  # (B, C, M, H, W)
    inverse = torch.exp(-torch.stack(scales, 1))
    mean = torch.stack(means, 1)
    value = x.unsqueeze(2)
    log_mass = _log_mass(value, value, mean, inverse)
    if layout.joint:
        return torch.logsumexp(weight[:, :1] + log_mass.sum(1, keepdim=True), 2)
    log_prob = torch.logsumexp(weight + log_mass, 2)
    if known is None:
        return log_prob
    low = window_start(centre.base).unsqueeze(2)
    log_window = torch.logsumexp(weight + _log_mass(low, low + WINDOW - 1, mean, inverse), 2)
    return log_prob - log_window * known.float()[:, None, None, None]


@torch.no_grad()
def dmol_mean(params: Tensor, centre: Centre, layout: PixelLayout) -> Tensor:
    """The mixture's mean, rounded and clamped to 0..255, channel after channel; (B, C, H, W)."""
    out, blocks = torch.zeros_like(centre.base), _blocks(params, layout)
    for c in range(layout.channels):
        weight = torch.softmax(blocks(layout.logits(c)), 1)
        mean = (weight * _channel_means(blocks, out, centre, layout, c)).sum(1)
        out[:, c] = torch.floor(mean + 0.5).clamp(0, 255)
    return out


@torch.no_grad()
def dmol_sample(params: Tensor, centre: Centre, layout: PixelLayout, *, known: bool = False) -> Tensor:
    """A draw from the mixture, channel after channel; integers 0..255, (B, C, H, W).

    With `known` all images' values are among those in the window around `base`.
    """
    base, blocks, chosen = centre.base, _blocks(params, layout), None
    out = torch.zeros_like(base)
    for c in range(layout.channels):
        if known:
            candidates = [out.clone() for _ in range(WINDOW)]
            for i, candidate in enumerate(candidates):
                candidate[:, c] = window_start(base[:, c]) + i
            log_probs = [dmol_log_prob(params, candidate, centre, layout)[:, c] for candidate in candidates]
            chances = torch.softmax(torch.stack(log_probs, -1), -1)  # (B, H, W, WINDOW)
            drawn = torch.multinomial(chances.flatten(0, 2), 1).view(chances.shape[:3])
            out[:, c] = window_start(base[:, c]) + drawn
            continue
        if chosen is None or not layout.joint:  # of a joint mixture one component is chosen for all channels
            weight = torch.softmax(blocks(layout.logits(c)), 1).movedim(1, -1)  # (B, H, W, M)
            chosen = torch.multinomial(weight.flatten(0, 2), 1).view(*weight.shape[:3])[:, None]
        mean = _channel_means(blocks, out, centre, layout, c).gather(1, chosen)[:, 0]
        scale = _pixel_scales(blocks(layout.log_scales(c)), centre).exp().gather(1, chosen)[:, 0]
        noise = torch.logit(torch.rand_like(mean).clamp(1e-6, 1 - 1e-6))
        out[:, c] = torch.floor(mean + scale * noise + 0.5).clamp(0, 255)
    return out


def gaussian_log_prob(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """log N(x | mean, exp(log_scale)^2), elementwise, nats."""
    return -0.5 * ((x - mean) * torch.exp(-log_scale)) ** 2 - log_scale - 0.5 * math.log(2 * math.pi)


def gaussian_bin_log_prob(x: Tensor, mean: Tensor, log_scale: Tensor, width: Tensor) -> Tensor:
    """log of the Gaussian's mass in [x - width/2, x + width/2], elementwise, nats.

    Evaluated in the lower tail, where the normal CDF has full relative precision; in float64, since in float32 the
    gradient of log_ndtr is wrong from some thousand deviations on.
    """
    distance, inverse = (x - mean).abs().double(), torch.exp(-log_scale.double())
    upper = torch.special.log_ndtr((0.5 * width - distance) * inverse)
    lower = torch.special.log_ndtr((-0.5 * width - distance) * inverse)
    return (upper + torch.log(-torch.expm1((lower - upper).clamp_max(-1e-6)))).to(x.dtype)
