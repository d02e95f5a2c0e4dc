"""Compiled loops work where their code cannot be kept or read."""

from __future__ import annotations

import errno
from pathlib import Path

import numba
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba.core.caching import IndexDataCacheFile

from selfcodec.compiled import bit_length, compiled


def add_one(value: int) -> int:
    return value + 1


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    return tmp_path


def kept(cache: Path) -> list[Path]:
    return sorted(path for path in cache.rglob("*") if path.is_file())


def test_code_is_kept_and_read_again(cache: Path) -> None:
    assert compiled(add_one)(1) == 2
    assert {path.suffix for path in kept(cache)} == {".nbi", ".nbc"}
    again = compiled(add_one)
    assert again(1) == 2
    assert sum(again.stats.cache_hits.values()) == 1  # type: ignore[attr-defined]


def test_a_full_disk_stops_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(IndexDataCacheFile, "_open_for_write", full)
    assert compiled(add_one)(1) == 2
    assert not kept(cache)


def test_a_folder_that_is_gone_stops_nothing(cache: Path) -> None:
    function = compiled(add_one)
    for folder in cache.iterdir():
        folder.rmdir()
        folder.write_bytes(b"")
    assert function(1) == 2


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("data", [b"", b"nonsense", b"\x80\x05."])
def test_damaged_code_is_replaced(suffix: str, data: bytes, cache: Path) -> None:
    compiled(add_one)(1)
    (damaged,) = (path for path in kept(cache) if path.suffix == suffix)
    damaged.write_bytes(data)
    assert compiled(add_one)(1) == 2
    again = compiled(add_one)
    assert again(1) == 2
    assert sum(again.stats.cache_hits.values()) == 1  # type: ignore[attr-defined]


def test_a_change_of_any_source_compiles_anew(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of a file whose functions and constants a loop only uses, which numba does not look at."""
    assert compiled(add_one)(1) == 2
    monkeypatch.setattr("selfcodec.compiled._sources_stamp", lambda: (("coding/tables.py", 1, 2),))
    again = compiled(add_one)
    assert again(1) == 2
    assert not sum(again.stats.cache_hits.values())  # type: ignore[attr-defined]


@given(st.integers(0, 63).flatmap(lambda digits: st.sampled_from([2**digits - 1, 2**digits - 2, 2 ** (digits - 1)])))
def test_binary_digits_are_counted(value: int) -> None:
    value = max(0, int(value))
    assert bit_length(value) == value.bit_length()
