"""Runs of the command line, and a photograph and its file to run it on, for the tests of the commands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.cli.main import main
from selfcodec.zoo import Model


def run(*arguments: object, code: int = 0, input: bytes | None = None) -> Result:
    """Runs a command; checks its exit status, and that errors are single lines, the last ones."""
    result = CliRunner().invoke(main, [str(a) for a in arguments], input=input)
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    lines = result.stderr.splitlines()
    if code in (0, 1):
        assert ("selfcodec: error: " in result.stderr) == (code == 1)
        if arguments[0] != "train":  # which reports its progress there
            assert all(line.startswith("selfcodec: ") for line in lines)
    if code == 1:
        assert lines[-1].startswith("selfcodec: error: ")
    return result


def encode(*arguments: object, code: int = 0, input: bytes | None = None) -> Result:
    return run("encode", "--model", "tiny", *arguments, code=code, input=input)


def pixels(path: Path) -> UInt8:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture
def png(tmp_path: Path, photo: UInt8, tiny_model: Model) -> Path:
    """The photograph as a.png, in a folder of its own."""
    path = tmp_path / "in" / "a.png"
    path.parent.mkdir()
    Image.fromarray(photo).save(path)
    return path


@pytest.fixture
def sv(png: Path, always_the_model: None) -> Path:
    """The same, lossless."""
    encode(png)
    return png.with_suffix(".sv")
