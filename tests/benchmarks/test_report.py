"""The report that `selfcodec bench` writes: one file, escaped, with crops that show detail."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from bench_command import record, run
from PIL import Image

from selfcodec.benchmarks.figures import crops
from selfcodec.benchmarks.reports.html import html
from selfcodec.benchmarks.results import CoderInfo, Run

pytest_plugins = ("benchmark_fixtures",)


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
    assert len(page.cells) == 1 + 4 + 1 + 1 + 9 + 11
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
    text = html(Run(about, "<here>", {"b": CoderInfo("B & C", "peer", False)}, [failed]), [], [])
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
