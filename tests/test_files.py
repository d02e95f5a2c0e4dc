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
    write_atomically(tmp_path / "out", b"a", b"b", source=origin)
    assert (tmp_path / "out").read_bytes() == b"ab"
    assert mode_of(tmp_path / "out") == expected


@pytest.mark.parametrize("existing", [None, 0o600])
def test_permissions_and_time_are_preserved_on_request(tmp_path: Path, existing: int | None) -> None:
    origin = file_of(tmp_path / "source", 0o664)
    os.utime(origin, ns=(10**18, 10**18 + 1))
    if existing is not None:
        file_of(tmp_path / "out", existing)
    write_atomically(tmp_path / "out", b"data", source=origin, preserve=True)
    assert mode_of(tmp_path / "out") == 0o664
    assert (tmp_path / "out").stat().st_mtime_ns == 10**18 + 1


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
    with pytest.raises(InputError, match="cannot be written"):
        write_atomically("/dev/fd/1000", b"data")
