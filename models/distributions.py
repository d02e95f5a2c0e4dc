"""Log-probabilities of the model's families, in nats, differentiable and numerically stable."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from selfcodec.layout import (
    LATENT_LOG_SCALES,
    LOG_SCALE_OFFSET,
    LOG_SCALE_STEP,
    MEAN_UNIT,
    PIXEL_LOG_SCALES,
    WINDOW,
    WINDOW_BELOW,
    PixelLayout,
)


def _pixel_scales(raw: Tensor) -> Tensor:
    low, high = PIXEL_LOG_SCALES
    return (raw + LOG_SCALE_OFFSET).clamp(low, high - LOG_SCALE_STEP)


def latent_log_scale(raw: Tensor) -> Tensor:
    low, high = LATENT_LOG_SCALES
    return raw.clamp(low, high - LOG_SCALE_STEP)


def _channel_means(params: Tensor, x: Tensor, base: Tensor, layout: PixelLayout, c: int) -> Tensor:
    """Means (B, M, H, W) of channel c in grey levels, given the true values of the channels before it."""
    mean = base[:, c : c + 1] + MEAN_UNIT * params[:, layout.means(c)]
    for e in range(c):
        mean = mean + params[:, layout.coefficients(c, e)] * (x[:, e : e + 1] - base[:, e : e + 1])
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


def dmol_log_prob(params: Tensor, x: Tensor, base: Tensor, layout: PixelLayout, known: Tensor | None = None) -> Tensor:
    """Discretized mixture of logistics with channel autoregression (paper eq. 14, 16, 19).

    Args:
        params: (B, layout.size, H, W); see `PixelLayout`.
        x: (B, C, H, W), integers 0..255.
        base: (B, C, H, W), the prediction that means are relative to, in grey levels.
        known: (B,) bool, images where x is known to be in the window around `base`, to which the mixture is
            restricted; none by default.

    Returns:
        (B, C, H, W), nats.
    """
    logits, means, scales = [], [], []
    for c in range(layout.channels):
        logits.append(params[:, layout.logits(c)])
        means.append(_channel_means(params, x, base, layout, c))
        scales.append(_pixel_scales(params[:, layout.log_scales(c)]))
    weight = torch.log_softmax(torch.stack(logits, 1), 2)  # (B, C, M, H, W)
    inverse = torch.exp(-torch.stack(scales, 1))
    mean = torch.stack(means, 1)
    value = x.unsqueeze(2)
    log_prob = torch.logsumexp(weight + _log_mass(value, value, mean, inverse), 2)
    if known is None:
        return log_prob
    low = window_start(base).unsqueeze(2)
    log_window = torch.logsumexp(weight + _log_mass(low, low + WINDOW - 1, mean, inverse), 2)
    return log_prob - log_window * known.float()[:, None, None, None]


@torch.no_grad()
def dmol_mean(params: Tensor, base: Tensor, layout: PixelLayout) -> Tensor:
    """The mixture's mean, rounded and clamped to 0..255, channel after channel; (B, C, H, W)."""
    out = torch.zeros_like(base)
    for c in range(layout.channels):
        weight = torch.softmax(params[:, layout.logits(c)], 1)
        mean = (weight * _channel_means(params, out, base, layout, c)).sum(1)
        out[:, c] = torch.floor(mean + 0.5).clamp(0, 255)
    return out


@torch.no_grad()
def dmol_sample(params: Tensor, base: Tensor, layout: PixelLayout, *, known: bool = False) -> Tensor:
    """A draw from the mixture, channel after channel; integers 0..255, (B, C, H, W).

    With `known` all images' values are among those in the window around `base`.
    """
    out = torch.zeros_like(base)
    for c in range(layout.channels):
        if known:
            candidates = [out.clone() for _ in range(WINDOW)]
            for i, candidate in enumerate(candidates):
                candidate[:, c] = window_start(base[:, c]) + i
            log_probs = [dmol_log_prob(params, candidate, base, layout)[:, c] for candidate in candidates]
            chances = torch.softmax(torch.stack(log_probs, -1), -1)  # (B, H, W, WINDOW)
            drawn = torch.multinomial(chances.flatten(0, 2), 1).view(chances.shape[:3])
            out[:, c] = window_start(base[:, c]) + drawn
            continue
        weight = torch.softmax(params[:, layout.logits(c)], 1).movedim(1, -1)  # (B, H, W, M)
        chosen = torch.multinomial(weight.flatten(0, 2), 1).view(*weight.shape[:3])[:, None]
        mean = _channel_means(params, out, base, layout, c).gather(1, chosen)[:, 0]
        scale = _pixel_scales(params[:, layout.log_scales(c)]).exp().gather(1, chosen)[:, 0]
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
