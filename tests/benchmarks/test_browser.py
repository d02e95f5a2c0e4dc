"""The HTML report in a real browser, if there is one: it shows, sorts, and complains about nothing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selfcodec.benchmarks.figures.plots import save_plots
from selfcodec.benchmarks.reports.html import Crop, html
from selfcodec.benchmarks.results import CoderInfo, Record, Run

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--virtual-time-budget=5000",
)
LISTEN = "<script>window.failures = []; window.addEventListener('error', e => failures.push(e.message), true);</script>"
PROBE = """<script>
window.addEventListener("load", () => {
  const column = n => [...document.querySelectorAll("tbody tr")].map(row => row.cells[n].textContent);
  const press = n => document.querySelectorAll("th button")[n].click();
  const found = {};
  press(4); found.up = column(4);
  press(4); found.down = column(4); found.sort = document.querySelectorAll("th")[4].getAttribute("aria-sort");
  press(6); found.unknownLast = column(6);
  press(0); found.names = column(0);
  found.images = [...document.images].map(image => image.complete && image.naturalWidth);
  found.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  found.failures = failures;
  document.body.dataset.found = JSON.stringify(found);
});
</script>"""


def page(folder: Path) -> str:
    """A report of three coders' points, one of them without a PSNR, with a crop and a failure."""
    about = {"command": "c", "date": "d", "machine": {"cpu": "x", "cores": 2}, "versions": {"a": "1"}, "models": {}}
    infos = {
        "own rs1": CoderInfo("own rs1", "selfcodec", False),
        "jpeg": CoderInfo("JPEG", "peer", False),
        "png": CoderInfo("PNG", "peer", True),
    }
    sizes = {"own rs1": (900, 30000), "jpeg": (1100, 5000), "png": (90000,)}
    records = [
        Record(
            "i",
            200,
            200,
            coder,
            f"q={i}",
            size,
            size,
            None if coder == "png" else 20.0 + i,
            None,
            None,
            9,
            1,
            1,
            None,
            "",
        )
        for coder, several in sizes.items()
        for i, size in enumerate(several)
    ]
    records.append(Record("j", 200, 200, "png", "q=0", 0, 0, None, None, None, None, 0, 0, None, "broken"))
    run = Run(about, "here", infos, records)
    crop = Crop("i", "original", np.zeros((20, 30, 3), dtype=np.uint8))
    return html(run, [path for path in save_plots(run, folder) if path.suffix == ".svg"], [crop])


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
@pytest.mark.parametrize("width", [1200, 390])
def test_the_report_works_in_a_browser(width: int, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    text = page(tmp_path).replace("<head>", f"<head>{LISTEN}").replace("</body>", f"{PROBE}</body>")
    path.write_text(text, encoding="utf-8")
    own = (f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900", "--dump-dom", path.as_uri())
    shown = subprocess.run([str(BROWSER), *FLAGS, *own], capture_output=True, text=True, timeout=120, check=True).stdout
    match = re.search(r'data-found="([^"]*)"', shown)
    assert match is not None
    found: dict[str, Any] = json.loads(unescape(match[1]))
    assert found["failures"] == []
    assert found["up"] == ["900.0", "1,100.0", "5,000.0", "30,000.0", "90,000.0"]
    assert found["down"] == found["up"][::-1]
    assert found["sort"] == "descending"
    assert found["unknownLast"][-1] == "–"
    assert found["names"] == ["JPEG", "JPEG", "own rs1", "own rs1", "PNG"]
    assert len(found["images"]) == 3
    assert all(found["images"])
    assert found["wide"] <= 0
