"""Results of `selfcodec bench`: points, tables and curves of them, and comparisons of two runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from bench_command import record, run

from selfcodec.benchmarks.figures import plots
from selfcodec.benchmarks.qualities import PSNR, SSIMULACRA2, in_decibels
from selfcodec.benchmarks.reports.collected import has_plot
from selfcodec.benchmarks.reports.html import html
from selfcodec.benchmarks.reports.summary import image_table, summary
from selfcodec.benchmarks.results import CoderInfo, Point, Record, Run, curves, parts_of_key
from selfcodec.errors import InputError


def test_points_are_means() -> None:
    infos = {"b": CoderInfo("B", "peer", False), "a": CoderInfo("A", "selfcodec", True)}
    records = [
        record("a", "", 100, psnr=None, max_error=0),
        record("b", "q=2", 300, peak_mib=3.0),
        record("b", "q=1", 100, psnr=None, max_error=0),
        replace(record("b", "q=1", 200, psnr=20.0, max_error=40), image="j", width=20),
        replace(record("b", "q=1", 1, failure="broken"), image="k"),
    ]
    first, second, third = Run({}, "here", infos, records).points()
    assert (first.coder, first.setting, second.setting, third.coder) == ("b", "q=1", "q=2", "a")
    assert (first.images, first.failures) == (2, 1)
    assert first.bytes == 150
    assert first.bpp == pytest.approx((800 / 200 + 1600 / 400) / 2)
    assert first.bpd == pytest.approx(first.bpp / 3)
    assert (first.psnr, first.max_error, first.peak_mib) == (20.0, 40, None)
    assert (first.encode_speed, first.decode_speed) == pytest.approx((600e-6 / 1.0, 600e-6 / 0.5))
    assert (second.peak_mib, third.psnr) == (3.0, None)


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    about = {"command": "c", "date": "d", "machine": {"cpu": "x", "cores": 2}, "versions": {}, "models": {}}
    infos = {"b": CoderInfo("B", "peer", False)}
    written = Run(about, "here", infos, [record("b", "q=1", 0, failure="a | b", psnr=None)])
    written.save(tmp_path / "results.json")
    assert Run.load(tmp_path) == written
    assert "a \\| b" in summary(written)
    for text in (
        "{}",
        '{"format": 1}',
        "[]",
        "no",
        '{"format": 2, "points": [], "columns": [], "records": [[3]]}',
        '{"format": 2, "points": []}',
    ):
        (tmp_path / "results.json").write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=r"results\.json"):
            Run.load(tmp_path)


def test_records_that_no_run_has_are_refused(tmp_path: Path) -> None:
    path = saved_run(tmp_path / "a", record("b", "q=1", 1000)) / "results.json"
    report = json.loads(path.read_text(encoding="utf-8"))
    for column, value, words in (
        ("coder", "none", "has records of 'none', which is none of its coders"),
        ("width", 0, "not a benchmark's results"),
        ("bytes", "x", "not a benchmark's results"),
    ):
        (row,) = report["records"]
        wrong = [value if name == column else known for name, known in zip(report["columns"], row, strict=True)]
        path.write_text(json.dumps(report | {"records": [wrong]}), encoding="utf-8")
        with pytest.raises(InputError, match=rf"results\.json: {words}"):
            Run.load(path)


def test_results_from_before_ssimulacra_2_are_read(tmp_path: Path) -> None:
    written = saved_run(tmp_path / "a", record("b", "q=1", 1000, ms_ssim=0.5, ssimulacra2=70.0)) / "results.json"
    report = json.loads(written.read_text(encoding="utf-8"))
    assert report["points"][0]["ssimulacra2"] == 70
    place = report["columns"].index("ssimulacra2")
    for row in (report["columns"], *report["records"], *report["points"]):
        row.pop(place) if isinstance(row, list) else row.pop("ssimulacra2")
    written.write_text(json.dumps(report), encoding="utf-8")
    (point,) = Run.load(written).points()
    assert (point.ms_ssim, point.ssimulacra2) == (0.5, None)
    report["columns"][place] = "some_other_measure"
    written.write_text(json.dumps(report), encoding="utf-8")
    with pytest.raises(InputError, match="some_other_measure"):
        Run.load(written)


def test_scores_are_shown_and_drawn() -> None:
    about = {"command": "c", "date": "d", "machine": {"cpu": "x", "cores": 2}, "versions": {}, "models": {}}
    records = [record("b", f"q={i}", 100 * i, ssimulacra2=score) for i, score in enumerate((-12.5, 40.25, 81.75), 1)]
    run = Run(about, "here", {"b": CoderInfo("B", "peer", False)}, [*records, replace(records[0], image="j")])
    assert [point.ssimulacra2 for point in run.points()] == [-12.5, 40.25, 81.75]
    heading, first = (
        line.split(" | ") for line in summary(run).splitlines() if line.startswith(("| lossy", "| B | q=1"))
    )
    assert first[heading.index("SSIMULACRA 2")] == "-12.50"
    assert '<td data-value="-12.5">-12.50</td>' in html(run, [], [])
    figure = plots.rate_distortion(run, SSIMULACRA2)
    assert figure is not None
    assert figure.axes[0].get_ylabel() == "SSIMULACRA 2"
    assert figure.axes[0].lines[0].get_ydata().tolist() == [-12.5, 40.25, 81.75]  # type: ignore[union-attr]
    assert has_plot(run, "ssimulacra2")
    assert not has_plot(run, "ms-ssim")


def test_the_largest_error_is_called_and_explained() -> None:
    """It stands beside scores, of which larger ones are better."""
    about = {"command": "c", "date": "d", "machine": {"cpu": "x", "cores": 2}, "versions": {}, "models": {}}
    run = Run(about, "here", {"b": CoderInfo("B", "peer", False)}, [record("b", "q=1", 100, max_error=137)])
    text = summary(run)
    heading, row = (line.split(" | ") for line in text.splitlines() if line.startswith(("| lossy", "| B | q=1")))
    assert row[heading.index("max error (0-255)")] == "137"
    for report in (text, html(run, [], [])):
        assert "max error (0-255)" in report
        assert "The max error is by how much a sample" in report
        assert "worst" not in report


def test_few_images_are_listed_one_by_one() -> None:
    infos = {
        "a": CoderInfo("A", "selfcodec", True),
        "b": CoderInfo("B", "peer", True),
        "c": CoderInfo("C", "peer", False),
    }
    records = [record("a", "", 75), record("b", "", 150), record("c", "q=1", 10)]
    records += [replace(record(coder, "", 75, failure="x" * (coder == "b")), image="j") for coder in "ab"]
    table = image_table(Run({}, "here", infos, records))
    assert table.splitlines()[2:] == ["| i | **1.000** | 2.000 |", "| j | **1.000** | – |"]
    assert image_table(Run({}, "here", infos, [replace(records[0], image=str(i)) for i in range(51)])) == ""
    assert image_table(Run({}, "here", infos, records[2:3])) == ""


def test_plots_of_nothing_are_none() -> None:
    empty = Run({}, "here", {"b": CoderInfo("B", "peer", False)}, [record("b", "", 0, failure="x")])
    assert plots.rate_distortion(empty, PSNR) is None
    assert plots.lossless_rates(empty) is None


def test_curves_rise_in_rate() -> None:
    infos = {"b": CoderInfo("B", "peer", False)}
    records = [record("b", f"q={i}", size, psnr=20.0 + i) for i, size in enumerate((900, 100, 400))]

    def quality(point: Point) -> float | None:
        return point.psnr

    ((key, rates, qualities),) = curves(Run({}, "here", infos, records), quality)
    assert key == "b"
    assert rates == sorted(rates)
    assert qualities == [21.0, 22.0, 20.0]
    assert in_decibels(0.99) == pytest.approx(20)
    assert in_decibels(1.0) is None


def saved_run(folder: Path, *records: Record) -> Path:
    about = {"command": "c", "date": "d", "machine": {"cpu": "x", "cores": 2}, "versions": {}, "models": {}}
    folder.mkdir()
    Run(about, "here", {"b": CoderInfo("B", "peer", False)}, list(records)).save(folder / "results.json")
    return folder


@pytest.mark.parametrize(
    ("after", "shown", "worse"),
    [
        (record("b", "q=1", 1000, psnr=30.01), "no changes", 0),
        (record("b", "q=1", 1010), "+1.0 % worse", 1),
        (record("b", "q=1", 990), "-1.0 % better", 0),
        (record("b", "q=1", 1000, psnr=29.5), "29.5", 1),
        (record("b", "q=1", 1000, ssimulacra2=-20.5), "SSIMULACRA 2", 1),
        (record("b", "q=1", 1000, ssimulacra2=-19.5), "better", 0),
        (record("b", "q=1", 1000, ssimulacra2=-20.05), "no changes", 0),
        (record("b", "q=1", 1000, failure="x"), "failures", 1),
        (replace(record("b", "q=1", 1000), encode_seconds=2.0), "-75.0 % worse", 0),
    ],
)
def test_changes_are_found(after: Record, shown: str, worse: int, tmp_path: Path) -> None:
    a = saved_run(tmp_path / "a", record("b", "q=1", 1000, ssimulacra2=-20.0))
    b = saved_run(tmp_path / "b", after)
    result = run("--compare", a, b / "results.json", code=worse)
    assert shown in result.stdout
    assert not worse or "1 figures got worse" in result.stderr


def test_results_of_other_images_are_not_compared(tmp_path: Path) -> None:
    a = saved_run(tmp_path / "a", record("b", "q=1", 1000))
    b = saved_run(tmp_path / "b", replace(record("b", "q=1", 1000), image="j"))
    c = saved_run(tmp_path / "c", record("b", "q=2", 1000))
    d, e = (saved_run(tmp_path / name, record("b", "q=1", 1000, digest=name)) for name in "de")
    for first, second in ((a, b), (d, e)):
        assert "different images" in run("--compare", first, second, code=1).stderr
    assert "no changes" in run("--compare", a, d).stdout  # results from before digests have none
    assert "in common" in run("--compare", a, c, code=1).stderr
    assert "--dataset" in run(code=2).stderr


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        ("photo rs2", ("photo", "rs2", "")),
        ("photo-lossy rs2 effort 9", ("photo-lossy", "rs2", "effort 9")),
        ("a b cr", ("a b", "cr", "")),
        ("best effort 3 lossless", ("best effort 3", "lossless", "")),
    ],
)
def test_keys_have_a_model_a_mode_and_perhaps_an_effort(key: str, parts: tuple[str, str, str]) -> None:
    assert parts_of_key(key) == parts


def test_every_level_of_a_mode_has_its_own_curve() -> None:
    settings = [(f"level={level} q={q}", 100 * level + q, 30.0 - level + q / 10) for level in (1, 2) for q in (10, 50)]
    records = [record("m cr", setting, size, psnr=psnr) for setting, size, psnr in settings]
    run = Run({}, "here", {"m cr": CoderInfo("m cr", "selfcodec", False)}, records)
    figure = plots.rate_distortion(run, PSNR)
    assert figure is not None
    assert [line.get_ydata().tolist() for line in figure.axes[0].lines] == [[30.0, 34.0], [29.0, 33.0]]  # type: ignore[union-attr]
    assert len(figure.legends[0].get_texts()) == 1
