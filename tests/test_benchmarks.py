"""The benchmark commands: what they refuse, round trips of every size and mode, and figure 1."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from benchmark_commands import run
from PIL import Image

from selfcodec.benchmarks import demo, figure1, ladder, rates, roundtrips
from selfcodec.codec import decode_file
from selfcodec.zoo import Model


@pytest.mark.parametrize("command", [demo.main, ladder.main, rates.main])
def test_a_missing_model_is_one_line(command: click.Command, tmp_path: Path) -> None:
    result = run(command, "--model", "none-such", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.startswith("selfcodec: error: no model 'none-such'")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [ladder.main, rates.main])
def test_a_missing_data_set_is_one_line(
    command: click.Command, tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFCODEC_DATA", str(tmp_path))
    result = run(command, "--model", "tiny", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.startswith("selfcodec: error: data set 'cifar10' is not there")


@pytest.mark.parametrize("broken", [False, True])
def test_round_trips_of_every_size_and_mode(
    broken: bool, tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def upside_down(data: bytes, model: Model) -> Image.Image:
        return decode_file(data, model=model).transpose(Image.Transpose.FLIP_TOP_BOTTOM)

    monkeypatch.setattr(roundtrips, "SIZES", ((1, 1), (31, 33)))
    if broken:
        monkeypatch.setattr(roundtrips, "decode_file", upside_down)
    result = run(roundtrips.main, "--model", "tiny")
    rows = [line.split() for line in result.stdout.splitlines() if "×" in line]
    assert len(rows) == 2 * len(roundtrips.MODES)
    assert result.exit_code == int(broken)
    assert sum("NO" in row for row in rows) == (len(roundtrips.MODES) if broken else 0)


def test_figure_1_refuses_what_it_cannot_write(tmp_path: Path) -> None:
    wrong = run(figure1.main, "-o", tmp_path / "f.xyz")
    assert wrong.exit_code == 1
    assert "no format of a figure" in wrong.stderr
    nowhere = run(figure1.main, "-o", tmp_path / "none" / "f.png")
    assert nowhere.exit_code == 1
    assert nowhere.stderr.startswith("selfcodec: error: ")
    assert run(figure1.main, "-o", tmp_path / "f.png").exit_code == 0
    with Image.open(tmp_path / "f.png") as image:
        assert image.size[0] > 1000
