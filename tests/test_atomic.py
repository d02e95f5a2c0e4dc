"""Files that appear whole: with names that they get last, and with temporary ones."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from selfcodec.atomic import remove_unfinished, replacing

ABANDONED = """
import os, sys, time
from functools import partial
from selfcodec.atomic import replacing
from selfcodec.processes import end_after

if hasattr(os, "O_TMPFILE"):
    del os.O_TMPFILE
with replacing(sys.argv[1]) as file:
    print(len(os.listdir(os.path.dirname(sys.argv[1]))), flush=True)
    end_after(partial(os.read, 0, 1))
    time.sleep(600)
"""


@pytest.fixture(params=["nameless", "temporary"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "temporary":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    return str(request.param)


@pytest.fixture(params=["new", "old"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "target"
    if request.param == "old":
        path.write_bytes(b"old")
    yield path
    assert [p.name for p in tmp_path.iterdir()] in ([], ["target"])


def test_a_file_takes_the_targets_place_when_it_is_whole(way: str, target: Path) -> None:
    before = target.read_bytes() if target.exists() else None
    with replacing(str(target)) as file:
        file.write(b"new")
        file.flush()
        assert (target.read_bytes() if target.exists() else None) == before
    assert target.read_bytes() == b"new"


def test_an_error_leaves_what_was_there(way: str, target: Path) -> None:
    before = target.read_bytes() if target.exists() else None
    with pytest.raises(KeyboardInterrupt), replacing(str(target)) as file:  # noqa: PT012
        file.write(b"new")
        raise KeyboardInterrupt
    assert (target.read_bytes() if target.exists() else None) == before


def test_permissions_are_an_ordinary_files_or_those_asked_for(way: str, target: Path) -> None:
    before = os.umask(0o027)
    try:
        for mode, expected in ((0o666, 0o640), (0o604, 0o600)):
            with replacing(str(target), mode):
                pass
            assert stat.S_IMODE(target.stat().st_mode) == expected
    finally:
        os.umask(before)


def test_a_file_in_a_folder_without_a_path(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with replacing("here") as file:
        file.write(b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("here", b"new")]


def test_what_cannot_be_is_an_error_and_leaves_nothing(way: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for target in ("folder", "none/file"):
        with pytest.raises(OSError), replacing(str(tmp_path / target)):  # noqa: PT011 - systems' errors differ
            pass
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="the system has no files without a name")
def test_without_a_name_nothing_can_be_left(tmp_path: Path) -> None:
    try:
        os.close(os.open(tmp_path, os.O_WRONLY | os.O_TMPFILE))
    except OSError:
        pytest.skip("the file system has no files without a name")
    with replacing(str(tmp_path / "target")) as file:
        file.write(b"new")
        file.flush()
        assert not list(tmp_path.iterdir())


def test_a_process_that_ends_removes_what_has_a_temporary_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    with pytest.raises(FileNotFoundError), replacing(str(tmp_path / "target")):  # noqa: PT012
        assert len(list(tmp_path.iterdir())) == 1
        remove_unfinished()
        assert not list(tmp_path.iterdir())


def test_a_process_whose_starter_is_gone_ends_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ABANDONED, str(tmp_path / "target")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "1\n"
        process.stdin.close()  # as when this process ends
        assert process.wait(60) == 1
    assert not list(tmp_path.iterdir())
