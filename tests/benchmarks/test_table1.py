"""The paper's Table 1: means, standard errors and differences from reports of `selfcodec eval`."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from benchmark_commands import run
from hypothesis import given
from hypothesis import strategies as st

from selfcodec.benchmarks.published import table_1
from selfcodec.benchmarks.reports.table1 import Mean, load_reports, table1
from selfcodec.errors import InputError
from selfcodec.models.recipe import load_recipe
from selfcodec.zoo import available_models, read_manifest

ROOT = Path(__file__).parents[2]
VAE, SKETCH, DEEP = (0.3, 0.5, 0.4), (0.3, 0.7, 0.5), (0.1, 0.2, 0.2)
"""Bits per dimension of three images by three models."""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a report of `selfcodec eval` into a folder, and returns that; one of the paper's models is installed."""
    installed = {"cifar10-downscale": available_models()["cifar10-downscale"]}
    monkeypatch.setattr("selfcodec.benchmarks.reports.table1.available_models", lambda: installed)

    def written(model: str, bpd: Sequence[float], first: int = 0, **changes: Any) -> Path:
        each = [
            {"image": str(first + i), "elbo": value + 1, "importance_weighted": value, "files": value + 2}
            for i, value in enumerate(bpd)
        ]
        report = {"models": {model: "0" * 64}, "dataset": "celeba", "samples": 512, "each": each} | changes
        (tmp_path / f"{len(changes)}{model}.json").write_text(json.dumps(report), encoding="utf-8")
        return tmp_path

    return written


def cells(text: str, name: str) -> list[str]:
    """The row of a table whose second cell is that name."""
    return next(
        row for row in ([cell.strip() for cell in line.split("|")] for line in text.splitlines()) if name in row[2:3]
    )


def test_the_paper_s_models_are_our_recipes() -> None:
    for model in table_1():
        assert load_recipe(model.name).train.dataset == model.dataset.lower().replace("-", "")


@given(st.lists(st.floats(-9, 9), min_size=2, max_size=20))
def test_standard_errors(values: list[float]) -> None:
    mean = Mean.of(values)
    assert mean is not None
    assert mean.value == pytest.approx(statistics.fmean(values), abs=1e-9)
    assert mean.error == pytest.approx(statistics.stdev(values) / len(values) ** 0.5, abs=1e-9)


def test_models_beside_the_paper_s(write: Write) -> None:
    text = table1(load_reports(write("celeba-vae", VAE)))
    assert cells(text, "`celeba-vae`")[3:8] == ["3.12", "1.400 ± 0.058", "0.400 ± 0.058", "2.400 ± 0.058", "3"]
    assert cells(text, "`celeba-sketch`")[3:8] == ["3.24", "–", "–", "–", "–"]
    assert cells(text, "`cifar10-downscale`")[-3:-1] == ["1.72", "100 min, two CPU cores"]
    assert "; ours are by 512. " in text


def test_what_models_send_is_shown_where_a_report_has_it(write: Write) -> None:
    write("celeba-vae", VAE)
    each = [{"image": "0", "elbo": 3.0, "importance_weighted": 2.0, "sent": 2.5, "files": 1.5, "stored": True}]
    text = table1(load_reports(write("celeba-sketch", (), each=each)))
    assert cells(text, "model")[4:9] == ["ELBO", "importance weighted", "files", "model, sum of -log2 p", "images"]
    assert cells(text, "`celeba-sketch`")[4:9] == ["3.000 ± –", "2.000 ± –", "1.500 ± –", "2.500 ± –", "1"]
    assert cells(text, "`celeba-vae`")[4:9] == ["1.400 ± 0.058", "0.400 ± 0.058", "2.400 ± 0.058", "–", "3"]
    each[0]["sent"] = None
    assert "sum of" not in table1(load_reports(write("celeba-sketch", (), each=each)))


def test_two_models_on_the_same_images(write: Write) -> None:
    """Differences have smaller errors than the means they are of, and images of one model alone do not count."""
    write("celeba-vae", VAE)
    write("celeba-sketch", SKETCH)
    text = table1(load_reports(write("celeba-downscale3", (*DEEP[1:], 9.0), first=1)))
    row = cells(text, "`celeba-downscale3` − `celeba-vae`")
    assert row[3:-1] == ["−0.24", *["−0.250 ± 0.050"] * 3, "2", "yes"]
    assert cells(text, "`celeba-sketch` − `celeba-vae`")[-4:-1] == ["+0.100 ± 0.058", "3", "undecided"]
    assert cells(text, "`imagenette64-downscale3` − `imagenette64-vae`")[-2] == "–"
    text = table1(load_reports(write("celeba-sketch", (-0.2, -0.1, -0.1))))
    assert cells(text, "`celeba-sketch` − `celeba-vae`")[-2] == "no"


def test_what_was_not_measured_is_a_dash(write: Write) -> None:
    each = [{"image": "0", "elbo": 1.5, "importance_weighted": None, "files": None}]
    write("celeba-vae", VAE)
    text = table1(load_reports(write("celeba-downscale3", (), each=each)))
    assert cells(text, "`celeba-downscale3`")[4:8] == ["1.500 ± –", "–", "–", "1"]
    assert cells(text, "`celeba-downscale3` − `celeba-vae`")[4:-1] == ["+0.200 ± –", "–", "–", "–", "–"]


def test_distances_beside_the_paper_s(write: Write) -> None:
    """The columns are there as soon as one model has been measured, and the number of samples stands with each."""
    assert "FID" not in table1(load_reports(write("celeba-vae", VAE)))
    digest = read_manifest(available_models()["cifar10-downscale"])["sha256"]
    fid = {"value": 123.456, "samples": 50_000, "images": 10_000, "weights": "0" * 64}
    text = table1(load_reports(write("cifar10-downscale", VAE, models={"cifar10-downscale": digest}, fid=fid)))
    assert cells(text, "`cifar10-downscale`")[7:10] == ["3", "34.71", "123.46 of 50,000"]
    assert cells(text, "`cifar10-vae`")[7:10] == ["–", "41.36", "–"]
    assert cells(text, "`celeba-vae`")[7:10] == ["3", "–", "–"]
    assert cells(text, "model")[7:10] == ["images", "FID, paper", "FID"]
    assert "FIDs are Fréchet Inception Distances" in text


@pytest.mark.parametrize(
    ("model", "changes", "words"),
    [
        ("tiny", {}, "is of model 'tiny', which is none of the paper's"),
        ("celeba-vae", {"samples": 512, "command": ""}, "is of model celeba-vae, as another report there is"),
        ("celeba-sketch", {"samples": 8}, "has 8 samples an image, others there have not"),
        ("cifar10-downscale", {}, "another version of model cifar10-downscale than is installed; evaluate it again"),
        ("celeba-sketch", {"each": []}, "no report of `selfcodec eval --json` with every image"),
        ("celeba-sketch", {"each": [{"image": "0", "elbo": 1.0}]}, "no report of `selfcodec eval --json`"),
        ("celeba-sketch", {"each": 7}, "no report of `selfcodec eval --json`"),
        ("celeba-sketch", {"fid": {"value": 1.0}}, "no report of `selfcodec eval --json`"),
        ("celeba-sketch", {"models": []}, "no report of `selfcodec eval --json`"),
        ("celeba-sketch", {"models": {"a": "", "b": ""}}, "no report of `selfcodec eval --json`"),
    ],
)
def test_reports_that_do_not_belong_there(model: str, changes: dict[str, Any], words: str, write: Write) -> None:
    write("celeba-vae", VAE)
    folder = write(model, SKETCH, **changes)
    with pytest.raises(InputError, match=words) as error:
        load_reports(folder)
    assert str(error.value).startswith(str(folder))


def test_reports_of_different_data_sets_are_not_compared(write: Write) -> None:
    write("celeba-vae", VAE)
    reports = load_reports(write("celeba-sketch", SKETCH, dataset="photos"))
    with pytest.raises(InputError, match="were evaluated on celeba and photos"):
        table1(reports)


def test_the_installed_model_s_report_is_taken(write: Write) -> None:
    digest = read_manifest(available_models()["cifar10-downscale"])["sha256"]
    folder = write("cifar10-downscale", VAE, models={"cifar10-downscale": digest})
    assert list(load_reports(folder)) == ["cifar10-downscale"]


def test_the_command_prints_tables_or_writes_them(write: Write, tmp_path: Path) -> None:
    folder, page = write("celeba-vae", VAE), tmp_path / "page.md"
    page.write_text("a\n<!-- table 1 -->\n<!-- end of table 1 -->\nb\n", encoding="utf-8")
    printed = run("table1", folder).stdout
    assert "0.400 ± 0.058" in printed
    assert run("table1", folder, "--page", page).exit_code == 0
    assert (
        page.read_text(encoding="utf-8") == f"a\n<!-- table 1 -->\n\n{printed.strip()}\n\n<!-- end of table 1 -->\nb\n"
    )
    (folder / "other.json").write_text("{", encoding="utf-8")
    assert run("table1", folder).stderr.startswith(f"selfcodec: error: {folder / 'other.json'}: ")


def test_the_documentation_has_the_tables_of_the_published_reports() -> None:
    text = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
    tables = table1(load_reports(ROOT / "benchmarks" / "results" / "paper")).strip()
    assert f"<!-- table 1 -->\n\n{tables}\n\n<!-- end of table 1 -->" in text
