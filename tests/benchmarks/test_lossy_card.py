"""`card` of a model that is lossy only: it states what `selfcodec bench` measured, and other runs are refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmark_commands import report, run
from click.testing import Result
from lossy_models import image_set, lossy_recipe, perturbed, started

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.reports.card import DATA, card
from selfcodec.benchmarks.results import CoderInfo, Record, Run
from selfcodec.models.config import Recipe
from selfcodec.models.export import export_model, write_model
from selfcodec.models.recipe import load_recipe, recipe_directory
from selfcodec.zoo import CARD, MANIFEST, WEIGHTS

IMAGES = 24
"""Published curves are of so many images."""
CODERS = {
    "lossy rs2": CoderInfo("lossy rs2", "selfcodec", False),
    "lossy rs2 effort 2": CoderInfo("lossy rs2 effort 2", "selfcodec", False),
    "lossy b rs2": CoderInfo("lossy b rs2", "selfcodec", False),
    "jpeg": CoderInfo("JPEG", "peer", False),
    "webp": CoderInfo("WebP", "peer", False),
    "png": CoderInfo("PNG", "peer", True),
}
FACTORS = {"lossy rs2": 200, "lossy rs2 effort 2": 190, "lossy b rs2": 100, "jpeg": 400, "webp": 300}
"""Each coder's files have so many bytes at the lowest quality."""


def swept(coder: str, factor: int, images: int) -> list[Record]:
    """Files that double where PSNR rises by 3 dB and SSIMULACRA 2 by 10."""
    return [
        Record(str(i), 10, 20, coder, f"q={q}", size, size, 22.0 + 3 * q, 0.9, 10.0 * q - 30, 9, 1 + i, 0.5, None, "")
        for q, size in enumerate(factor * 2**power for power in range(6))
        for i in range(images)
    ]


def made_run(sha256: str, dataset: str = "kodak", images: int = IMAGES) -> Run:
    about = {
        "command": f"selfcodec bench --dataset {dataset}",
        "date": "2001-02-03",
        "machine": {"cpu": "abacus", "cores": 2},
        "versions": {"selfcodec": "9.8"},
        "models": {"lossy": sha256, "lossy b": "00"},
    }
    records = [record for coder, factor in FACTORS.items() for record in swept(coder, factor, images)]
    return Run(about, dataset, CODERS, records)


@pytest.fixture(scope="module")
def lossy_dir(tiny_recipe: Recipe, patches: UInt8, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model that is lossy only."""
    folder, recipe = tmp_path_factory.mktemp("models") / "lossy", lossy_recipe(tiny_recipe)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        network = perturbed(started(recipe, patches)).eval()
        write_model(folder, export_model(recipe, network, image_set(patches[:16])), recipe, {"steps": 7})
    return folder


@pytest.fixture
def model(lossy_dir: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(lossy_dir, tmp_path / "lossy"))


def write_card(model: Path, *runs: Run) -> Result:
    options: list[str | Path] = []
    for i, written in enumerate(runs):
        folder = model.parent / f"run-{i}"
        folder.mkdir()
        written.save(folder / "results.json")
        options += ["--bench", folder]
    return run("card", model, *options)


def sha256(model: Path) -> str:
    return str(report(model / MANIFEST)["sha256"])


def written(model: Path) -> tuple[Any, str]:
    """What a manifest keeps of the runs, and the card."""
    return report(model / MANIFEST)["measured"]["bench"], (model / CARD).read_text(encoding="utf-8")


def test_card_states_what_bench_measured(model: Path) -> None:
    kodak, other = made_run(sha256(model)), made_run(sha256(model), "elsewhere", 3)
    result = write_card(model, kodak, other)
    assert result.exit_code == 0, result.output
    manifest = report(model / MANIFEST)
    (first, second), text = written(model)
    assert text == card(manifest)
    assert (first["dataset"], first["images"], first["failures"]) == ("kodak", IMAGES, {})
    assert (second["dataset"], second["images"], second["published"]) == ("elsewhere", 3, {})
    assert first["model"] == {"name": "lossy", "sha256": sha256(model)}
    assert {key: first[key] for key in ("command", "date", "machine", "versions")} == {
        key: kodak.provenance[key] for key in ("command", "date", "machine", "versions")
    }
    assert manifest["measured"]["weights"]["bytes"] == (model / WEIGHTS).stat().st_size
    assert list(first["coders"]) == ["lossy rs2", "lossy rs2 effort 2"]
    points = first["coders"]["lossy rs2"]["points"]
    assert [point["setting"] for point in points] == [f"q={q}" for q in range(6)]
    assert points[1] == {
        "setting": "q=1",
        "bpp": 16.0,
        "psnr": 25.0,
        "ms_ssim": 0.9,
        "ssimulacra2": -20.0,
        "encode_seconds": 12.5,
        "decode_seconds": 0.5,
    }
    assert "| lossy rs2 effort 2 | q=1 | 15.200 | 25.00 | 0.9000 | -20.00 | 12.500 | 0.500 |" in text
    assert "| lossy rs2 effort 2 | q=1 | 15.200 | 25.00 | 0.9000 | -20.00 | 2.000 | 0.500 |" in text
    assert text.count("## Lossy: ") == 2
    assert "Measured kodak on 2001-02-03, elsewhere on 2001-02-03, with selfcodec 9.8." in text
    for command in (kodak.provenance["command"], manifest["measured"]["weights"]["command"]):
        assert f"\n{command}\n" in text
    assert not any(word in text for word in ("## Lossless", "## Ladder", "lossy b", str(model.parent)))


def test_card_has_bd_rates_against_every_lossy_coder_and_published_curve(model: Path) -> None:
    write_card(model, made_run(sha256(model)), made_run(sha256(model), "elsewhere", 3))
    (first, second), text = written(model)
    rates = first["coders"]["lossy rs2"]["bd_rates"]
    assert rates["ssimulacra2"] == {"JPEG": -50.0, "WebP": -33.333}
    assert list(rates["psnr"])[:2] == ["JPEG", "WebP"]
    published = [title for title in rates["psnr"] if title.endswith(", published")]
    assert published == [f"{title}, published" for title in first["published"]]
    assert len(published) == 8
    assert second["coders"]["lossy rs2"]["bd_rates"]["psnr"] == {"JPEG": -50.0, "WebP": -33.333}
    assert "| JPEG | -50.0 % | -50.0 % | -52.5 % | -52.5 % |" in text
    vtm = rates["psnr"]["VTM 18.0, published"]
    assert vtm > 1000  # these files are large
    assert f"| VTM 18.0, published | {vtm:+.1f} % | – | " in text
    assert "- VTM 18.0: <https://github.com/duanzhiihao/lossy-vae/" in text


def test_card_has_dashes_for_what_is_unknown(model: Path) -> None:
    made = made_run(sha256(model), "elsewhere", 1)
    records = [
        replace(r, ssimulacra2=None, psnr=r.psnr + 90 if r.coder == "webp" and r.psnr else r.psnr)
        for r in made.records
        if r.coder != "jpeg"
    ]
    assert write_card(model, replace(made, records=records)).exit_code == 0
    (kept,), text = written(model)
    assert kept["coders"]["lossy rs2"]["bd_rates"] == {"psnr": {"WebP": None}, "ssimulacra2": {}}
    assert "| lossy rs2 | q=0 | 8.000 | 22.00 | 0.9000 | – | 1.000 | 0.500 |" in text
    assert "BD-rate" not in text


def test_card_tells_its_limitations_and_failures(model: Path) -> None:
    made = made_run(sha256(model))
    assert write_card(model, made).exit_code == 0
    _, text = written(model)
    limitations = text.partition("## Limitations\n\n")[2].partition("\n\n")[0]
    for part in ("Lossy only", "squared error on photographs", "invent what they do not send", "the file holds those"):
        assert part in limitations
    assert "failed" not in limitations
    broken = [
        replace(r, failure="x") if (r.coder, r.setting) == ("lossy rs2", "q=2") or r.image == r.setting[2:] else r
        for r in made.records
    ]
    shutil.rmtree(model.parent / "run-0")
    assert write_card(model, replace(made, records=broken)).exit_code == 0
    (kept,), text = written(model)
    assert kept["failures"]["lossy rs2"] == IMAGES + 5
    assert kept["failures"]["JPEG"] == 6
    assert "- On kodak 29 files of lossy rs2 failed; the figures leave them out." in text
    none = next(point for point in kept["coders"]["lossy rs2"]["points"] if point["setting"] == "q=2")
    assert {value for key, value in none.items() if key != "setting"} == {None}
    assert "| lossy rs2 | q=2 | – | – | – | – | – | – |" in text


def other_model(made: Run) -> list[Run]:
    return [replace(made, provenance=made.provenance | {"models": {"lossy": "00"}})]


def nothing_lossy(made: Run) -> list[Run]:
    coders = {key: replace(coder, lossless=key.startswith("lossy rs2")) for key, coder in made.coders.items()}
    return [replace(made, coders=coders)]


def one_data_set(made: Run) -> list[Run]:
    return [made, made]


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (other_model, "measured on another model than 'lossy'; measure again"),
        (nothing_lossy, "no lossy mode of 'lossy' was measured"),
        (one_data_set, "two runs are of one data set"),
    ],
)
def test_card_refuses_other_runs(runs: Any, message: str, model: Path) -> None:
    before = (model / MANIFEST).read_bytes(), (model / CARD).read_bytes()
    result = write_card(model, *runs(made_run(sha256(model))))
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert ((model / MANIFEST).read_bytes(), (model / CARD).read_bytes()) == before


def test_card_takes_a_bench_of_lossy_only_models_alone(tiny_model_dir: Path, model: Path, tmp_path: Path) -> None:
    tiny = Path(shutil.copytree(tiny_model_dir / "tiny", tmp_path / "tiny"))
    result = write_card(tiny, made_run(sha256(tiny)))
    assert result.exit_code == 1
    assert "is not lossy only: give --rates and --ladder" in result.stderr


@pytest.mark.parametrize(
    "names", [(), ("--rates",), ("--ladder",), ("--bench", "--rates"), ("--bench", "--rates", "--ladder")]
)
def test_card_takes_one_way_or_the_other(names: tuple[str, ...], model: Path) -> None:
    result = run("card", model, *(part for name in names for part in (name, model / MANIFEST)))
    assert result.exit_code == 2
    assert ("goes without" if "--bench" in names else "Missing options") in result.stderr


@pytest.mark.parametrize("path", sorted(recipe_directory().glob("*.toml")), ids=lambda path: path.stem)
def test_cards_know_what_recipes_train_on(path: Path) -> None:
    assert set(load_recipe(str(path)).train.dataset.split("+")) <= set(DATA)
