"""The shipped probability tables: against mpmath, against libm, monotone, and guarded by their hash."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import mpmath
import numpy as np
import pytest

from selfcodec.coding import tables
from selfcodec.coding.tables import Tables, load_tables
from selfcodec.errors import ModelError

NAMES = (
    "logistic",
    "normal",
    "pixel_inverse_scale",
    "latent_inverse_scale",
    "weight",
    "coupling",
    "quality",
    "grid_inverse_scale",
)
SAMPLED = 61
"""Every 61st entry, and the last, is computed afresh."""
CDF_UNIT, UNIT = 2**30, 2**16

# Other formulas than those that wrote the tables: tanh for the logistic CDF, erfc for the normal one.
EXACT: dict[str, Callable[[int], mpmath.mpf]] = {
    "logistic": lambda i: CDF_UNIT * (1 + mpmath.tanh(mpmath.mpf(i - 1280) / 128)) / 2,
    "normal": lambda i: CDF_UNIT * mpmath.erfc(-mpmath.mpf(i - 1280) / 64 / mpmath.sqrt(2)) / 2,
    "pixel_inverse_scale": lambda i: UNIT / mpmath.exp(mpmath.mpf(i) / 32 - mpmath.mpf(5) / 2),
    "latent_inverse_scale": lambda i: UNIT / mpmath.exp(mpmath.mpf(i) / 32 - 4),
    "weight": lambda i: UNIT / mpmath.exp(mpmath.mpf(i) / 64),
    "coupling": lambda i: UNIT * mpmath.exp(mpmath.mpf(i - 128) / 64),
    "quality": lambda i: UNIT * mpmath.root(2, 25) ** (2 * (50 - i)) if i else mpmath.mpf(0),
    "grid_inverse_scale": lambda i: UNIT * mpmath.root(2, 16) ** (72 - i),
}
LIBM: dict[str, Callable[[int], float]] = {
    "logistic": lambda i: CDF_UNIT / (1 + math.exp(-(i - 1280) / 64)),
    "normal": lambda i: CDF_UNIT * 0.5 * math.erfc(-(i - 1280) / 64 / math.sqrt(2)),
    "pixel_inverse_scale": lambda i: UNIT * math.exp(2.5 - i / 32),
    "latent_inverse_scale": lambda i: UNIT * math.exp(4 - i / 32),
    "weight": lambda i: UNIT * math.exp(-i / 64),
    "coupling": lambda i: UNIT * math.exp((i - 128) / 64),
    "quality": lambda i: UNIT * 2 ** ((50 - i) / 12.5) if i else 0.0,
    "grid_inverse_scale": lambda i: UNIT * 2 ** ((72 - i) / 16),
}
SIZES = {
    "logistic": 2561,
    "normal": 2561,
    "pixel_inverse_scale": 256,
    "latent_inverse_scale": 256,
    "weight": 1025,
    "coupling": 257,
    "quality": 101,
    "grid_inverse_scale": 94,
}
INCREASING = {"logistic", "normal", "coupling"}


def table(name: str) -> np.ndarray:
    values = getattr(load_tables(), name)
    assert isinstance(values, np.ndarray)
    return values


@pytest.mark.parametrize("name", NAMES)
def test_sampled_entries_are_correctly_rounded(name: str) -> None:
    values = table(name)
    with mpmath.workprec(300):
        for i in {*range(0, len(values), SAMPLED), len(values) - 1}:
            assert values[i] == int(mpmath.floor(EXACT[name](i) + mpmath.mpf(1) / 2)), (name, i)


def test_computing_them_afresh_gives_the_shipped_hash() -> None:
    precision = mpmath.mp.prec
    try:
        assert tables._digest(tables._compute()) == tables.SHA256
    finally:
        mpmath.mp.prec = precision


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_is_within_one_unit_of_libm(name: str) -> None:
    expected = np.array([LIBM[name](i) for i in range(SIZES[name])])
    assert table(name).dtype == np.int64
    assert table(name).shape == expected.shape
    assert np.abs(table(name) - expected).max() < 1


@pytest.mark.parametrize("name", NAMES)
def test_monotone_and_nonnegative(name: str) -> None:
    values = table(name)[1:] if name == "quality" else table(name)
    steps = np.diff(values)
    assert (steps >= 0).all() if name in INCREASING else (steps <= 0).all()
    assert values.min() >= 0


def test_distributions_stay_below_one() -> None:
    for name in ("logistic", "normal"):
        assert 0 <= table(name)[0] <= 3
        assert 2**30 - 3 <= table(name)[-1] <= 2**30


def test_quality_50_is_the_model_s_own_step_and_12_and_a_half_halve_it() -> None:
    quality = table("quality")
    assert quality[50] == 2**16
    assert quality[100] == 2**12
    assert quality[75] == 2**14


def test_fields_are_all_there() -> None:
    assert set(NAMES) == set(Tables.__dataclass_fields__)


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the file of tables, which the uncached loader then reads."""
    copy = tmp_path / "tables.npz"
    shutil.copy(tables.TABLES, copy)
    monkeypatch.setattr(tables, "TABLES", copy)
    return copy


def test_the_copy_loads(copied: Path) -> None:
    loaded = load_tables.__wrapped__()
    assert all((getattr(loaded, name) == table(name)).all() for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_one_changed_entry_is_noticed(copied: Path, name: str) -> None:
    changed = {key: table(key).copy() for key in NAMES}
    changed[name][7] += 1
    np.savez_compressed(copied, allow_pickle=False, **changed)
    with pytest.raises(ModelError, match="reinstall"):
        load_tables.__wrapped__()


def test_a_missing_table_is_noticed(copied: Path) -> None:
    np.savez_compressed(copied, allow_pickle=False, **{key: table(key) for key in NAMES[1:]})
    with pytest.raises(ModelError, match="reinstall"):
        load_tables.__wrapped__()
