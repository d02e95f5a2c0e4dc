"""The commands about models: train, export, models, sample."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import run
from PIL import Image
from recipe_changes import changed, to_toml

from selfcodec.arrays import UInt8
from selfcodec.generation import sample_images
from selfcodec.models.checkpoint import CHECKPOINT
from selfcodec.models.config import Recipe
from selfcodec.models.data import ImageSet
from selfcodec.models.mosaic import GAP, in_rows, mosaic
from selfcodec.models.train import LOG, Trainer
from selfcodec.zoo import BOX, Model

pytest_plugins = ("command_line",)


def write_recipe(path: Path, recipe: Recipe) -> Path:
    path.write_text(to_toml(asdict(recipe)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def data(patches: UInt8, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root of data sets with one, `tiny`."""
    root = tmp_path_factory.mktemp("data")
    (root / "tiny").mkdir()
    np.save(root / "tiny" / "train.npy", patches[::4])
    return root


@pytest.fixture(scope="module")
def recipe_file(tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny recipe, trained with rounding from the first step on: one step may take the whole budget."""
    rounded = changed(tiny_recipe, train={"quantise_share": 1.0})
    return write_recipe(tmp_path_factory.mktemp("recipes") / "tiny.toml", rounded)


@pytest.fixture(scope="module")
def trained(recipe_file: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training run of half a second."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    result = run("train", recipe_file, "--data", data, "-o", folder, "--minutes", 0.01, "--device", "cpu")
    assert "bpd on held-out images" in result.stdout
    (line,) = result.stderr.splitlines()
    assert re.fullmatch(r"0\.\d of 0\.01 minutes, step 1: .* bpd \(u .* y1 .* z1 .* x .*\), \d+ images/s", line)
    return folder


# Training.


def test_training_leaves_checkpoint_log_and_picture(trained: Path) -> None:
    assert sorted(p.name for p in trained.iterdir()) == [CHECKPOINT, LOG, "progress.png"]
    last = json.loads((trained / LOG).read_text().splitlines()[-1])
    assert last["quantised"]
    with Image.open(trained / "progress.png") as picture:
        assert picture.height == 6 * (64 + GAP) + GAP  # original, four modes, samples


def test_a_checkpoint_is_not_overwritten(trained: Path, recipe_file: Path, data: Path) -> None:
    before = (trained / CHECKPOINT).read_bytes()
    assert "--resume" in run("train", recipe_file, "--data", data, "-o", trained, code=1).stderr
    assert (trained / CHECKPOINT).read_bytes() == before


def test_resuming_goes_on(trained: Path, recipe_file: Path, data: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "run")
    before = torch.load(trained / CHECKPOINT, weights_only=True)
    options = ["--resume", "--minutes", before["elapsed"] / 60 + 0.005, "--threads", torch.get_num_threads()]
    run("train", recipe_file, "--data", data, "-o", tmp_path / "run", *options)
    after = torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)
    assert after["step"] > before["step"]
    assert after["elapsed"] > before["elapsed"]
    assert "no such checkpoint" in run("train", recipe_file, "--resume", "-o", tmp_path / "none", code=1).stderr
    assert not (tmp_path / "none").exists()


def test_a_budget_of_steps(recipe_file: Path, data: Path, tmp_path: Path) -> None:
    """Equal work: that of another run to the bit; and it is taken up where a run is resumed."""
    logs = []
    for name in "ab":
        result = run("train", recipe_file, "--data", data, "-o", tmp_path / name, "--steps", 2, "--device", "cpu")
        assert f"{tmp_path / name}: 2 steps, " in result.stdout
        assert result.stderr.startswith("step 1 of 2: ")
        logs.append((tmp_path / name / LOG).read_text(encoding="utf-8").splitlines()[-1])
    first, second = (json.loads(line) for line in logs)
    assert first["budget"] == "2 steps"
    assert {**first, "minutes": 0} == {**second, "minutes": 0}
    run("train", recipe_file, "--data", data, "-o", tmp_path / "a", "--resume", "--steps", 3)
    run("train", recipe_file, "--data", data, "-o", tmp_path / "a", "--resume")
    assert torch.load(tmp_path / "a" / CHECKPOINT, weights_only=True)["step"] == 3
    assert "give one" in run("train", recipe_file, "--steps", 3, "--minutes", 1, code=2).stderr
    run("train", recipe_file, "--steps", 0, code=2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_at_once_and_is_named(
    number: int, recipe_file: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(trainer: Trainer, ys: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), number)
        raise AssertionError("a step is not ended by the second signal")

    monkeypatch.setattr(Trainer, "train_step", interrupted)
    result = run("train", recipe_file, "--data", data, "-o", tmp_path / "run", "--minutes", 9, code=128 + number)
    named = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
    assert result.stderr.splitlines()[-1] == f"selfcodec: interrupted: stopped by {named}"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_end_saves(
    number: int, recipe_file: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Trainer.train_step

    def interrupted(trainer: Trainer, ys: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        if trainer.step == 2:
            os.kill(os.getpid(), number)
        return step(trainer, ys)

    monkeypatch.setattr(Trainer, "train_step", interrupted)
    result = run("train", recipe_file, "--data", data, "-o", tmp_path / "run", "--minutes", 9, code=128 + number)
    assert (
        result.stderr.splitlines()[-1] == "selfcodec: interrupted: stopped after 3 steps and saved; --resume continues"
    )
    assert torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)["step"] == 3


def test_training_refuses(recipe_file: Path, data: Path, tiny_recipe: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert "no recipe 'none'" in run("train", "none", code=1).stderr
    missing = run("train", recipe_file, "--data", tmp_path / "nix", "-o", out, code=1).stderr
    assert "nix: no such folder; data set 'tiny' is not there: " in missing
    greedy = changed(tiny_recipe, train={"batch": 10_000})
    file = write_recipe(tmp_path / "greedy.toml", greedy)
    told = "images are too few for batches of 10000, one in ten held out: add images, or lower batch in the recipe"
    assert told in run("train", file, "--data", data, "-o", out, code=1).stderr
    (tmp_path / "odd" / "tiny").mkdir(parents=True)
    np.save(tmp_path / "odd" / "tiny" / "train.npy", np.zeros((40, 30, 32, 3), np.uint8))
    assert "multiples of 8" in run("train", recipe_file, "--data", tmp_path / "odd", "-o", out, code=1).stderr
    if not torch.cuda.is_available():
        assert "no CUDA" in run("train", recipe_file, "--device", "cuda", "-o", out, code=1).stderr
    run("train", recipe_file, "--minutes", 0, code=2)
    run("train", recipe_file, "--threads", 0, code=2)
    assert not out.exists()


def test_folders_of_images_are_data(
    recipe_file: Path, photo: UInt8, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three images, each with a red of its own, all are trained on or held out."""
    reds, seen, real = (10, 20, 30), list[int](), Trainer.run

    def noted(self: Trainer, images: ImageSet, held_out: ImageSet, *rest: Any, **options: Any) -> bool:
        for found in (images, held_out):
            seen.extend(found.ys[0][:, 0].unique().tolist())
        return real(self, images, held_out, *rest, **options)

    monkeypatch.setattr(Trainer, "run", noted)
    (tmp_path / "images").mkdir()
    for red in reds:
        pixels = np.array(photo)
        pixels[:, :, 0] = red
        Image.fromarray(pixels).save(tmp_path / "images" / f"{red}.png")
    run("train", recipe_file, "--data", tmp_path / "images", "-o", tmp_path / "run", "--minutes", 0.001)
    kept = torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)["recipe"]
    assert kept["train"]["dataset"] == "images"
    assert set(seen) == set(reds)


# Export.


def test_exported_models_code(
    trained: Path, tmp_path: Path, photo: UInt8, monkeypatch: pytest.MonkeyPatch, data: Path
) -> None:
    out = run(
        "export",
        trained,
        "-o",
        tmp_path / "zoo" / "mine",
        "--data",
        data,
        "--note",
        "In haste.",
        "--machine",
        "an abacus",
    ).stdout
    assert "parameters" in out
    assert "of 16777216" in out
    assert "bpd in floating point" in out
    manifest = json.loads((tmp_path / "zoo" / "mine" / "manifest.json").read_text())
    assert (manifest["training"]["note"], manifest["training"]["machine"]) == ("In haste.", "an abacus")
    assert manifest["name"] == "mine"
    assert manifest["training"]["held_out"]["images"] == 64 // 10
    monkeypatch.setenv("SELFCODEC_MODELS", str(tmp_path / "zoo"))
    Image.fromarray(photo).save(tmp_path / "a.png")
    run("encode", tmp_path / "a.png", "--model", "mine", "-m", "rs2")
    run("decode", tmp_path / "a.sv", "--force")
    assert "exists; --force" in run("export", trained, "-o", tmp_path / "zoo" / "mine", code=1).stderr
    run("export", trained / CHECKPOINT, "-o", tmp_path / "zoo" / "mine", "--data", data, "--force")


def test_searching_formats_makes_rounding_cost_less(
    trained: Path, tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A format is moved on purpose, and found again or bettered; without data there is nothing to search on."""
    state = torch.load(trained / CHECKPOINT, weights_only=False)
    for names in (names for names in state["formats"].values() if any(key.endswith("add") for key in names)):
        names.update({key: 1 for key in names if key.endswith("add")})
    torch.save(state, tmp_path / "coarse.pt")
    costs = []
    for name, more in (("coarse", ()), ("searched", ("--search",))):
        run("export", tmp_path / "coarse.pt", "-o", tmp_path / name, "--data", data, *more)
        held_out = json.loads((tmp_path / name / "manifest.json").read_text())["training"]["held_out"]
        costs.append(held_out["bpd_integer"] - held_out["bpd_float"])
    assert costs[1] < 0.7 * costs[0]
    monkeypatch.setenv("SELFCODEC_DATA", str(tmp_path / "none"))
    assert "needs the training data" in run("export", trained, "-o", tmp_path / "x", "--search", code=1).stderr


def test_export_says_when_it_needs_data(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: Path
) -> None:
    monkeypatch.setenv("SELFCODEC_DATA", str(tmp_path / "none"))
    assert "not measured" in run("export", trained, "-o", tmp_path / "whole").stdout
    state = torch.load(trained / CHECKPOINT, weights_only=True)
    state["formats"] = {name: {} for name in state["formats"]}
    torch.save(state, tmp_path / "float.pt")
    assert "--data" in run("export", tmp_path / "float.pt", "-o", tmp_path / "float", code=1).stderr
    run("export", tmp_path / "float.pt", "-o", tmp_path / "float", "--data", data)
    assert "data set 'tiny'" in run("export", trained, "-o", tmp_path / "x", "--data", tmp_path / "nix", code=1).stderr
    assert "no such checkpoint" in run("export", tmp_path / "nix", "-o", tmp_path / "x", code=1).stderr
    (tmp_path / "bad.pt").write_bytes(b"no checkpoint")
    assert "not a readable checkpoint" in run("export", tmp_path / "bad.pt", "-o", tmp_path / "x", code=1).stderr
    assert not (tmp_path / "x").exists()
    run("export", trained, code=2)


def test_a_name_of_a_model_in_the_box_is_told(
    trained: Path, tmp_path: Path, photo: UInt8, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFCODEC_DATA", str(tmp_path / "none"))
    told = "selfcodec: warning: a model in the box is called photo-fast, too: below a folder in $SELFCODEC_MODELS this"
    assert told in run("export", trained, "-o", tmp_path / "own" / "photo-fast").stderr
    shutil.copytree(BOX / "photo-lossy", tmp_path / "own" / "photo-lossy")
    Image.fromarray(photo[:8, :8]).save(tmp_path / "a.png")
    monkeypatch.setenv("SELFCODEC_MODELS", str(tmp_path / "own"))
    hidden = f"warning: the default model photo-fast is that of {tmp_path / 'own' / 'photo-fast'}, which hides the one"
    assert run("encode", tmp_path / "a.png", "--effort", 0).stderr.count(hidden) == 1
    for options in (("--effort", 0, "--model", "photo-fast"), ("-m", "rs1")):  # asked for, and the box's own again
        assert not run("encode", tmp_path / "a.png", "--force", *options).stderr


# Models and samples.


def test_models_are_listed(tiny_model: Model) -> None:
    rows = run("models").stdout.splitlines()
    head = ["name", "id", "K", "transformation", "parameters", "for images like", "default for"]
    assert re.split("  +", rows[0]) == head
    row = next(line.split() for line in rows if line.startswith("tiny"))
    assert row == ["tiny", tiny_model.id.hex(), "1", "downscale", str(tiny_model.parameters), "tiny"]
    lossy = next(line for line in rows if line.startswith("photo-lossy "))
    assert "photos512+photos, lossy only  rs1, rs2, cg, cr" in lossy
    named = {line.split()[0]: re.split("  +", line)[5] for line in rows}
    assert named["imagenette64"] == named["imagenette64-vae"] == "imagenette64"
    listed = next(row for row in json.loads(run("models", "--json").stdout) if row["name"] == "tiny")
    assert (listed["id"], listed["levels"]) == (tiny_model.id.hex(), 1)


def test_one_model_in_detail(tiny_model: Model, tiny_model_dir: Path) -> None:
    lines = [line.split(maxsplit=1) for line in run("models", "tiny").stdout.splitlines()]
    assert ["modes", "rs1, rs2, cg, cr, lossless"] in lines
    assert ["sha256", tiny_model.digest] in lines
    assert ["folder", str(tiny_model_dir / "tiny")] in lines
    assert ["K", "1, transformation downscale"] in lines
    text = run("models", "photo-lossy").stdout
    assert len(text.splitlines()) == 13
    assert max(map(len, text.splitlines())) < 240
    assert "trained on   photographs of CID22" in text
    assert ["trained", "on   tiny"] in lines
    assert "images like photos512+photos, lossy only\n" in text
    assert "modes        rs1, rs2, cg, cr\n" in text
    assert "photo-lossy/CARD.md\n" in text
    details = json.loads(run("models", "tiny", "--json").stdout)
    assert details["sha256"] == tiny_model.digest
    assert details["recipe"]["name"] == "tiny"
    assert details["spec"]["tile"] == tiny_model.spec.tile
    assert "no model 'none'" in run("models", "none", code=1).stderr


def test_folders_of_models_that_are_none_are_named(
    png: Path, tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("encode", png, "--model", "tiny", "-m", "rs1")
    folder, none = tiny_model_dir / "tiny", png.parent / "none"
    told = f"$SELFCODEC_MODELS {none} does not exist, and {png} is no folder, and {folder} is a model itself: name its"
    monkeypatch.setenv("SELFCODEC_MODELS", os.pathsep.join(map(str, (none, png, folder))))
    for wrong in (("models", "tiny"), ("decode", png.with_suffix(".sv"), "-o", png.with_name("b.png"))):
        assert f"{told} parent, {tiny_model_dir}\n" in run(*wrong, code=1).stderr
    monkeypatch.setenv("SELFCODEC_MODELS", str(png.parent))
    assert "; add folders of models to $SELFCODEC_MODELS\n" in run("models", "tiny", code=1).stderr


def test_damaged_models_are_reported(tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("bad", "worse", "worst", "good"):
        shutil.copytree(tiny_model_dir / "tiny", tmp_path / name)
    (tmp_path / "bad" / "manifest.json").write_text("{")
    (tmp_path / "worse" / "manifest.json").write_text("{}")
    (tmp_path / "worst" / "manifest.json").write_text('{"recipe": null}')
    monkeypatch.setenv("SELFCODEC_MODELS", str(tmp_path))
    result = run("models", code=1)
    assert len(result.stderr.splitlines()) == 3
    for name in ("worse", "worst"):
        assert f"{name}/manifest.json: is not a model's manifest: install the model again\n" in result.stderr
    assert "good" in result.stdout


def test_samples_are_a_grid(tiny_model: Model, tmp_path: Path) -> None:
    out = tmp_path / "grid.png"
    run("sample", "tiny", "-n", 3, "-o", out, "--seed", 5, "--size", "24x16")
    images = sample_images(tiny_model, 3, (16, 24), 5)
    with Image.open(out) as picture:
        assert np.array_equal(np.asarray(picture), np.asarray(mosaic(in_rows(list(images)))))
        assert picture.size == (2 * (24 + GAP) + GAP, 2 * (16 + GAP) + GAP)
    assert "exists" in run("sample", "tiny", "-o", out, code=1).stderr
    run("sample", "tiny", "-n", 1, "-o", out, "--force")
    assert run("sample", "tiny", "-n", 1, "-o", "-").stdout_bytes == out.read_bytes()


def test_samples_are_as_large_as_what_the_model_was_trained_on(
    tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_model_dir / "tiny", tmp_path / "tiny")
    manifest = json.loads((tmp_path / "tiny" / "manifest.json").read_text())
    for patch, side in ((24, 24), (None, 32), ("24", 32), (4096, 32)):
        manifest["recipe"]["train"]["patch"] = patch
        (tmp_path / "tiny" / "manifest.json").write_text(json.dumps(manifest))
        result = run("sample", tmp_path / "tiny", "-n", 1, "-o", tmp_path / "grid.png", "--force")
        assert not result.stderr
        with Image.open(tmp_path / "grid.png") as picture:
            assert picture.size == (side + 2 * GAP, side + 2 * GAP)


@pytest.mark.parametrize("size", ["32", "32x", "0x32", "32x9999", "axb", "-1x4", f"{10**4000}x1"], ids=len)
def test_sizes_that_are_none(size: str, tiny_model: Model, tmp_path: Path) -> None:
    run("sample", "tiny", "-o", tmp_path / "grid.png", f"--size={size}", code=2)


def test_too_many_samples(tiny_model: Model, tmp_path: Path) -> None:
    options: list[Any] = ["sample", "tiny", "-o", tmp_path / "grid.png"]
    assert "pixels" in run(*options, "-n", 4096, "--size", "4096x4096", code=1).stderr
    assert "smaller seed" in run(*options, "--seed", 2**32 - 1, code=1).stderr
    tile = tiny_model.spec.tile
    assert f"up to {tile}×{tile}" in run(*options, "-n", 1, "--size", f"8x{tile + 1}", code=1).stderr
