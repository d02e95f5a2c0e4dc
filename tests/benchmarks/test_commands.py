"""The benchmark commands: what they refuse, and round trips of every size and mode."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from benchmark_commands import run
from PIL import Image

from selfcodec.benchmarks import commands
from selfcodec.benchmarks.__main__ import COMMANDS
from selfcodec.benchmarks.commands import roundtrips
from selfcodec.benchmarks.own import Own
from selfcodec.images import Picture, from_image


def test_commands_are_listed_with_a_line_each() -> None:
    text = run("--help").stdout
    files = {path.stem for path in Path(commands.__file__).parent.glob("*.py")} - {"__init__", "options"}
    assert set(COMMANDS) == files
    for name, line in COMMANDS.items():
        assert f"  {name:12}{line}\n" in text
        assert run(name, "--help").exit_code == 0
    assert run("none-such").exit_code == 2


def test_listing_them_is_quick_because_it_loads_little() -> None:
    heavy = "{'torch', 'numpy', 'rich', 'matplotlib'}"
    program = f"import sys, selfcodec.benchmarks.__main__; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("command", ["demo", "ladder", "looks", "rates"])
def test_a_missing_model_is_one_line(command: str, tmp_path: Path) -> None:
    result = run(command, "--model", "none-such", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.startswith("selfcodec: error: no model 'none-such'")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["ladder", "rates"])
def test_a_missing_data_set_is_one_line(
    command: str, tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFCODEC_DATA", str(tmp_path))
    result = run(command, "--model", "tiny", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.startswith("selfcodec: error: data set 'cifar10' is not there")


@pytest.mark.parametrize("command", ["rates", "speed"])
def test_a_report_s_missing_folder_is_one_line_before_anything_is_measured(command: str, tmp_path: Path) -> None:
    folder = tmp_path / "missing"
    result = run(command, "--model", "none-such", "-o", folder / "report.json")
    assert result.exit_code == 1
    expected = f"{folder / 'report.json'}: cannot be written: there is no folder {folder}; make it first"
    assert result.stderr == f"selfcodec: error: {expected}\n"


@pytest.mark.parametrize("broken", [False, True])
def test_round_trips_of_every_size_and_mode(
    broken: bool, tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = Own.decode

    def upside_down(coder: Own, data: bytes) -> Picture:
        return from_image(decode(coder, data).image.transpose(Image.Transpose.FLIP_TOP_BOTTOM))

    monkeypatch.setattr(roundtrips, "SIZES", ((1, 1), (31, 33)))
    if broken:
        monkeypatch.setattr(Own, "decode", upside_down)
    result = run("roundtrips", "--model", "tiny")
    rows = [line.split() for line in result.stdout.splitlines() if "×" in line]
    assert len(rows) == 2 * len(roundtrips.IMAGE_MODES)
    assert result.exit_code == int(broken)
    assert sum("NO" in row for row in rows) == (len(roundtrips.IMAGE_MODES) if broken else 0)
