"""`ladder`: the chains that it checks, its figures and its picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_commands import COUNT, MODES, opened, put_test_set, report, run
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.benchmarks import ladder, metrics
from selfcodec.codec import decode_file, encode_picture, open_file
from selfcodec.modes import Mode
from selfcodec.zoo import Model

pytest_plugins = ("benchmark_fixtures",)


def graded(wrong: str | None = None) -> Any:
    """A decoder whose images get better from mode to mode, but for one that comes out grey."""

    def decode_graded(data: bytes, model: Model) -> Image.Image:
        mode = str(open_file(data).header.mode)
        image = np.asarray(decode_file(data, upto=None, model=model))
        if mode == wrong or (wrong == "lossless" and mode == "stored"):
            return Image.new("RGB", (32, 32))
        if mode in ("lossless", "stored"):
            return Image.fromarray(image)
        return Image.fromarray(np.full_like(image, 100 + 5 * ("rs1", "rs2", "cg", "cr").index(mode)))

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
    monkeypatch.setattr(ladder, "decode_file", graded(wrong))
    result = run(ladder.main, "--model", "tiny", "--limit", "2", "-o", tmp_path / "out")
    assert line in result.stdout.splitlines(), result.output
    assert result.exit_code == (wrong is not None)
    figures = report(tmp_path / "out" / "ladder.json")
    assert all(figures["chains"].values()) == (wrong != "cr")


def test_ladder_reports_bytes_that_do_not_grow(
    greys: UInt8, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def same_size(picture: Any, settings: Any, model: Model, verify: bool) -> Any:
        return encode_picture(picture, None, model, verify=verify)

    monkeypatch.setattr(ladder, "encode_picture", same_size)
    result = run(ladder.main, "--model", "tiny", "--limit", "1", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "NOT ok bytes rs1 < rs2" in result.stdout


def test_ladder_writes_figures_and_picture(images: UInt8, tiny_model: Model, tmp_path: Path) -> None:
    result = run(ladder.main, "--model", "tiny", "-o", tmp_path)
    figures = report(tmp_path / "ladder.json")
    assert result.exit_code == (not all(figures["chains"].values())), result.output
    assert tuple(figures["modes"]) == MODES
    for row in figures["modes"].values():
        assert row["bits_per_dim"] == pytest.approx(8 * row["bytes"] / 3072)
        assert row["ratio"] == pytest.approx(3072 / row["bytes"])
    assert figures["modes"]["lossless"]["psnr"] is None
    assert figures["modes"]["lossless"]["identical"] == COUNT
    width, height = opened(tmp_path / "ladder.png").size
    assert width > 6 * ladder.CELL
    assert height > COUNT * ladder.CELL


def test_modes_of_a_model_without_transformations() -> None:
    @dataclass
    class Plain:
        levels: int = 0

    assert metrics.Plain().modes == [Mode.RS1, Mode.RS2, Mode.LOSSLESS]  # type: ignore[arg-type]
    rungs = {Mode.RS1: ladder.Rung([1], [1.0]), Mode.LOSSLESS: ladder.Rung([2], [np.inf])}
    assert [link.what for link in ladder.links(rungs)] == ["bytes rs1 < lossless"]
