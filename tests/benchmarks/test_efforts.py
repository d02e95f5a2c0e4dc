"""`efforts`: bits against seconds, of our models by effort and of other coders by theirs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmark_commands import run
from PIL import Image

from selfcodec.benchmarks.coders import PEERS, picture_of
from selfcodec.benchmarks.commands import efforts
from selfcodec.errors import SelfcodecError
from selfcodec.zoo import Model

pytest_plugins = ("benchmark_fixtures",)


def test_every_setting_has_a_point(folder: Path, tiny_model: Model, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run("efforts", "--models", "tiny", "--dataset", folder, "--limit", "2", "--repeat", "1", "-o", out)
    assert result.exit_code == 0, result.output
    points = json.loads((out / "efforts.json").read_text(encoding="utf-8"))["points"]
    found = [(point["coder"], point["setting"]) for point in points]
    assert found == [
        *(("tiny", f"effort {n}") for n in (0, 1)),
        *(("JPEG XL lossless", f"effort {n}") for n in range(1, 10)),
        *(("WebP lossless", f"method {n}") for n in range(7)),
    ]
    assert all(point["encode"] > 0 and point["decode"] > 0 for point in points)
    lines = (out / "efforts.md").read_text(encoding="utf-8").splitlines()
    assert [line.split(" | ")[0] for line in lines[4:]] == [f"| {coder}, {setting}" for coder, setting in found]
    for kind in ("png", "svg"):
        assert (out / f"efforts.{kind}").stat().st_size > 1000


def test_rates_are_the_mean_of_the_images_own(folder: Path) -> None:
    pictures = {path.stem: np.asarray(Image.open(path)) for path in sorted(folder.iterdir())}
    peer = PEERS["jxl-lossless"]
    point = efforts.measured(pictures, peer, "", 1)
    sizes = [len(peer.encode(picture_of(image), peer.settings[""]).data) for image in pictures.values()]
    rates = [8 * size / image.size for size, image in zip(sizes, pictures.values(), strict=True)]
    assert point.bits_per_dimension == pytest.approx(np.mean(rates))


def test_what_does_not_come_back_is_an_error(folder: Path) -> None:
    image = np.asarray(Image.open(folder / "a.png"))
    lossy = replace(PEERS["jxl-lossless"], settings={"lossy": {"lossless": False, "distance": 5}})
    with pytest.raises(SelfcodecError, match=r"a: JPEG XL lossless, lossy: not lossless"):
        efforts.measured({"a": image}, lossy, "lossy", 1)


@pytest.mark.parametrize("wrong", [("--efforts", "10"), ("--efforts", "much"), ("--repeat", "0")])
def test_wrong_options_are_named(wrong: tuple[str, str], tmp_path: Path) -> None:
    assert run("efforts", *wrong, "-o", tmp_path).exit_code == 2
