"""Runs of the benchmark commands, and what they take and leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.__main__ import main

COUNT = 3
MODES = ("rs1", "rs2", "cg", "cr", "lossless")


def put_test_set(images: UInt8, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "data" / "cifar10").mkdir(parents=True)
    np.save(folder / "data" / "cifar10" / "test.npy", images)
    monkeypatch.setenv("SELFCODEC_DATA", str(folder / "data"))


def run(*args: str | Path) -> Result:
    """Runs `python -m selfcodec.benchmarks`."""
    return CliRunner().invoke(main, [str(arg) for arg in args])


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.copy()


def report(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
