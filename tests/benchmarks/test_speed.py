"""`speed` and `scaling`: where the time goes, and how it grows with images and batches."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from unittest.mock import patch

import pytest
from benchmark_commands import run
from PIL import Image

import selfcodec
from selfcodec.arrays import UInt8
from selfcodec.benchmarks.commands import scaling
from selfcodec.benchmarks.own import own_coder
from selfcodec.benchmarks.stages import STAGES, stages
from selfcodec.images import from_image
from selfcodec.modes import Mode
from selfcodec.tiles import BATCH_PIXELS
from selfcodec.zoo import Model

pytest_plugins = ("benchmark_fixtures",)


@pytest.mark.usefixtures("nothing_stored")
def test_speed_tells_where_the_time_goes(tiny_model: Model, photo: UInt8, tmp_path: Path) -> None:
    source, out = tmp_path / "photo.png", tmp_path / "speed.json"
    Image.fromarray(photo).save(source)
    result = run("speed", source, "--model", "tiny", "--repeat", "1", "--memory", "-o", out)
    assert result.exit_code == 0, result.output
    figures = json.loads(out.read_text(encoding="utf-8"))
    for found in figures["stages"].values():
        parts = [seconds for stage, seconds in found.items() if not stage.startswith("total")]
        assert sum(parts) == pytest.approx(found["total"])
        assert found["networks"] > 0
        assert found["likelihoods"] > 0
    assert list(figures["memory"]) == ["encode", "decode"]
    assert all(measured["peak_mib"] > 50 for measured in figures["memory"].values())
    assert figures["start_up_seconds"] > 0


@pytest.mark.parametrize("stage", STAGES)
def test_what_stages_time_is_there_by_its_name(stage: str) -> None:
    """A profile tells names only, so that of a function that is called otherwise no time would count."""
    for file, name in STAGES[stage]:
        if file == "~":  # which is not written in Python
            stack = pytest.importorskip("constriction").stream.stack
            assert name in map(str, vars(stack.AnsCoder).values())
            continue
        (path,) = (path for path in Path(selfcodec.__file__).parent.rglob("*.py") if str(path).endswith(f"/{file}"))
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert name in [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


@pytest.mark.usefixtures("nothing_stored")
def test_speed_is_that_of_files_as_users_get_them(photo: UInt8) -> None:
    found = stages(from_image(Image.fromarray(photo)), own_coder("photo", Mode.LOSSLESS), 1)
    assert found["encode"]["pixels in context"] > 0
    assert found["decode"]["pixels in context"] > 0


def test_scaling_measures_sizes_and_batches(tiny_model: Model, tmp_path: Path) -> None:
    options = ("--model", "tiny", "--megapixels", "0.002,0.01", "--batches", "2")
    with patch.object(scaling, "BATCH_MEGAPIXELS", 0.01):
        result = run("scaling", *options, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "out" / "scaling.json").read_text(encoding="utf-8"))
    assert [(size["width"], size["height"]) for size in figures["sizes"]] == [(56, 37), (123, 82)]
    start = figures["start_up_seconds"]
    for size in figures["sizes"]:
        for verb in ("encode", "decode"):
            assert size[verb]["peak_mib"] > 50
            rest, speed = size[verb]["seconds"] - start, size[verb]["megapixels_per_second"]
            if rest > scaling.SHARE * start:
                assert speed * rest == pytest.approx(size["width"] * size["height"] / 1e6)
            else:
                assert speed is None
    (batch,) = figures["batches"]
    assert (batch["batch"], batch["together"]) == (2, min(2, BATCH_PIXELS // tiny_model.spec.tile**2))
    for kind in ("png", "svg"):
        assert (tmp_path / "out" / f"scaling.{kind}").stat().st_size > 1000
    for option, wrong in (("megapixels", "0"), ("megapixels", "much"), ("megapixels", ""), ("batches", "0.5,1")):
        assert run("scaling", f"--{option}", wrong, "-o", tmp_path).exit_code == 2
