"""The demo: its files and its picture, and when it fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmark_commands import MODES, opened, run
from PIL import Image

from selfcodec import decode
from selfcodec.arrays import UInt8
from selfcodec.benchmarks.own import Own
from selfcodec.benchmarks.sources import load_photograph
from selfcodec.images import Picture, from_image
from selfcodec.models.mosaic import GAP


@pytest.mark.parametrize("kind", ["RGB", "RGBA", "L", "P"])
def test_demo_writes_files_and_picture(kind: str, photo: UInt8, tiny_model_dir: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "face.png", tmp_path / "out"
    image = Image.fromarray(photo[:40, :56]).convert(kind)
    if kind == "RGBA":
        image.putalpha(Image.fromarray(photo[:40, :56, 0]))
    image.save(source)
    result = run("demo", source, "-o", out, "--model", "tiny")
    assert result.exit_code == 0, result.output
    for mode in MODES:
        data = (out / f"face.{mode}.sv").read_bytes()
        assert f"{len(data):,}" in result.stdout
        assert opened(out / f"face.{mode}.png").tobytes() == decode(data).tobytes()
    last = opened(out / "face.lossless.png")
    assert (last.mode, last.tobytes()) == (kind, image.tobytes())
    assert len(last.getbands()) * 40 * 56 > (out / "face.lossless.sv").stat().st_size
    assert opened(out / "comparison.png").width == 3 * (7 * 56 + GAP) + GAP  # as large as whole factors allow
    assert "identical" in result.stdout
    assert "WebP" in result.stdout


def test_demo_has_a_photograph_of_its_own() -> None:
    name, picture = load_photograph(None)
    assert name == "chelsea"
    assert picture.planes.shape == (300, 451, 3)


def test_demo_fails_where_lossless_is_not(
    photo: UInt8, tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = Own.decode

    def off_by_one(coder: Own, data: bytes) -> Picture:
        image = decode(coder, data).image
        image.putpixel((3, 4), (1, 2, 3))
        return from_image(image)

    monkeypatch.setattr(Own, "decode", off_by_one)
    Image.fromarray(photo).save(tmp_path / "face.png")
    result = run("demo", tmp_path / "face.png", "-o", tmp_path, "--model", "tiny")
    assert result.exit_code == 1
    assert result.stderr == "selfcodec: error: the lossless file does not decode to its image\n"


def test_demo_refuses_what_is_no_image(tiny_model_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("text", encoding="utf-8")
    result = run("demo", tmp_path / "text.png", "-o", tmp_path / "out", "--model", "tiny")
    assert result.exit_code == 1
    assert result.stderr.startswith("selfcodec: error: ")
