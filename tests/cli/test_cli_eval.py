"""`selfcodec eval`: bounds and files of exported models and training runs, resuming, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import run
from PIL import Image
from recipe_changes import changed

from selfcodec.arrays import UInt8
from selfcodec.benchmarks import bounds
from selfcodec.benchmarks.bounds import Bounded, Subject, results_name
from selfcodec.benchmarks.measure import Measured
from selfcodec.encoding import encode_picture
from selfcodec.images import load_picture
from selfcodec.models.checkpoint import CHECKPOINT
from selfcodec.models.config import Recipe
from selfcodec.models.data import ImageSet
from selfcodec.models.evaluation import evaluate
from selfcodec.models.export import export_model, write_model
from selfcodec.models.exported import load_exported
from selfcodec.models.train import Trainer
from selfcodec.modes import Mode
from selfcodec.settings import Settings, usual_effort
from selfcodec.zoo import Model, find_model

CPU = torch.device("cpu")
pytest_plugins = ("model_fixtures",)


@pytest.fixture
def folder(patches: UInt8, tmp_path: Path, tiny_model: Model) -> Path:
    """Three pictures, two of one size."""
    path = tmp_path / "pictures"
    path.mkdir()
    for name, image in zip("abc", (patches[0], patches[1], patches[2][:16]), strict=True):
        Image.fromarray(image).save(path / f"{name}.png")
    return path


@pytest.fixture
def trained(tiny_recipe: Recipe, tmp_path: Path) -> Path:
    """A training run's folder."""
    Trainer(changed(tiny_recipe, name="run"), tmp_path / "run", CPU).save()
    return tmp_path / "run"


def lines(path: Path) -> list[str]:
    return (path / "records.jsonl").read_text(encoding="utf-8").splitlines()


def test_bounds_and_files_of_an_exported_model(folder: Path, tmp_path: Path, always_the_model: None) -> None:
    out = tmp_path / "out"
    arguments = ("eval", "tiny", "--dataset", folder, "--iw", 8, "--files", "-o", out)
    report = json.loads(run(*arguments, "--json").stdout)
    assert report == json.loads((out / "bounds.json").read_text(encoding="utf-8"))
    assert (report["images"], report["samples"], report["failures"]) == (3, 8, 0)
    assert list(report["terms"]) == ["u", "y1", "z1", "x"]
    assert report["elbo"] == pytest.approx(sum(report["terms"].values()))
    assert [row["image"] for row in report["each"]] == ["a", "b", "c"]
    for figure in ("elbo", "importance_weighted", "sent", "files"):
        assert report[figure] == pytest.approx(np.mean([row[figure] for row in report["each"]]), abs=1e-5)
    assert report["importance_weighted"] < report["elbo"]
    records = [Bounded(**json.loads(line)) for line in lines(out)[1:]]
    assert [(r.image, r.width, r.height, r.model) for r in records] == [
        ("a", 32, 32, "tiny"),
        ("b", 32, 32, "tiny"),
        ("c", 32, 16, "tiny"),
    ]
    real = {name: len((folder / f"{name}.sv").read_bytes()) for name in _encoded(folder)}
    assert {r.image: r.bytes for r in records} == real
    # Headers aside, a file costs what one posterior sample costs.
    assert report["elbo"] - 0.3 < report["files"] < report["elbo"] + 0.5
    # Beside what the model promises, a file has a header.
    assert report["sent"] < report["files"] < report["sent"] + 0.3
    assert (report["files_stored"], report["files_adapt"]) == (0, False)
    printed = run(*arguments).stdout
    assert "ELBO" in printed
    assert "stored as WebP or PNG" in printed
    assert "learns" not in printed
    assert "importance weighted, 8 samples" in printed
    assert f"{report['files']:.4f}" in printed


def test_why_files_lie_below_the_bounds(folder: Path, tmp_path: Path) -> None:
    """One is stored, which the model itself would send in more; a context model learns of pictures while it codes."""
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(np.tile(noise, (8, 8, 1))).save(folder / "a.png")  # which no model knows to repeat itself
    for model, adapts in (("tiny", False), ("photo-fast", True)):
        arguments = ("eval", model, "--dataset", folder, "--files", "--limit", 2, "-o", tmp_path / model)
        report = json.loads(run(*arguments, "--json").stdout)
        printed = run(*arguments).stdout
        repeated, photograph = report["each"]
        assert repeated["stored"]
        stored = 1 + photograph["stored"]
        assert report["files_stored"] == stored
        assert re.search(rf"^files +\d\.\d+  \({stored} of 2 stored as WebP or PNG\)$", printed, re.M)
        assert (report["files_adapt"], "learns of each picture" in printed) == (adapts, adapts)
        picture, usual = load_picture(folder / "a.png"), Settings(effort=usual_effort(Mode.LOSSLESS))
        coded = encode_picture(picture, usual, find_model(model), fallback=False)
        assert repeated["sent"] == pytest.approx(sum(coded.model_bits.values()) / (3 * 64 * 64), abs=1e-6)
        assert repeated["files"] < repeated["sent"]


def test_records_from_before_what_models_send_are_measured_again(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("eval", "tiny", "--dataset", folder, "--limit", 1, "--files", "-o", out)
    before = json.loads(run(*arguments, "--json").stdout)
    header, line = lines(out)
    old = {key: value for key, value in json.loads(line).items() if key not in ("stored", "sent")}
    (out / "records.jsonl").write_text(f"{header}\n{json.dumps(old)}\n", encoding="utf-8")
    assert json.loads(run(*arguments, "--json").stdout)["sent"] == before["sent"]


def _encoded(folder: Path) -> list[str]:
    paths = sorted(folder.glob("*.png"))
    run("encode", "--model", "tiny", *paths)
    return [path.stem for path in paths]


def test_a_training_run_has_bounds_and_no_files(folder: Path, trained: Path, tmp_path: Path) -> None:
    for name in (trained, trained / CHECKPOINT):
        printed = run("eval", name, "--dataset", folder, "--limit", 1, "-o", tmp_path / "out").stdout
        assert "1 images" in printed
        assert "importance" not in printed  # of one sample it is the evidence lower bound
    result = run("eval", trained, "--dataset", folder, "--files", "-o", tmp_path / "other", code=1)
    assert "a training run makes no files; export it first" in result.stderr
    assert not (tmp_path / "other").exists()


def test_a_run_that_was_stopped_goes_on(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there is not computed again, a record cut short is; random numbers depend on the image alone."""
    evaluated, own = [], Subject.evaluate

    def noted(self: Subject, name: str, image: UInt8, samples: int, *, files: bool) -> Bounded:
        evaluated.append(name)
        return own(self, name, image, samples, files=files)

    monkeypatch.setattr(Subject, "evaluate", noted)
    out, whole = tmp_path / "out", tmp_path / "whole"
    run("eval", "tiny", "--dataset", folder, "--iw", 2, "-o", whole)
    run("eval", "tiny", "--dataset", folder, "--iw", 2, "--limit", 2, "-o", out)
    text = (out / "records.jsonl").read_text(encoding="utf-8")
    (out / "records.jsonl").write_text(text[:-10], encoding="utf-8")
    evaluated.clear()
    run("eval", "tiny", "--dataset", folder, "--iw", 2, "-o", out)
    assert evaluated == ["b", "c"]
    assert lines(out) == lines(whole)
    evaluated.clear()
    run("eval", "tiny", "--dataset", folder, "--iw", 2, "--files", "-o", out)
    assert evaluated == ["a", "b", "c"]


def test_records_of_two_models_do_not_mix(folder: Path, trained: Path, tmp_path: Path) -> None:
    """Images of one name have a record for each model."""
    found = []
    for model in ("tiny", trained, "tiny"):
        report = json.loads(run("eval", model, "--dataset", folder, "-o", tmp_path / "out", "--json").stdout)
        found.append(report["elbo"])
    assert found[0] == found[2] != found[1]
    assert len(lines(tmp_path / "out")) == 1 + 2 * 3


def test_images_and_runs_of_one_name_do_not_mix(
    folder: Path, trained: Path, patches: UInt8, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders of one name share the default folder of results; checkpoints have one of their run each."""
    other = tmp_path / "elsewhere" / "pictures"
    other.mkdir(parents=True)
    Image.fromarray(patches[5]).save(other / "a.png")
    found = {}
    monkeypatch.chdir(tmp_path)
    for key, dataset in (("a", folder), ("other", other), ("again", folder)):
        report = json.loads(run("eval", "tiny", "--dataset", dataset, "--limit", 1, "--json").stdout)
        found[key] = report["elbo"]
    assert found["a"] == found["again"] != found["other"]
    assert len(lines(tmp_path / "eval-tiny-pictures")) == 1 + 2
    Image.fromarray(patches[5]).save(folder / "a.png")
    report = json.loads(run("eval", "tiny", "--dataset", folder, "--limit", 1, "--json").stdout)
    assert report["elbo"] == found["other"]
    (trained / CHECKPOINT).rename(trained / "best.pt")
    assert results_name("runs/a/checkpoint.pt", "x") == results_name("runs/a", "b/x/") == "a-x"
    run("eval", trained / "best.pt", "--dataset", folder, "--limit", 1)
    assert (tmp_path / "eval-run-best-pictures" / "bounds.json").is_file()


def test_mistakes_are_one_line(folder: Path, patches: UInt8, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("eval", "tiny", "--dataset", folder, "--limit", 1, "-o", out)
    other = run("eval", "tiny", "--dataset", folder, "--limit", 1, "--iw", 2, "-o", out, code=1)
    assert "records of another samples: " in other.stderr
    run("eval", "tiny", "--dataset", folder, "--limit", 1, "--iw", 2, "-o", out, "--force")
    Image.fromarray(patches[0][:31]).save(folder / "0.png")
    odd = run("eval", "tiny", "--dataset", folder, "-o", tmp_path / "odd", code=1)
    assert "0: 32×31 pixels: likelihoods of this model are evaluated on sides that are multiples of 8" in odd.stderr
    for model, words in (
        ("nothing", "no model 'nothing'"),
        ("no.pt", "no.pt: no such checkpoint"),
        ("photo-lossy", "lossy only"),
    ):
        result = run("eval", model, "--dataset", folder, "-o", tmp_path / "none", code=1)
        assert words in result.stderr
    assert not (tmp_path / "none").exists()


def test_files_that_do_not_come_back_are_counted(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("eval", "tiny", "--dataset", folder, "--files", "-o", tmp_path / "out")
    with monkeypatch.context() as failing:
        failing.setattr(bounds, "measure", lambda picture, coder: Measured(size=9, failure="wrong"))
        assert "3 of 3 files do not decode to their image" in run(*arguments, code=1).stderr
    assert json.loads(run(*arguments, "--json").stdout)["failures"] == 0  # they are tried again


def test_an_exported_model_s_likelihoods_are_those_of_its_integers(
    tiny_recipe: Recipe, tiny_model: Model, patches: UInt8, tmp_path: Path
) -> None:
    """A rounding model has the same likelihoods before and after its export."""
    data = ImageSet.build(patches[:16], "downscale", 1, flip=False, device=CPU)
    trainer = Trainer(tiny_recipe, tmp_path, CPU)
    trainer.quantise(data)
    net = trainer.ema
    write_model(tmp_path / "model", export_model(tiny_recipe, net, data), tiny_recipe, {"steps": 0})
    recipe, back = load_exported(find_model(str(tmp_path / "model")))
    assert recipe == tiny_recipe
    before, after = evaluate(net, data), evaluate(back, data)
    assert after == pytest.approx(before, rel=1e-3)
    for _, graph in back.graphs():
        graph.formats = {}
    assert not np.allclose(list(evaluate(back, data).values()), list(after.values()), rtol=1e-5)
