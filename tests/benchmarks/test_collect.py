"""`collect`: runs that are published together."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from bench_command import run as bench
from benchmark_commands import run
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.reports import collected
from selfcodec.benchmarks.results import Run
from selfcodec.zoo import Model

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
PUBLISHED = sorted({path.parents[1] for path in RESULTS.glob("*/*/results.json")})
"""Folders of collected runs; others hold reports of another kind."""


def test_runs_are_collected(photo: UInt8, tiny_model: Model, tmp_path: Path) -> None:
    pictures, out, gathered = (tmp_path / name for name in ("pictures", "out", "gathered"))
    pictures.mkdir()
    Image.fromarray(photo).save(pictures / "a.png")
    bench("--dataset", pictures, "--models", "tiny", "--qualities", "50", "--peers", "png,jpeg", "-o", out)
    result = run("collect", out, "-o", gathered)
    assert result.exit_code == 0, result.output
    text = (gathered / "README.md").read_text(encoding="utf-8")
    assert text == collected.readme([Run.load(gathered / "pictures")])
    assert "BD-rate" not in text  # an untrained model reaches no quality of JPEG's
    assert text.count("**") == 2
    for name in ("results.json", "summary.md", "psnr.png", "lossless.svg"):
        assert (gathered / "pictures" / name).read_bytes() == (out / name).read_bytes()
    assert not list(gathered.rglob("*.html"))
    (gathered / "speed.png").write_bytes((out / "psnr.png").read_bytes())
    (gathered / "speed.json").write_text('{"command": "measure it"}', encoding="utf-8")
    (gathered / "other.png").write_bytes((out / "psnr.png").read_bytes())
    (gathered / "other.json").write_text('{"no": "report"}', encoding="utf-8")
    assert run("collect", out, "-o", gathered).exit_code == 0
    text = (gathered / "README.md").read_text(encoding="utf-8")
    assert "`measure it`\n\n![speed](speed.png)" in text
    assert "other.png" not in text
    shown = re.findall(r"\]\((.*?)\)", text)
    assert len(shown) > 2
    assert all((gathered / name).is_file() for name in shown)
    other = Run.load(out)
    moved = replace(other, dataset="b", provenance=other.provenance | {"machine": {"cpu": "another", "cores": 1}})
    (tmp_path / "moved").mkdir()
    moved.save(tmp_path / "moved" / "results.json")
    refused = run("collect", out, tmp_path / "moved", "-o", tmp_path / "x")
    assert (refused.exit_code, "several machines" in refused.stderr) == (1, True)
    again = run("collect", out, out, "-o", gathered)
    assert again.exit_code == 1
    assert "two runs are of one data set" in again.stderr


def test_figures_of_several_runs_stand_side_by_side() -> None:
    def of(run: Run) -> dict[str, float]:
        return {"a": {"A": 2.0, "B": 1.0}, "b": {"C": 4.0, "A": 3.0}, "c": {}}[run.dataset]

    runs = [Run({}, name, {}, []) for name in "abc"]
    lines = collected.across(runs, of, "what", 1).splitlines()
    assert lines[0] == "| what | a | b | c |"
    assert lines[2:] == ["| B | **1.0** | – | – |", "| A | 2.0 | **3.0** | – |", "| C | – | 4.0 | – |"]
    assert collected.across(runs[2:], of, "what", 1) == ""


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda path: path.name)
def test_published_readmes_are_made_from_their_results(folder: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    runs = {run.dataset: run for run in map(Run.load, sorted(p.parent for p in folder.glob("*/results.json")))}
    order = re.findall(r"^## (.*): \d+ images$", text, re.MULTILINE)
    assert set(order) == set(runs)
    assert text == collected.readme([runs[name] for name in order], collected.other_pictures(folder))
    assert not any(run.failures for run in runs.values())
