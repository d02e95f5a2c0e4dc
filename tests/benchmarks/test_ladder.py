"""`ladder`: the chains that it checks, its figures and its picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import variants
from benchmark_commands import COUNT, MODES, opened, put_test_set, report, run

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.coders import Coded, picture_of
from selfcodec.benchmarks.figures.ladder import SIDE
from selfcodec.benchmarks.measure import Measured
from selfcodec.benchmarks.own import Own, own_coder
from selfcodec.benchmarks.reports.ladder import Rung, links
from selfcodec.images import Picture
from selfcodec.models.config import Recipe
from selfcodec.modes import Mode
from selfcodec.zoo import Model

pytest_plugins = ("benchmark_fixtures",)


def graded(wrong: str | None = None) -> Callable[[Own, bytes], Picture]:
    """A decoder whose images get better from mode to mode, but for one that comes out grey."""
    decode = Own.decode

    def decode_graded(coder: Own, data: bytes) -> Picture:
        planes = decode(coder, data).planes
        if coder.mode == wrong_mode:
            return picture_of(np.zeros_like(planes))
        if coder.mode is Mode.LOSSLESS:
            return picture_of(planes)
        return picture_of(np.full_like(planes, 100 + 5 * list(MODES).index(str(coder.mode))))

    wrong_mode = None if wrong is None else Mode.parse(wrong)
    return decode_graded


@pytest.fixture
def greys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UInt8:
    """Noisy images around grey level 128 as the test set."""
    chosen = np.random.default_rng(0).integers(120, 136, (2, 32, 32, 3), dtype=np.uint8)
    put_test_set(chosen, tmp_path, monkeypatch)
    return chosen


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (None, "ok     PSNR cg < cr"),
        ("cr", "NOT ok PSNR cg < cr"),
        ("lossless", "NOT ok lossless round trips: 2 failures"),
    ],
)
def test_ladder_checks_its_chains(
    wrong: str | None, line: str, greys: UInt8, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Own, "decode", graded(wrong))
    result = run("ladder", "--model", "tiny", "--limit", "2", "-o", tmp_path / "out")
    assert line in result.stdout.splitlines(), result.output
    assert result.exit_code == (wrong is not None)
    figures = report(tmp_path / "out" / "ladder.json")
    assert all(figures["chains"].values()) == (wrong != "cr")


def test_ladder_reports_bytes_that_do_not_grow(
    greys: UInt8, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = Own.encode

    def same_size(coder: Own, picture: Picture, options: Any) -> Coded:
        return encode(own_coder("tiny", Mode.LOSSLESS), picture, options)

    monkeypatch.setattr(Own, "encode", same_size)
    result = run("ladder", "--model", "tiny", "--limit", "1", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "NOT ok bytes rs1 < rs2" in result.stdout


def test_ladder_writes_figures_and_picture(images: UInt8, tiny_model: Model, tmp_path: Path) -> None:
    result = run("ladder", "--model", "tiny", "-o", tmp_path)
    figures = report(tmp_path / "ladder.json")
    assert result.exit_code == (not all(figures["chains"].values())), result.output
    assert tuple(figures["modes"]) == MODES
    for row in figures["modes"].values():
        assert row["bits_per_dim"] == pytest.approx(8 * row["bytes"] / 3072)
        assert row["ratio"] == pytest.approx(3072 / row["bytes"])
    assert figures["modes"]["lossless"]["psnr"] is None
    assert figures["modes"]["lossless"]["identical"] == COUNT
    width, height = opened(tmp_path / "ladder.png").size
    assert width > 6 * SIDE
    assert height > COUNT * SIDE


def test_a_ladder_of_a_model_that_is_lossy_only(images: UInt8, tmp_path: Path) -> None:
    result = run("ladder", "--model", "photo-lossy", "--limit", "1", "-o", tmp_path)
    figures = report(tmp_path / "ladder.json")
    assert tuple(figures["modes"]) == MODES[:-1]
    assert result.exit_code == (not all(figures["chains"].values())), result.output
    assert "lossless" not in result.stdout


def test_modes_of_a_model_without_transformations(tiny_recipe: Recipe, patches: UInt8) -> None:
    _, model, _ = variants.build(tiny_recipe, "vae", patches)
    assert model.modes == (Mode.RS1, Mode.RS2, Mode.LOSSLESS)
    rungs = {Mode.RS1: Rung([Measured(size=1, psnr=1.0)]), Mode.LOSSLESS: Rung([Measured(size=2, exact=True)])}
    assert [link.what for link in links(rungs)] == ["bytes rs1 < lossless"]
