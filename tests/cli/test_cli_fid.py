"""`selfcodec eval --fid`: the report, with fixed seeds, and what is refused before anything is evaluated."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from channel_means import distance
from command_line import run
from PIL import Image
from recipe_changes import changed

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.fid import Distance
from selfcodec.generation import sample_images
from selfcodec.models.config import Recipe
from selfcodec.models.train import Trainer
from selfcodec.zoo import Model


@pytest.fixture
def folder(patches: UInt8, tmp_path: Path, tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five pictures, whose features are their channels' means."""
    monkeypatch.setattr(Distance, "load", staticmethod(lambda samples, weights: distance(samples)))
    path = tmp_path / "pictures"
    path.mkdir()
    for i in range(5):
        Image.fromarray(patches[i]).save(path / f"{i}.png")
    return path


def test_the_distance_of_samples_from_all_images(
    folder: Path, tiny_model: Model, patches: UInt8, tmp_path: Path
) -> None:
    arguments = ("eval", "tiny", "--dataset", folder, "--limit", 1, "--fid", 4)
    report = json.loads(run(*arguments, "-o", tmp_path / "a", "--json").stdout)
    assert report["images"] == 1
    fid = report["fid"]
    assert (fid["samples"], fid["images"]) == (4, 5)
    means = [images.mean((1, 2)) for images in (patches[:5], sample_images(tiny_model, 4, (32, 32), 0))]
    a, b = (np.cov(features.T) for features in means)
    apart = float(((means[0].mean(0) - means[1].mean(0)) ** 2).sum())
    common = float(np.sqrt(np.linalg.eigvals(a @ b).astype(complex)).real.sum())
    assert fid["value"] == pytest.approx(apart + np.trace(a + b) - 2 * common)
    printed = run(*arguments, "-o", tmp_path / "b").stdout
    assert f"Fréchet Inception Distance of 4 samples from 5 images: {fid['value']:.2f}\n" in printed
    assert json.loads((tmp_path / "b" / "bounds.json").read_text(encoding="utf-8"))["fid"] == fid


def test_force_begins_anew(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "fid.pt").write_bytes(b"damaged")
    arguments = ("eval", "tiny", "--dataset", folder, "--limit", 1, "--fid", 2, "-o", out)
    assert "fid.pt: damaged" in run(*arguments, code=1).stderr
    run(*arguments, "--force")


def test_what_is_refused_is_refused_first(
    folder: Path, patches: UInt8, tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Trainer(changed(tiny_recipe, name="run"), tmp_path / "run", torch.device("cpu")).save()
    out = tmp_path / "out"
    common = ("--dataset", folder, "-o", out)
    result = run("eval", tmp_path / "run", *common, "--fid", 4, code=1)
    assert "a training run makes no samples; export it first: selfcodec export" in result.stderr
    Image.fromarray(patches[0][:16]).save(folder / "small.png")
    assert "here are 6 of 2" in run("eval", "tiny", *common, "--fid", 4, code=1).stderr
    assert "--fid-weights is for --fid" in run("eval", "tiny", *common, "--fid-weights", "file", code=2).stderr
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    result = run("eval", "nothing", *common, "--fid", 4, code=1)
    assert "pip install 'selfcodec[fid]'" in result.stderr
    assert not out.exists()
