"""`looks`: our pictures beside AVIF's of equal bytes, what is counted, and what is shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_commands import opened, report, run
from PIL import Image
from skimage import data

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.coders import PEERS, picture_of
from selfcodec.benchmarks.commands import looks as command
from selfcodec.benchmarks.figures.crops import SIDE, most_different
from selfcodec.benchmarks.figures.looks import SIDE as SHOWN
from selfcodec.benchmarks.figures.looks import rows
from selfcodec.benchmarks.measure import measure
from selfcodec.benchmarks.own import own_coder
from selfcodec.benchmarks.reports.looks import Look, Version, each_look, summary, worst
from selfcodec.modes import Mode
from selfcodec.zoo import Model


@pytest.fixture
def pictures(tmp_path: Path, tiny_model: Model) -> Path:
    """A part of a photograph that SSIMULACRA 2 can score, and one that is too small for it."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.fromarray(data.chelsea()[90:210, 120:250]).save(folder / "cat.png")
    Image.fromarray(data.astronaut()[192:256, 192:288]).save(folder / "face.png")
    return folder


def rate_of(image: UInt8, quality: int) -> float:
    found = measure(picture_of(image), own_coder("tiny", Mode.RS2, {"": {"quality": quality}}))
    return 8 * found.size / image[..., 0].size


def test_pictures_are_compared_at_equal_bytes(pictures: Path, tmp_path: Path) -> None:
    cat, face = (np.asarray(opened(pictures / f"{name}.png")) for name in ("cat", "face"))
    rates = [rate_of(image, 50) + 0.001 for image in (cat, face)]
    low, high = sorted(rates)
    options = ("--model", "tiny", "--dataset", pictures, "--rates", f"0.001,{low},{high}", "-o", tmp_path / "out")
    result = run("looks", *options)
    assert result.exit_code == 0, result.output
    assert "at 0.001 bits per pixel 2 images are missing: all qualities take more" in result.stdout
    figures = report(tmp_path / "out" / "looks.json")
    assert (figures["mode"], figures["model"]["name"]) == ("rs2", "tiny")
    assert figures["avif"] == PEERS["avif"].how
    none, *others = figures["rates"]
    assert (none["images"], none["missed"], none["scored"], none["ours"]["psnr"]) == (0, 2, 0, None)
    assert [row["images"] + row["missed"] for row in others] == [2, 2]
    assert others[-1]["images"] == 2
    for row in figures["each"]:
        size = {"cat": cat, "face": face}[row["image"]][..., 0].size
        ours, avif = row["ours"], row["avif"]
        assert ours["bits_per_pixel"] == pytest.approx(8 * ours["bytes"] / size)
        assert ours["bits_per_pixel"] <= row["rate"]
        assert avif["bytes"] >= ours["bytes"]
        assert (ours["ssimulacra2"] is None) == (avif["ssimulacra2"] is None) == (row["image"] == "face")
        assert f"{ours['bytes']:,}" in result.stdout
    scored = [row for row in figures["each"] if row["image"] == "cat"]
    behind = [row["ours"]["ssimulacra2"] < row["avif"]["ssimulacra2"] for row in scored]
    assert sum(row["worse"] for row in others) == sum(behind)
    assert all(behind)  # an untrained model
    assert opened(tmp_path / "out" / "looks.png").width >= 3 * SHOWN // 2


def test_avif_has_the_least_file_that_is_not_smaller() -> None:
    picture = picture_of(data.chelsea()[90:154, 120:216])
    options = next(iter(PEERS["avif"].settings.values()))
    sizes = [len(PEERS["avif"].encode(picture, {**options, "level": quality}).data) for quality in range(1, 101)]
    for wanted in (sizes[29], sizes[59] + 1, 1):
        coder = command.avif_of_size(picture, wanted)
        assert measure(picture, coder).size == min(size for size in sizes if size >= wanted)
    assert measure(picture, command.avif_of_size(picture, 10**6)).size == sizes[-1]


def version(score: float | None, **more: Any) -> Version:
    return Version(**{"bytes": 100, "bits_per_pixel": 1.0, "psnr": 30.0, "ms_ssim": 0.9, "ssimulacra2": score, **more})


def look(image: str, rate: float, ours: float | None, avif: float | None) -> Look:
    crops = [np.full((20, 30, 3), grey, np.uint8) for grey in (0, 100, 200)]
    return Look(image, rate, version(ours), version(avif, bytes=110, psnr=None), tuple(crops))


LOOKS = (
    look("a", 0.5, 40.0, 42.0),
    look("a", 1.0, 60.0, 65.0),
    look("b", 0.5, 50.0, 50.0),
    look("b", 1.0, 71.0, 70.0),
    look("c", 0.5, 10.0, 13.0),
    look("d", 0.5, None, None),
)


def test_images_that_look_worse_are_counted() -> None:
    half, one, two = summary(LOOKS, (0.5, 1.0, 2.0), 4)
    assert (half["images"], half["missed"], half["scored"], half["worse"]) == (4, 0, 3, 2)
    assert (one["images"], one["missed"], one["scored"], one["worse"]) == (2, 2, 2, 1)
    assert (two["images"], two["missed"], two["worse"], two["avif"]["bytes"]) == (0, 4, 0, None)
    assert half["ours"]["ssimulacra2"] == pytest.approx(100 / 3)
    assert (half["ours"]["psnr"], half["avif"]["psnr"], half["avif"]["bytes"]) == (30, None, 110)
    assert each_look(LOOKS)[1]["avif"]["ssimulacra2"] == 65


@pytest.mark.parametrize(("count", "shown"), [(1, ["a"]), (2, ["a", "c"]), (9, ["a", "c", "b"])])
def test_the_worst_are_shown_once_an_image(count: int, shown: Sequence[str]) -> None:
    found = worst(LOOKS, count)
    assert [look.image for look in found] == shown
    assert found[0].rate == 1.0
    drawn = rows(found, "ours", "AVIF")
    assert [[crop[0, 0, 0] for crop in row.images] for row in drawn] == [[0, 100, 200]] * len(found)
    assert drawn[0].captions[1] == "ours: 100 bytes\n30.00 dB, SSIMULACRA 2 60.0"


def test_crops_show_where_two_versions_differ_most() -> None:
    image = np.full((3 * SIDE, 4 * SIDE, 3), 100, np.uint8)
    one, other = image.copy(), image.copy()
    for both in (one, other):
        both[:SIDE, :SIDE] += 50  # is as wrong in both
    other[2 * SIDE :, SIDE : 2 * SIDE] -= 20
    rows, columns = most_different(image, one, other)
    assert (rows, columns) == (slice(2 * SIDE, 3 * SIDE), slice(SIDE, 2 * SIDE))
    assert most_different(image, other, one) == (rows, columns)


def test_lossless_files_and_rates_of_nothing_are_refused(pictures: Path, tmp_path: Path) -> None:
    assert run("looks", "--mode", "lossless", "--dataset", pictures, "-o", tmp_path / "out").exit_code == 2
    assert run("looks", "--rates", "0,1", "--dataset", pictures, "-o", tmp_path / "out").exit_code == 2
    assert not (tmp_path / "out").exists()
