"""`selfcodec bench`: coders, round trips, resuming, reports, and what it refuses."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from selfcodec.benchmarks import bench, coders, crops, metrics, plots, report, runner
from selfcodec.benchmarks.coders import PEERS, Coder
from selfcodec.benchmarks.results import CoderInfo, Point, Record, Run, curves
from selfcodec.benchmarks.runner import Journal, PeakMemory, measure, ms_ssim
from selfcodec.benchmarks.summary import image_table, summary
from selfcodec.cli.main import main
from selfcodec.errors import InputError
from selfcodec.zoo import Model

UInt8 = npt.NDArray[np.uint8]
WHAT: dict[str, Any] = {"dataset": "here", "models": {}}


def run(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["bench", *(str(a) for a in arguments)])
    assert result.exit_code == code, result.output
    assert (code == 1) == ("selfcodec: error: " in result.stderr)
    return result


@pytest.fixture
def folder(photo: UInt8, tmp_path: Path, tiny_model: Model) -> Path:
    """Three images: a photograph, a part of it, and a flat one."""
    path = tmp_path / "pictures"
    path.mkdir()
    for name, image in (("a", photo), ("b", photo[:40, :56]), ("c", np.full((24, 24, 3), 9, np.uint8))):
        Image.fromarray(image).save(path / f"{name}.png")
    return path


def results(path: Path) -> Run:
    return Run.load(path)


def lasting(record: Record) -> Record:
    """Without what differs from run to run."""
    return replace(record, encode_seconds=0, decode_seconds=0, peak_mib=None)


# Coders.


@pytest.mark.parametrize("key", PEERS)
def test_peers_code_and_decode(key: str, photo: UInt8) -> None:
    coder, sizes = PEERS[key], []
    for setting in coder.settings:
        record = measure("photo", photo, key, coder, setting)
        assert record.failure == ""
        assert 0 < record.payload_bytes <= record.bytes
        assert (record.max_error == 0) == coder.info.lossless == (record.psnr is None)
        sizes.append(record.bytes)
    assert sorted(sizes) == sizes  # settings rise in rate


@pytest.mark.parametrize("key", ["png", "webp", "webp-lossless", "jpeg", "jpegls", "jp2", "qoi", "avif"])
def test_headers_are_left_out_of_payloads(key: str, photo: UInt8) -> None:
    """An image of twice the area has as many bytes of header, up to a few of lengths, and more of payload."""
    coder = PEERS[key]
    options = next(iter(coder.settings.values()))
    small, large = (coder.encode(image, options) for image in (photo[:32], photo))
    headers = [len(data) - coder.payload(data) for data in (small, large)]
    assert all(header > 0 for header in headers)
    assert abs(headers[1] - headers[0]) <= 40
    assert coder.payload(large) > coder.payload(small)


LOSSLESS = ("png", "webp-lossless", "jxl-lossless", "jpegls", "jp2-lossless", "qoi")


@pytest.mark.parametrize("key", LOSSLESS)
def test_grey_images_and_noise_come_back(key: str, photo: UInt8) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for image in (photo[:, :, :1].repeat(3, 2), noise, noise[:1, :1]):
        assert measure("image", image, key, PEERS[key], "").failure == ""


def test_models_offer_their_modes(tiny_model: Model, photo: UInt8) -> None:
    own = coders.own_coders("tiny", (), (20, 90))
    assert list(own) == ["tiny rs1", "tiny rs2", "tiny cg", "tiny cr", "tiny lossless"]
    assert list(own["tiny rs2"].settings) == ["q=20", "q=90"]
    assert list(own["tiny lossless"].settings) == [""]
    coarse, fine = (measure("photo", photo, "tiny rs2", own["tiny rs2"], setting) for setting in ("q=20", "q=90"))
    assert coarse.bytes < fine.bytes
    assert coarse.bytes - coarse.payload_bytes in range(15, 25)
    lossless = measure("photo", photo, "tiny lossless", own["tiny lossless"], "")
    assert (lossless.failure, lossless.max_error, lossless.psnr) == ("", 0, None)


def test_unknown_peers_are_named(folder: Path, tmp_path: Path) -> None:
    assert coders.choose_peers("none") == {}
    assert list(coders.choose_peers("qoi,png")) == ["png", "qoi"]
    assert "gif" in run("--dataset", folder, "--peers", "png,gif", "-o", tmp_path / "out", code=1).stderr


def test_deep_models_are_measured_at_every_level(tiny_model: Model) -> None:
    class Deep:
        levels, digest = 2, "0" * 64

    settings = coders._own("deep", Deep(), coders.Mode.CG, (50,)).settings  # type: ignore[arg-type]
    assert settings == {"level=1 q=50": {"level": 1, "quality": 50}, "level=2 q=50": {"level": 2, "quality": 50}}


# Measures.


def broken(kind: str) -> Coder:
    """A lossless coder that loses, shrinks, or fails."""

    def decode(data: bytes) -> UInt8:
        image = PEERS["qoi"].decode(data)
        if kind == "raises":
            raise ValueError("no\nidea")
        if kind == "lossy":
            image = image.copy()
            image[0, 0, 0] ^= 3
        return image[1:] if kind == "shrinks" else image

    return replace(PEERS["qoi"], info=CoderInfo("Broken", coders.PEER, True), decode=decode)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("lossy", "not lossless: samples differ by up to"),
        ("shrinks", "came back as uint8 (63, 96, 3)"),
        ("raises", "ValueError: no idea"),
    ],
)
def test_broken_coders_are_found(
    kind: str, expected: str, folder: Path, photo: UInt8, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = measure("photo", photo, "broken", broken(kind), "")
    assert record.failure.startswith(expected)
    assert record.bytes > 0
    monkeypatch.setitem(coders.PEERS, "broken", broken(kind))
    options = (
        "--dataset",
        folder,
        "--models",
        "tiny",
        "--modes",
        "lossless",
        "--peers",
        "broken",
        "-o",
        tmp_path / "o",
    )
    result = run(*options, code=1)
    assert "3 of 6 round trips failed" in result.stderr
    assert "## 3 failures" in (tmp_path / "o" / "summary.md").read_text(encoding="utf-8")
    point = next(p for p in results(tmp_path / "o").points() if p.coder == "broken")
    assert (point.images, point.failures) == (0, 3)


def test_ms_ssim() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (170, 180, 3), dtype=np.uint8)
    other = np.clip(image.astype(int) + rng.integers(-40, 41, image.shape), 0, 255).astype(np.uint8)
    assert ms_ssim(image, image) == pytest.approx(1)
    assert 0.5 < (ms_ssim(image, other) or 0) < 0.999
    assert ms_ssim(image[:160], other[:160]) is None


def test_peak_memory_sees_what_was_freed() -> None:
    with PeakMemory() as memory:
        block = np.ones(40 << 20, dtype=np.uint8)
        del block
    assert memory.mib is None or 35 < memory.mib < 200


# Running.


def test_a_run_from_the_command_line(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--dataset", folder, "--models", "tiny", "--qualities", "30,80", "--peers", "png,jpeg,webp", "-o", out)
    printed = run(*options).output
    found = results(out)
    assert found.dataset == "pictures"
    assert list(dict.fromkeys(r.image for r in found.records)) == ["a", "b", "c"]
    assert len(found.records) == 3 * (4 * 2 + 1 + 1 + 10 + 8)
    assert found.provenance["models"].keys() == {"tiny"}
    assert str(tmp_path) not in found.provenance["command"]
    text = (out / "summary.md").read_text(encoding="utf-8")
    assert text.strip() in printed
    assert "| tiny lossless |" in text
    assert "BD-rate against JPEG" in text
    for name in ("psnr", "lossless"):
        with Image.open(out / f"{name}.png") as image:
            assert min(image.size) > 200
        assert "<svg" in (out / f"{name}.svg").read_text(encoding="utf-8")
    report = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert len(report["points"]) == 4 * 2 + 1 + 1 + 10 + 8


def test_two_runs_give_the_same_figures(folder: Path, tmp_path: Path) -> None:
    runs = []
    for i, jobs in enumerate((1, 2)):
        out = tmp_path / str(i)
        options = ("--limit", 2, "--seed", 7, "--models", "tiny", "--qualities", 50, "--peers", "png,webp")
        run("--dataset", folder, *options, "-j", jobs, "-o", out)
        runs.append([lasting(record) for record in results(out).records])
    assert runs[0] == runs[1]


def test_seeds_draw_images(folder: Path) -> None:
    drawn = {tuple(bench.choose_pictures(str(folder), 2, seed)) for seed in range(12)}
    assert drawn == {("a", "b"), ("a", "c"), ("b", "c")}
    assert list(bench.choose_pictures(str(folder), 2, None)) == ["a", "b"]
    assert list(bench.choose_pictures(str(folder), 5, 1)) == ["a", "b", "c"]


def test_a_stopped_run_goes_on(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, measured, stop = tmp_path / "out", list[str](), ["now"]
    options = ("--dataset", folder, "--models", "tiny", "--modes", "lossless", "--peers", "png", "-o", out)
    real = runner.measure_image

    def stopping(name: str, *rest: Any) -> list[Record]:
        if name == "b" and stop:
            stop.clear()
            raise KeyboardInterrupt
        measured.append(name)
        return real(name, *rest)

    monkeypatch.setattr(runner, "measure_image", stopping)
    assert CliRunner().invoke(main, ["bench", *map(str, options)]).exit_code == 130
    assert measured == ["a"]
    with (out / "records.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"image": "b", "wid')  # as a crash leaves it
    run(*options)
    assert measured == ["a", "b", "c"]
    assert len(results(out).records) == 6
    run(*options, "--force")
    assert measured == ["a", "b", "c", "a", "b", "c"]


def test_a_journal_of_something_else_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path, WHAT)
    assert Journal(tmp_path, WHAT).records == {}
    with pytest.raises(InputError, match=r"another data set or version: choose another folder"):
        Journal(tmp_path, WHAT | {"dataset": "there"})
    shapeless, no_text = json.dumps(WHAT | {"models": 3}).encode() + b"\n", b"\xff\n"
    for damaged in (b"", b"no JSON\n", json.dumps(WHAT).encode() + b'\n{"image": 3}\n', shapeless, no_text):
        (tmp_path / "records.jsonl").write_bytes(damaged)
        with pytest.raises(InputError, match="begin anew with --force"):
            Journal(tmp_path, WHAT)
    Journal(tmp_path, WHAT, force=True)


def test_a_model_that_changed_is_measured_again_and_nothing_else(tmp_path: Path) -> None:
    what = WHAT | {"models": {"a": "1", "b": "2"}}
    journal = Journal(tmp_path, what)
    records = [record(coder, "", 5) for coder in ("a lossless", "b lossless", "a b lossless", "png")]
    journal.add(records)
    assert list(Journal(tmp_path, what | {"models": {"c": "3"}}).records.values()) == records
    assert list(Journal(tmp_path, what).records.values()) == records
    changed = what | {"models": {"a": "4"}}
    assert list(Journal(tmp_path, changed).records.values()) == records[1:]
    changed = what | {"models": {"b": "5"}}
    assert list(Journal(tmp_path, changed).records.values()) == records[2:]
    header = json.loads((tmp_path / "records.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert header["models"] == {"a": "4", "b": "5", "c": "3"}


def test_a_model_is_known_by_its_name_wherever_it_lies(folder: Path, tiny_model_dir: Path, tmp_path: Path) -> None:
    chosen = bench.choose_coders(plan_of(str(tiny_model_dir / "tiny")))
    assert bench.models_of(chosen) == bench.models_of(bench.choose_coders(plan_of("tiny")))
    assert list(bench.models_of(chosen)) == ["tiny"]
    with pytest.raises(InputError, match="two of the models have one name"):
        bench.choose_coders(plan_of("tiny", str(tiny_model_dir / "tiny")))


def plan_of(*models: str) -> bench.Plan:
    return bench.Plan("here", models, (), (50,), "none", None, None, 1)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--dataset", "nowhere"), "'nowhere' is not there"),
        (("--dataset", "FOLDER", "--models", "none-such"), "no model 'none-such'"),
        (("--dataset", "FOLDER", "--models", "tiny", "--modes", "cg", "--peers", "none", "--limit", "0"), None),
        (("--dataset", "FOLDER", "--modes", "best"), None),
        (("--dataset", "FOLDER", "--qualities", "0,5"), None),
        (("--dataset", "FOLDER", "--qualities", "high"), None),
    ],
)
def test_bad_requests_say_why(options: tuple[str, ...], text: str | None, folder: Path, tmp_path: Path) -> None:
    arguments = [str(folder) if option == "FOLDER" else option for option in options]
    result = run(*arguments, "-o", tmp_path / "out", code=1 if text else 2)
    if text:
        assert text in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_models_that_suit(tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    names = dict.fromkeys(("kodak-best", "kodakish", "photo"), Path())
    monkeypatch.setattr(bench, "available_models", lambda: names)
    assert bench.suitable_models("kodak") == ("kodak-best", "cifar10-downscale", "photo")


# Results.


def record(coder: str, setting: str, size: int, **more: Any) -> Record:
    fields = {"psnr": 30.0, "ms_ssim": None, "max_error": 9, "peak_mib": None, "failure": ""} | more
    return Record("i", 10, 20, coder, setting, size, size - 5, encode_seconds=0.5, decode_seconds=0.25, **fields)


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
    assert plots.rate_distortion(empty, plots.PSNR) is None
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
    assert plots.in_decibels(0.99) == pytest.approx(20)
    assert plots.in_decibels(1.0) is None


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
        (record("b", "q=1", 1000, failure="x"), "failures", 1),
        (replace(record("b", "q=1", 1000), encode_seconds=2.0), "-75.0 % worse", 0),
    ],
)
def test_changes_are_found(after: Record, shown: str, worse: int, tmp_path: Path) -> None:
    a = saved_run(tmp_path / "a", record("b", "q=1", 1000))
    b = saved_run(tmp_path / "b", after)
    result = run("--compare", a, b / "results.json", code=worse)
    assert shown in result.stdout
    assert not worse or "1 figures got worse" in result.stderr


def test_results_of_other_images_are_not_compared(tmp_path: Path) -> None:
    a = saved_run(tmp_path / "a", record("b", "q=1", 1000))
    b = saved_run(tmp_path / "b", replace(record("b", "q=1", 1000), image="j"))
    c = saved_run(tmp_path / "c", record("b", "q=2", 1000))
    assert "different images" in run("--compare", a, b, code=1).stderr
    assert "in common" in run("--compare", a, c, code=1).stderr
    assert "--dataset" in run(code=2).stderr


class Page(HTMLParser):
    """What a page asks the network for, its table's cells, and its images' sources."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.cells: list[list[str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.sources += [value or "" for key, value in named.items() if key in ("src", "href")]
        if tag == "tr":
            self.cells.append([])
        if tag == "td":
            self.cells[-1].append(named["data-value"] or "")


def test_the_report_needs_nothing_else(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--models", "tiny", "--qualities", 50, "--peers", "png,webp,jpeg", "-o", out)
    run("--dataset", folder, *options)
    text = (out / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert len(page.sources) > 4
    assert all(source.startswith("data:image/") for source in page.sources)
    assert "http" not in text.replace("http://www.w3.org/", "").replace("https://www.w3.org/", "")
    assert len(page.cells) == 1 + 4 + 1 + 1 + 8 + 10
    assert all(float(value) >= 0 for row in page.cells[1:] for value in row[2:] if value)
    for source in page.sources:
        kind, _, data = source.partition(",")
        content = base64.b64decode(data)
        if "png" in kind:
            with Image.open(io.BytesIO(content)) as image:
                assert min(image.size) >= 24
        else:
            assert b"<svg" in content


def test_a_report_escapes_what_it_shows() -> None:
    about = {"command": "<c>", "date": "d", "machine": {"cpu": "x", "cores": 2}, "versions": {}, "models": {}}
    failed = record("b", "q=1", 0, failure="<script>alert(1)</script>", psnr=None)
    text = report.html(Run(about, "<here>", {"b": CoderInfo("B & C", "peer", False)}, [failed]), [], [])
    assert "<script>alert" not in text
    assert all(part in text for part in ("&lt;here&gt;", "&lt;c&gt;", "B &amp; C", "1 failures", 'class="bad"'))


def test_crops_show_where_there_is_detail() -> None:
    image = np.full((400, 500, 3), 100, dtype=np.uint8)
    image[200:380, 300:480] = np.random.default_rng(0).integers(0, 256, (180, 180, 3))
    rows, columns = crops.busiest(image)
    assert (rows.stop - rows.start, columns.stop - columns.start) == (192, 192)
    assert rows.start in (192, 208)
    assert columns.start == 288
    assert crops.busiest(image[:50, :40]) == (slice(0, 50), slice(0, 40))


def test_environment_names_versions() -> None:
    assert {"selfcodec", "python", "torch", "imagecodecs"} <= set(metrics.environment()["versions"])
