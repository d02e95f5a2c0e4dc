"""The probability tables: logistic and normal CDF, exponentials, scales of widths; integers, shipped as data.

`python -m selfcodec.coding.tables` computes them afresh with mpmath and writes
`data/tables.npz`. The codec only ever reads the file and refuses one with another hash: no libm takes part in decoding.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from selfcodec.arrays import Int64
from selfcodec.errors import ModelError

TABLES = Path(__file__).parents[1] / "data" / "tables.npz"

PIXEL_LOG_SCALES = (-2.5, 5.5)
"""The natural logarithm of a logistic's scale, in grey levels, lies in [low, high)."""
LATENT_LOG_SCALES = (-4.0, 4.0)
"""The natural logarithm of a Gaussian's standard deviation lies in [low, high)."""
LOG_SCALE_STEP = 1 / 32
COUPLING_LIMIT = 2.0
"""A coupling layer's log-scale has at most this magnitude."""
CDF_BITS = 30
"""A CDF entry is the probability times 2**30."""
CDF_RANGE = 20
"""CDF tables cover arguments in [-20, 20]."""
CDF_STEP_BITS = 6
"""Table entries are 2**-6 apart; values in between are interpolated linearly."""
INVERSE_BITS = 16
"""Inverse scales are in units of 2**-16."""
WEIGHT_BITS = 16
"""exp(logit - largest logit) is in units of 2**-16."""
WEIGHT_STEP_BITS = 6
"""Logit differences are rounded to 2**-6."""
WEIGHT_RANGE = 16
COUPLING_BITS = 16
"""exp(s) of coupling layers is in units of 2**-16."""
COUPLING_STEP_BITS = 6
GRID_STEPS = 16
"""Standard deviations in units of a grid's width have so many steps an octave."""
GRID_LOWEST, GRID_HIGHEST = -72, 21
"""Of those steps, with 0 for a width, the table of symbols goes from the one to the other: from 0.04 to 2.5 widths."""
QUALITY_BITS = 16
"""Scales of grids' widths are in units of 2**-16; quality 50 is 1, and 12.5 more halve the width."""

PRECISION = 24
"""Probabilities of symbols are multiples of 2**-24, at least 1: constriction's default."""
STATE_WORDS = 2
"""An ANS coder's state has so many 32-bit words."""
RENEWED = 1 << 12
"""Where random words might not suffice for the symbols that come next, so many new ones, and one for each symbol, take
their place."""

SHA256 = "0ae3b1a61d1b25289bd4485d3e368327427a0f7af069c9ebcd9d7990303d1ed5"


@dataclass(frozen=True)
class Tables:
    """All int64.

    Attributes:
        logistic, normal: CDFs on a grid of 2**-6 over [-20, 20], times 2**30; monotone.
        pixel_inverse_scale, latent_inverse_scale: exp(-log_scale) by index of log-scale, times 2**16.
        weight: exp(-i / 64), times 2**16, for i in [0, 1024].
        coupling: exp(i / 64 - 2), times 2**16, for i in [0, 256].
        quality: scale of grids' widths at quality 1..100 (index 0 unused), times 2**16.
        grid_inverse_scale: 2**-(i / 16) for i from GRID_LOWEST to GRID_HIGHEST, times 2**16.
    """

    logistic: Int64
    normal: Int64
    pixel_inverse_scale: Int64
    latent_inverse_scale: Int64
    weight: Int64
    coupling: Int64
    quality: Int64
    grid_inverse_scale: Int64


def _compute() -> dict[str, Int64]:
    import mpmath

    mpmath.mp.prec = 200

    def scaled(value: mpmath.mpf, bits: int) -> int:
        return int(mpmath.floor(value * 2**bits + mpmath.mpf(1) / 2))

    half = CDF_RANGE << CDF_STEP_BITS
    arguments = [mpmath.mpf(i) / 2**CDF_STEP_BITS for i in range(-half, half + 1)]

    def inverse_scales(low: float, high: float) -> list[int]:
        count = round((high - low) / LOG_SCALE_STEP)
        return [scaled(mpmath.exp(-(low + i * mpmath.mpf(LOG_SCALE_STEP))), INVERSE_BITS) for i in range(count)]

    coupling_half = round(COUPLING_LIMIT) << COUPLING_STEP_BITS
    values = {
        "logistic": [scaled(1 / (1 + mpmath.exp(-t)), CDF_BITS) for t in arguments],
        "normal": [scaled(mpmath.ncdf(t), CDF_BITS) for t in arguments],
        "pixel_inverse_scale": inverse_scales(*PIXEL_LOG_SCALES),
        "latent_inverse_scale": inverse_scales(*LATENT_LOG_SCALES),
        "weight": [
            scaled(mpmath.exp(-mpmath.mpf(i) / 2**WEIGHT_STEP_BITS), WEIGHT_BITS)
            for i in range((WEIGHT_RANGE << WEIGHT_STEP_BITS) + 1)
        ],
        "coupling": [
            scaled(mpmath.exp(mpmath.mpf(i) / 2**COUPLING_STEP_BITS), COUPLING_BITS)
            for i in range(-coupling_half, coupling_half + 1)
        ],
        "grid_inverse_scale": [
            scaled(mpmath.power(2, -mpmath.mpf(i) / GRID_STEPS), INVERSE_BITS)
            for i in range(GRID_LOWEST, GRID_HIGHEST + 1)
        ],
        "quality": [0] + [scaled(mpmath.power(2, mpmath.mpf(50 - q) / 12.5), QUALITY_BITS) for q in range(1, 101)],
    }
    return {name: np.array(table, dtype=np.int64) for name, table in values.items()}


def _digest(tables: dict[str, Int64]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tables):
        digest.update(name.encode())
        digest.update(tables[name].astype("<i8").tobytes())
    return digest.hexdigest()


@cache
def load_tables() -> Tables:
    """The shipped tables; ModelError where the file is not the one this version was made with."""
    with np.load(TABLES) as archive:
        tables = {name: archive[name] for name in archive.files}
    if _digest(tables) != SHA256:
        raise ModelError("selfcodec/data/tables.npz is not this version's: reinstall selfcodec")
    return Tables(**tables)


def main() -> None:
    """Writes the tables and prints their hash, which belongs into SHA256."""
    tables = _compute()
    np.savez_compressed(TABLES, allow_pickle=False, **tables)
    print(TABLES, _digest(tables))


if __name__ == "__main__":
    main()
