"""Standard input and output under other names, pipes, and ends that are closed."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command_line import encode, run

from selfcodec.cli.files import Job
from selfcodec.cli.inputs import Source, read_input
from selfcodec.cli.names import STDIO
from selfcodec.cli.outputs import check_target
from selfcodec.errors import InputError

pytest_plugins = ("command_line", "model_fixtures")


@contextmanager
def reader() -> Iterator[tuple[str, list[bytes]]]:
    """The name of a pipe that can be written, as of `>(cmd)`, and what arrives there, once the block has ended."""
    out, into = os.pipe()
    arrived: list[bytes] = []

    def read() -> None:
        with open(out, "rb") as file:
            arrived.append(file.read())

    thread = threading.Thread(target=read)
    thread.start()
    yield f"/dev/fd/{into}", arrived
    os.close(into)
    thread.join()


def test_pipes_are_written_and_read_by_name(png: Path) -> None:
    expected = encode(png, "-m", "rs1", "-o", "-").stdout_bytes
    with reader() as (name, coded):
        assert encode(png, "-m", "rs1", "-o", name).stdout == ""
    assert coded == [expected]
    png.with_name("b.sv").write_bytes(expected)
    with reader() as (name, image):
        run("decode", png.with_name("b.sv"), "-o", name)
    assert image[0].startswith(b"\x89PNG")
    out, into = os.pipe()
    os.write(into, png.read_bytes())
    os.close(into)
    assert encode(f"/dev/fd/{out}", "-m", "rs1").stdout_bytes == expected
    os.close(out)


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_is_that_by_any_name(png: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    coded = encode(png, "-m", "rs1", "-o", "-").stdout_bytes
    assert encode(png, "-m", "rs1", "-o", name).stdout_bytes == coded
    png.with_name("b.sv").write_bytes(coded)
    assert run("cut", png.with_name("b.sv"), "-m", "rs1", "-o", name).stdout_bytes == coded
    assert run("sample", "tiny", "-n", 1, "-o", name).stdout_bytes.startswith(b"\x89PNG")
    assert "cannot both go to standard output" in encode(png, "-o", name, "--json", code=2).stderr
    monkeypatch.setattr(sys, "stdout", Terminal())
    with pytest.raises(InputError, match="a terminal cannot show the output"):
        check_target(Job(Source(str(png), png), name), force=False)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_closed_standard_input_and_output_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source(STDIO, Path(STDIO))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", None)
        patch.setattr(sys, "stdout", None)
        with pytest.raises(InputError, match="closed, there is nothing to read"):
            read_input(source)
        with pytest.raises(InputError, match="standard output is closed"):
            check_target(Job(source, STDIO), force=False)
