"""Curves: Bjøntegaard deltas, and published curves beside our own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from selfcodec.benchmarks.bd import bd_rate
from selfcodec.benchmarks.figures import plots
from selfcodec.benchmarks.published import published_curves
from selfcodec.benchmarks.qualities import PSNR, SSIMULACRA2
from selfcodec.benchmarks.reports.summary import bd_rates, bd_table, summary
from selfcodec.benchmarks.results import CoderInfo, Record, Run

ANCHOR_CURVE = ([1.0, 2.0, 4.0, 8.0], [30.0, 33.0, 36.0, 39.0])


@pytest.mark.parametrize("method", ["pchip", "akima", "cubic"])
def test_bd_rate_of_a_scaled_curve_is_the_scale(method: str) -> None:
    rates, qualities = ANCHOR_CURVE
    assert bd_rate(ANCHOR_CURVE, ([0.8 * rate for rate in rates], qualities), method) == pytest.approx(-20)
    assert bd_rate(ANCHOR_CURVE, ([1.5 * rate for rate in rates[::-1]], qualities[::-1]), method) == pytest.approx(50)
    shifted = [quality + 3 for quality in qualities]  # 3 dB more are worth half the rate on this curve
    assert bd_rate(ANCHOR_CURVE, (rates, shifted), method) == pytest.approx(-50)


def test_curves_that_share_no_quality_have_no_bd_rate() -> None:
    assert bd_rate(ANCHOR_CURVE, ([1.0, 2.0], [50.0, 53.0])) is None
    assert bd_rate(ANCHOR_CURVE, ([1.0, 2.0, 4.0, 8.0], [38.5, 41.5, 44.5, 47.5])) is None
    assert bd_rate(ANCHOR_CURVE, ([1.0], [35.0])) is None
    assert bd_rate(ANCHOR_CURVE, ([1.0, 2.0, 3.0], [31.0, 34.0, 37.0]), "cubic") is None


def test_points_that_get_worse_are_left_out() -> None:
    bent = ([1.0, 1.5, 2.0, 4.0, 8.0], [30.0, 29.0, 33.0, 36.0, 39.0])
    assert bd_rate(ANCHOR_CURVE, bent) == pytest.approx(0)


def published(path: Path) -> dict[str, tuple[list[float], list[float]]]:
    return {curve["title"]: (curve["bpp"], curve["psnr"]) for curve in json.loads(path.read_text(encoding="utf-8"))}


@pytest.mark.parametrize(("codec", "expected"), [("QRes-VAE 34 M", -3.95), ("QARV", -6.54)])
def test_bd_rates_are_those_that_were_published(codec: str, expected: float) -> None:
    """Against VTM 18.0, the mean over Kodak, CLIC 2022 and Tecnick, from their authors' curves and README.

    https://github.com/duanzhiihao/lossy-vae; QARV's is the figure published with these curves, which a later version
    of the README replaced by that of a retrained model.
    """
    here = Path(__file__).parents[1] / "data"
    sets = [published(here / f"published-{name}.json") for name in ("clic2022-test", "tecnick-rgb-1200")]
    sets.append({curve.title: (list(curve.bpp), list(curve.psnr)) for curve in published_curves("kodak")})
    deltas = [bd_rate(curves["VTM 18.0"], curves[codec], "cubic") for curves in sets]
    assert all(delta is not None for delta in deltas)
    assert sum(delta or 0 for delta in deltas) / 3 == pytest.approx(expected, abs=0.015)


def test_published_curves_rise_and_have_a_source() -> None:
    found = published_curves("kodak")
    assert len(found) == len({curve.title for curve in found}) == 8
    for curve in found:
        assert curve.source.startswith("https://")
        for values in (curve.bpp, curve.psnr, curve.ms_ssim):
            assert list(values) == sorted(set(values))
            assert len(values) in (0, len(curve.bpp))
    assert published_curves("no such data set") == ()


def test_published_curves_are_drawn_and_named() -> None:
    infos = {"jpeg": CoderInfo("JPEG", "peer", False)}
    records = [
        Record("i", 10, 20, "jpeg", f"q={i}", size, size, 20.0 + i, None, None, 9, 0.5, 0.25, None, "")
        for i, size in enumerate((100, 400, 900, 1600))
    ]
    records = [replace(record, image=str(image)) for record in records for image in range(24)]
    about = {"command": "c", "date": "d", "machine": {"cpu": "x", "cores": 2}, "versions": {}, "models": {}}
    figure = plots.rate_distortion(Run(about, "kodak", infos, records), PSNR)
    assert figure is not None
    styles = {line.get_label(): line.get_linestyle() for line in figure.axes[0].lines}
    assert styles["JPEG"] == "-"
    assert styles["VTM 18.0, published"] == "--"
    text = summary(Run(about, "kodak", infos, records))
    assert "- QARV: <https://github.com/duanzhiihao/lossy-vae/" in text
    assert "lossy-vae" not in summary(Run(about, "elsewhere", infos, records))
    assert "lossy-vae" not in summary(Run(about, "kodak", infos, [r for r in records if r.image < "5"]))
    lossless = [replace(record, psnr=None, max_error=0, setting="") for record in records[:24]]
    assert "lossy-vae" not in summary(Run(about, "kodak", {"jpeg": CoderInfo("JPEG", "peer", True)}, lossless))


def swept(coder: str, factor: int) -> list[Record]:
    """A coder whose files have `factor` times the bytes of another one's at equal quality, of 24 images."""
    return [
        Record(str(image), 10, 20, coder, f"q={i}", size, size, 22.0 + 3 * i, None, 10.0 * i - 30, 9, 1, 1, None, "")
        for i, size in enumerate(factor * 2**power for power in range(6))
        for image in range(24)
    ]


def test_every_lossy_coder_is_compared_with_each_common_one() -> None:
    titles = {"own rs2": "own rs2", "jpeg": "JPEG", "webp": "WebP", "avif": "AVIF", "png": "PNG"}
    infos = {key: CoderInfo(title, "peer", key == "png") for key, title in titles.items()}
    factors = {"own rs2": 200, "jpeg": 400, "webp": 300, "avif": 100}  # bytes at the lowest quality
    records = [record for key, factor in factors.items() for record in swept(key, factor)]
    about = {"command": "c", "date": "d", "machine": {"cpu": "x", "cores": 2}, "versions": {}, "models": {}}
    run = Run(about, "kodak", infos, records)
    heading, _, *lines = [line.split(" | ") for line in bd_table(run).replace(" |\n", "\n").splitlines()]
    anchors = ("JPEG", "WebP", "AVIF")
    names = [f"BD-rate against {anchor} by {quality}" for quality in ("PSNR", "SSIMULACRA 2") for anchor in anchors]
    assert heading == ["| lossy coder", *names]
    rows = {row[0].removeprefix("| "): row[1:] for row in lines}
    assert rows["own rs2"] == ["-50.0 %", "-33.3 %", "+100.0 %"] * 2
    assert rows["JPEG"] == ["–", "+33.3 %", "+300.0 %"] * 2
    assert "PNG" not in rows
    assert rows["VTM 18.0, published"][3:] == ["–"] * 3
    assert list(rows)[:4] == ["own rs2", "JPEG", "WebP", "AVIF"]
    unscored = replace(run, records=[replace(r, ssimulacra2=None) for r in records])
    assert "SSIMULACRA 2" not in bd_table(unscored)
    assert bd_rates(run, "jpeg", SSIMULACRA2) == pytest.approx({"own rs2": -50, "WebP": -25, "AVIF": -75})
    assert bd_table(replace(run, records=swept("own rs2", 200), coders={"own rs2": infos["own rs2"]})) == ""
