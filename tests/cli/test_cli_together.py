"""Folders of small pictures, which are coded together: the same files, and one that is bad stops no other."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from command_line import encode, pixels, run
from PIL import Image

from selfcodec import decoding, encoding
from selfcodec.arrays import UInt8
from selfcodec.cli import decode as decode_module
from selfcodec.cli import encoding as cli_encoding
from selfcodec.cli import workers
from selfcodec.cli.files import Job
from selfcodec.cli.inputs import Source
from selfcodec.errors import SelfcodecError

pytest_plugins = ("command_line", "model_fixtures")


@pytest.fixture
def folder(tmp_path: Path, photo: UInt8, tiny_model: object, always_the_model: None) -> Path:
    """Seven small pictures of three kinds, of some in two sizes."""
    path = tmp_path / "in"
    path.mkdir()
    image = Image.fromarray(photo)
    for i in range(4):
        image.crop((i, 2 * i, i + 16, 2 * i + 16)).save(path / f"{i}.png")
    image.crop((0, 0, 9, 21)).save(path / "4.png")
    image.convert("L").crop((0, 0, 16, 16)).save(path / "5.png")
    image.crop((0, 0, 16, 16)).convert("RGBA").save(path / "6.png")
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def count_calls(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str) -> list[int]:
    """How many pictures each call of a function gets."""
    seen: list[int] = []
    function = getattr(module, name)

    def counted(items: list[object], *arguments: object, **options: object) -> object:
        seen.append(len(items))
        return function(items, *arguments, **options)

    monkeypatch.setattr(module, name, counted)
    return seen


def test_a_folder_gives_the_files_that_its_pictures_give_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in sorted(folder.iterdir()):
        encode(path, "-o", f"{tmp_path / 'alone'}/")
    calls = count_calls(monkeypatch, encoding, "encode_pictures")
    encode(folder, "-o", f"{tmp_path / 'all'}/")
    assert calls == [7]
    assert contents(tmp_path / "all") == contents(tmp_path / "alone")
    calls = count_calls(monkeypatch, decoding, "decode_files")
    run("decode", tmp_path / "all", "-o", f"{tmp_path / 'back'}/")
    assert calls == [7]
    for path in sorted(folder.iterdir()):
        assert np.array_equal(pixels(tmp_path / "back" / path.name), pixels(path))


@pytest.mark.parametrize(("effort", "expected"), [("0", [7]), ("1", [])])
def test_lossy_pictures_without_a_search_are_coded_together(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, effort: str, expected: list[int]
) -> None:
    calls = count_calls(monkeypatch, encoding, "encode_pictures")
    encode(folder, "-o", f"{tmp_path / 'all'}/", "-m", "rs2", "--effort", effort, "--quiet")
    assert calls == expected
    encode(folder / "6.png", "-o", tmp_path / "6.sv", "-m", "rs2", "--effort", effort, "--quiet")
    assert (tmp_path / "all" / "6.sv").read_bytes() == (tmp_path / "6.sv").read_bytes()


def test_bad_files_among_them_are_named_and_the_others_done(folder: Path, tmp_path: Path) -> None:
    (folder / "3.png").write_bytes((folder / "3.png").read_bytes()[:60])
    result = encode(folder, "-o", f"{tmp_path / 'out'}/", code=1)
    assert [line for line in result.stderr.splitlines() if "3.png" in line]
    assert sorted(contents(tmp_path / "out")) == ["0.sv", "1.sv", "2.sv", "4.sv", "5.sv", "6.sv"]
    damaged = tmp_path / "out" / "2.sv"
    damaged.write_bytes(damaged.read_bytes()[:-8])
    result = run("decode", tmp_path / "out", "-o", f"{tmp_path / 'back'}/", code=1)
    assert "2.sv" in result.stderr
    assert result.stderr.count("error") == 1
    assert sorted(contents(tmp_path / "back")) == ["0.png", "1.png", "4.png", "5.png", "6.png"]


def test_where_coding_together_fails_each_is_coded_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*arguments: object, **options: object) -> object:
        raise SelfcodecError("not together")

    monkeypatch.setattr(encoding, "encode_pictures", failing)
    encode(folder, "-o", f"{tmp_path / 'out'}/")
    assert len(contents(tmp_path / "out")) == 7


def test_memory_is_bounded_by_pixels(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_encoding, "MOST_PIXELS", 600)
    calls = count_calls(monkeypatch, encoding, "encode_pictures")
    encode(folder, "-o", f"{tmp_path / 'out'}/")
    assert calls == [3, 3]  # and the last one alone
    monkeypatch.setattr(decode_module, "MOST_PIXELS", 600)
    calls = count_calls(monkeypatch, decoding, "decode_files")
    run("decode", tmp_path / "out", "-o", f"{tmp_path / 'back'}/")
    assert calls == [3, 3, 1]
    assert len(contents(tmp_path / "back")) == 7


def test_groups_are_of_files_in_order_few_and_small(tmp_path: Path) -> None:
    jobs = []
    for i, size in enumerate((10, 10, 300_000, 10, 200_000, 100_000, 10)):
        (tmp_path / str(i)).write_bytes(bytes(size))
        jobs.append(Job(Source(str(tmp_path / str(i)), Path(str(i))), f"{i}.sv"))
    jobs.append(Job(Source("-", Path("-")), "x.sv"))

    def names(most: int) -> list[list[str]]:
        return [[Path(job.source.path).name for job in group] for group in workers._groups(jobs, most)]

    assert names(64) == [["0", "1"], ["2"], ["3", "4"], ["5", "6"], ["-"]]
    assert names(1) == [[name] for name in ("0", "1", "2", "3", "4", "5", "6", "-")]
