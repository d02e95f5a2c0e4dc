"""Who may read what is written, and writing where there is no file to replace."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from selfcodec.errors import InputError
from selfcodec.files import is_stream, write_atomically


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def file_of(path: Path, mode: int) -> Path:
    path.write_bytes(b"old")
    path.chmod(mode)
    return path


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("source", "existing", "expected"),
    [
        (None, None, 0o644),
        (0o666, None, 0o644),
        (0o600, None, 0o600),
        (0o440, None, 0o440),
        (None, 0o600, 0o600),
        (0o644, 0o600, 0o600),
        (0o600, 0o644, 0o600),
        (0o666, 0o664, 0o664),
    ],
)
def test_permissions_are_never_widened(tmp_path: Path, source: int | None, existing: int | None, expected: int) -> None:
    origin = None if source is None else file_of(tmp_path / "source", source)
    if existing is not None:
        file_of(tmp_path / "out", existing)
    write_atomically(tmp_path / "out", b"a", b"b", sources=[origin] if origin else [])
    assert (tmp_path / "out").read_bytes() == b"ab"
    assert mode_of(tmp_path / "out") == expected


@pytest.mark.parametrize("existing", [None, 0o600])
def test_permissions_and_time_are_preserved_on_request(tmp_path: Path, existing: int | None) -> None:
    origin = file_of(tmp_path / "source", 0o664)
    os.utime(origin, ns=(10**18, 10**18 + 1))
    if existing is not None:
        file_of(tmp_path / "out", existing)
    write_atomically(tmp_path / "out", b"data", sources=[origin], preserve=True)
    assert mode_of(tmp_path / "out") == 0o664
    assert (tmp_path / "out").stat().st_mtime_ns == 10**18 + 1


def test_what_several_sources_allow_is_what_all_of_them_do(tmp_path: Path) -> None:
    sources = [file_of(tmp_path / "a", 0o654), file_of(tmp_path / "b", 0o640), file_of(tmp_path / "c", 0o666)]
    for source, time in zip(sources, (3, 5, 4), strict=True):
        os.utime(source, (1, time))
    write_atomically(tmp_path / "out", b"data", sources=sources)
    assert mode_of(tmp_path / "out") == 0o640
    write_atomically(tmp_path / "out", b"data", sources=sources, preserve=True)
    assert mode_of(tmp_path / "out") == 0o640
    assert (tmp_path / "out").stat().st_mtime == 5


def test_an_open_file_is_written_where_it_stands(tmp_path: Path) -> None:
    with open(tmp_path / "out", "wb", buffering=0) as file:
        file.write(b"before ")
        name = f"/dev/fd/{file.fileno()}"
        assert is_stream(name)
        write_atomically(name, b"data")
        file.write(b" after")
    assert (tmp_path / "out").read_bytes() == b"before data after"
    assert not is_stream(tmp_path / "out")
    assert not is_stream(tmp_path)


@pytest.mark.parametrize("number", ["1000", "99999999999", "9" * 200])
def test_files_that_are_not_open_are_refused(number: str) -> None:
    with pytest.raises(InputError, match=f"^/dev/fd/{number}: cannot be written: "):
        write_atomically(f"/dev/fd/{number}", b"data")
