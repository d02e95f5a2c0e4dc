"""`selfcodec interpolate`: its picture, and what it refuses."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest
from command_line import pixels, run
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.generation import interpolate
from selfcodec.models.mosaic import Row, mosaic
from selfcodec.zoo import Model


@pytest.fixture
def pair(patches: UInt8, tmp_path: Path, tiny_model: Model) -> list[Path]:
    """Two pictures of one size."""
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path, image in zip(paths, patches[:2], strict=True):
        Image.fromarray(image).save(path)
    return paths


def test_a_row_from_one_picture_to_the_other(
    pair: list[Path], patches: UInt8, tiny_model: Model, tmp_path: Path
) -> None:
    out = tmp_path / "way.png"
    run("interpolate", *pair, "--model", "tiny", "-n", 4, "-o", out)
    way = interpolate(patches[:2], 4, tiny_model)
    assert np.array_equal(pixels(out), np.asarray(mosaic([Row([patches[0], *way, patches[1]])])))
    assert "exists" in run("interpolate", *pair, "--model", "tiny", "-o", out, code=1).stderr
    before = out.read_bytes()
    run("interpolate", *pair, "--model", "tiny", "-n", 4, "-o", out, "--force")
    assert out.read_bytes() == before


@pytest.mark.parametrize("private", [0, 1])
def test_nobody_sees_what_either_picture_hides(pair: list[Path], tmp_path: Path, private: int) -> None:
    pair[private].chmod(0o600)
    pair[1 - private].chmod(0o644)
    run("interpolate", *pair, "--model", "tiny", "-n", 2, "-o", tmp_path / "way.png")
    assert stat.S_IMODE((tmp_path / "way.png").stat().st_mode) == 0o600


def test_what_a_picture_loses_is_told(pair: list[Path], patches: UInt8, tmp_path: Path) -> None:
    seen = Image.fromarray(patches[0])
    seen.putalpha(9)
    seen.save(pair[0])
    told = run("interpolate", *pair, "--model", "tiny", "-n", 2, "-o", tmp_path / "way.png").stderr
    assert told == f"selfcodec: warning: {pair[0]}: transparency is left out\n"


def test_pictures_it_cannot_go_between(pair: list[Path], patches: UInt8, tmp_path: Path) -> None:
    a, b = pair
    out = tmp_path / "way.png"
    run("interpolate", a, b, "-o", out, code=2)
    run("interpolate", a, b, "--model", "tiny", "-n", 1, "-o", out, code=2)
    for source in pair:
        assert (
            "the input itself" in run("interpolate", *pair, "--model", "tiny", "-o", source, "--force", code=1).stderr
        )
    Image.fromarray(patches[0][:16]).save(b)
    error = run("interpolate", a, b, "--model", "tiny", "-o", out, code=1).stderr
    assert "a.png has 32×32 and" in error
    assert "b.png has 32×16 pixels: give two pictures of one size" in error
    b.write_text("no picture", encoding="utf-8")
    assert "b.png" in run("interpolate", a, b, "--model", "tiny", "-o", out, code=1).stderr
    assert "no model 'none'" in run("interpolate", a, b, "--model", "none", "-o", out, code=1).stderr
    assert not out.exists()
