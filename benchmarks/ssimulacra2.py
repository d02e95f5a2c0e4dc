"""SSIMULACRA 2, version 2.1: how people judge a compressed picture beside its original.

    s      = sum over channels c, scales k, norms n and maps m of WEIGHTS[c, k, n, m] * norm_n(map_m of c at k)
    score  = 100 - 10 p(s)^0.6276, p a polynomial of third degree

    channels: X, Y, B - Y of the colour space XYB           norms: mean, fourth root of the mean of fourth powers
    scales:   1:1 to 1:32, halved in linear light           maps:  1 - SSIM, edges that came, edges that went

Sneyers 2022 and 2023, https://github.com/cloudinary/ssimulacra2. Formulas, weights and constants are those of
tools/ssimulacra2.cc in libjxl 0.11 (Copyright (c) the JPEG XL Project Authors, BSD licence), whose recursive blur in
single precision adds rounding: the tool's scores of Kodak's images as JPEG, WebP and AVIF lie within 0.25 of these, but
up to 1.5 below them where much of a picture is flat and little changed. This is not a package from PyPI since the one
there, ssimulacra2 0.3.0, blurs with another kernel: its scores of the same files lie up to 6 below the tool's.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from selfcodec.arrays import Float64, UInt8
from selfcodec.errors import InputError

SCALES = 6
SIDE = 113
"""An image needs sides of so many pixels to have six scales there; the weights mean nothing with fewer."""
SIGMA, RADIUS = 1.5, 5
"""The blur's standard deviation, and where its kernel has come down to zero, pixels."""
C2 = 0.0009
"""This keeps SSIM's quotient of variances finite."""
OPSIN = np.array(
    [[0.3, 0.622, 0.078], [0.23, 0.692, 0.078], [0.24342268924547819, 0.20476744424496821, 0.5518098665095537]]
)
"""Rows are what long, medium and short cones take of linear red, green and blue."""
BIAS = 0.0037930732552754493
"""This is added to what cones take."""
WEIGHTS = np.array(
    [
        # X, scale after scale: mean norms, then fourth-power norms.
        [0.0, 0.0007376606707406586, 0.0],
        [0.0, 0.0007793481682867309, 0.0],
        [0.0, 0.0004371155730107379, 0.0],
        [1.1041726426657346, 0.00066284834129271, 0.00015231632783718752],
        [0.0, 0.0016406437456599754, 0.0],
        [1.8422455520539298, 11.441172603757666, 0.0],
        [0.0007989109436015163, 0.000176816438078653, 0.0],
        [1.8787594979546387, 10.94906990605142, 0.0],
        [0.0007289346991508072, 0.9677937080626833, 0.0],
        [0.00014003424285435884, 0.9981766977854967, 0.00031949755934435053],
        [0.0004550992113792063, 0.0, 0.0],
        [0.0013648766163243398, 0.0, 0.0],
        # Y, scale after scale: mean norms, then fourth-power norms.
        [0.0, 0.0, 0.0],
        [7.466890328078848, 0.0, 17.445833984131262],
        [0.0006235601634041466, 0.0, 0.0],
        [6.683678146179332, 0.00037724407979611296, 1.027889937768264],
        [225.20515300849274, 0.0, 0.0],
        [19.213238186143016, 0.0011401524586618361, 0.001237755635509985],
        [176.39317598450694, 0.0, 0.0],
        [24.43300999870476, 0.28520802612117757, 0.0004485436923833408],
        [0.0, 0.0, 0.0],
        [34.77906344483772, 44.835625328877896, 0.0],
        [0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0],
        # B - Y, scale after scale: mean norms, then fourth-power norms.
        [0.0, 0.0008680556573291698, 0.0],
        [0.0, 0.0, 0.0],
        [0.0, 0.0005313191874358747, 0.0],
        [0.00016533814161379112, 0.0, 0.0],
        [0.0, 0.0, 0.0],
        [0.0004179171803251336, 0.0017290828234722833, 0.0],
        [0.0020827005846636437, 0.0, 0.0],
        [8.826982764996862, 23.19243343998926, 0.0],
        [95.1080498811086, 0.9863978034400682, 0.9834382792465353],
        [0.0012286405048278493, 171.2667255897307, 0.9807858872435379],
        [0.0, 0.0, 0.0],
        [0.0005130064588990679, 0.0, 0.00010854057858411537],
    ]
).reshape(3, SCALES, 2, 3)
"""Indices are channel, scale, norm and map."""


def _linear_light() -> Float64:
    """Return what a display makes of samples 0..255, 0..1 (IEC 61966-2-1)."""
    v = np.arange(256) / 255
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def _kernel() -> Float64:
    """Return the blur's kernel (2 RADIUS + 1,), a Gaussian made of three cosines.

    Charalampidis 2016, https://doi.org/10.1109/TSP.2016.2549985: the kernel is sum_k b_k cos(w_k n), w_k = k pi / 2
    RADIUS, k = 1, 3, 5; b is what is nearest to a Gaussian's spectrum and makes the sum 1 and the variance SIGMA^2.
    """
    n = np.arange(-RADIUS, RADIUS + 1)
    w = np.pi / (2 * RADIUS) * np.array([1, 3, 5])
    cosines = np.cos(np.outer(w, n))  # (3, 2 RADIUS + 1)
    spectrum = np.exp(-((SIGMA * w) ** 2) / 2) / RADIUS
    moments = np.stack([cosines.sum(1), cosines @ n**2])  # (2, 3)
    missing = np.array([1, SIGMA**2]) - moments @ spectrum
    kernel: Float64 = (spectrum + np.linalg.pinv(moments) @ missing) @ cosines
    return kernel


LIGHT, KERNEL = _linear_light(), _kernel()


def _blurred(x: Float64) -> Float64:
    """Return channels (C, H, W) blurred; beyond their borders all is 0."""
    try:
        from scipy.ndimage import correlate1d
    except ImportError as error:
        raise InputError("SSIMULACRA 2 needs the package scipy: pip install 'selfcodec[bench]'") from error
    rows: Float64 = correlate1d(x, KERNEL, 1, mode="constant")
    both: Float64 = correlate1d(rows, KERNEL, 2, mode="constant")
    return both


def _halved(x: Float64) -> Float64:
    """Return means of 2x2 samples of (3, H, W), the last row and column counted twice where their number is odd."""
    x = np.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2)), mode="edge")
    means: Float64 = x.reshape(3, x.shape[1] // 2, 2, x.shape[2] // 2, 2).mean((2, 4))
    return means


def _channels(light: Float64) -> Float64:
    """Return X, Y and B - Y, about 0..1, of linear red, green and blue (3, H, W)."""
    long, medium, short = np.cbrt(np.tensordot(OPSIN, light, 1) + BIAS) - np.cbrt(BIAS)
    x, y = (long - medium) / 2, (long + medium) / 2
    return np.stack([14 * x + 0.42, y + 0.01, short - y + 0.55])


def _maps(a: Float64, b: Float64) -> Iterator[Float64]:
    """Yield where b is worse than a, all (3, H, W): in structure, by edges that came, and by edges that went."""
    mean_a, mean_b, aa, bb, ab = (_blurred(x) for x in (a, b, a * a, b * b, a * b))
    covariance, variances = ab - mean_a * mean_b, aa - mean_a**2 + bb - mean_b**2
    # Unlike in SSIM, means are not compared in relation to their size, since XYB is even to the eye already.
    similarity = (1 - (mean_a - mean_b) ** 2) * (2 * covariance + C2) / (variances + C2)
    yield np.maximum(1 - similarity, 0)
    edges = (1 + abs(b - mean_b)) / (1 + abs(a - mean_a)) - 1
    yield np.maximum(edges, 0)
    yield np.maximum(-edges, 0)


def ssimulacra2(image: UInt8, other: UInt8) -> float | None:
    """Return the score of an image beside its original, both (H, W, C) in sRGB, C = 1 or 3; None where too small.

    100 is for equal ones; 90 is hard to tell from the original when they are flickered, 70 is high, 50 medium and 30
    low quality; below 0 a picture is badly distorted. The first one is the original: the score is not symmetrical.

    Raises:
        InputError: the package scipy is missing.
    """
    if image.shape != other.shape or image.dtype != np.uint8 or other.dtype != np.uint8:
        raise ValueError(f"SSIMULACRA 2 of {image.shape} {image.dtype} and {other.shape} {other.dtype}")
    if min(image.shape[:2]) < SIDE:
        return None
    if np.array_equal(image, other):
        return 100.0
    a, b = (LIGHT[np.broadcast_to(x, (*x.shape[:2], 3)).transpose(2, 0, 1)] for x in (image, other))  # (3, H, W)
    total = 0.0
    for scale in range(SCALES):
        if scale:
            a, b = _halved(a), _halved(b)
        for i, worse in enumerate(_maps(_channels(a), _channels(b))):
            fourth = np.sqrt(np.sqrt(np.mean(np.square(np.square(worse)), (1, 2))))
            norms = np.stack([worse.mean((1, 2)), fourth], 1)  # (3, 2)
            total += float((WEIGHTS[:, scale, :, i] * norms).sum())
    s = 0.9562382616834844 * total
    p = 2.326765642916932 * s - 0.020884521182843837 * s**2 + 6.248496625763138e-05 * s**3
    return 100 - 10 * max(p, 0.0) ** 0.6276336467831387
