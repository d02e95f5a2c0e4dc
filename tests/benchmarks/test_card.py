"""`card`: a model's card states what was measured on it, and other reports are refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from benchmark_commands import MODES, report, run
from click.testing import Result

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.files import write_report
from selfcodec.benchmarks.reports.card import card
from selfcodec.zoo import CARD, MANIFEST, WEIGHTS

ZOO = sorted((Path(__file__).parents[2] / "models" / "zoo").iterdir())
pytest_plugins = ("benchmark_fixtures",)


@pytest.fixture
def measured(images: UInt8, tiny_model_dir: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model beside what was measured on it."""
    shutil.copytree(tiny_model_dir / "tiny", tmp_path / "tiny")
    run("rates", "--model", "tiny", "--limit", "1", "-o", tmp_path / "rates.json")
    run("ladder", "--model", "tiny", "--limit", "1", "-o", tmp_path)
    return tmp_path


def write_card(folder: Path) -> Result:
    return run("card", folder / "tiny", "--rates", folder / "rates.json", "--ladder", folder / "ladder.json")


def test_card_states_what_was_measured(measured: Path) -> None:
    result = write_card(measured)
    assert result.exit_code == 0, result.output
    manifest, text = report(measured / "tiny" / MANIFEST), (measured / "tiny" / CARD).read_text(encoding="utf-8")
    figures = report(measured / "rates.json")
    assert manifest["measured"]["rates"] == figures
    assert manifest["measured"]["ladder"] == report(measured / "ladder.json")
    assert manifest["measured"]["weights"]["bytes"] == (measured / "tiny" / WEIGHTS).stat().st_size
    assert all(entry["command"] in text for entry in manifest["measured"].values())
    for number in (figures["bits_per_dim"]["file"], figures["bits_per_dim"]["model"]):
        assert f"{number:.4f}" in text
    for number in (manifest["parameters"], manifest["largest_sum"]["bound"], manifest["training"]["steps"]):
        assert f"{number:,}" in text
    assert all(f"`{mode}`" in text for mode in MODES)
    assert str(measured) not in text


def test_card_quotes_a_note_on_training(measured: Path) -> None:
    path = measured / "tiny" / MANIFEST
    manifest = report(path)
    manifest["training"]["note"] = "Trained in haste."
    write_report(path, manifest)
    assert write_card(measured).exit_code == 0
    assert "\n\nTrained in haste.\n\n" in (measured / "tiny" / CARD).read_text(encoding="utf-8")


def test_card_compares_float_and_integer_networks(measured: Path) -> None:
    figures = report(measured / "rates.json")
    figures["bits_per_dim"] = {"elbo_float": 4.0, "elbo_integer": 4.02, **figures["bits_per_dim"]}
    figures["by_variable"] |= {"elbo_float": {"u": 1.0, "x": 3.0}, "elbo_integer": {"u": 1.05, "x": 2.97}}
    write_report(measured / "rates.json", figures)
    write_card(measured)
    text = (measured / "tiny" / CARD).read_text(encoding="utf-8")
    assert "| ELBO, float networks | 4.0000 | 1.0000 |" in text
    assert "Integer networks cost +0.50 % against float ones, of x alone -1.00 %." in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"name": "tiny", "sha256": "00"}}, "measured on another model than 'tiny'"),
        ({"bound": None}, "not a report of benchmarks rates: 'bound' is missing"),
        ({"bound": {}}, "rates.json: not a report of benchmarks rates (KeyError: 'worst_excess_bytes'); measure again"),
        ({"model": "tiny"}, "rates.json: not a report of benchmarks rates (AttributeError: "),
    ],
)
def test_card_refuses_other_reports(change: dict[str, Any], message: str, measured: Path) -> None:
    before = (measured / "tiny" / MANIFEST).read_bytes()
    figures = {**report(measured / "rates.json"), **change}
    kept = {key: value for key, value in figures.items() if value is not None}
    write_report(measured / "rates.json", kept)
    result = write_card(measured)
    assert result.exit_code == 1
    assert message in result.stderr
    assert (measured / "tiny" / MANIFEST).read_bytes() == before


@pytest.mark.parametrize("text", ["", "[]", None])
def test_card_refuses_what_is_no_report(text: str | None, measured: Path) -> None:
    (measured / "rates.json").unlink()
    if text is not None:
        (measured / "rates.json").write_text(text, encoding="utf-8")
    result = write_card(measured)
    assert result.exit_code == 1
    assert "rates.json: not a benchmark's report" in result.stderr


@pytest.mark.parametrize("folder", ZOO, ids=lambda path: path.name)
def test_released_cards_are_made_from_their_manifests(folder: Path) -> None:
    assert (folder / CARD).read_text(encoding="utf-8") == card(report(folder / MANIFEST))
