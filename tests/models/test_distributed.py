"""Processes that train together do what one does alone, but for orders of summation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import training_worker
from hypothesis import given, settings
from hypothesis import strategies as st
from recipe_changes import changed
from torch import Tensor
from trainer_state import CPU
from training_worker import STEPS, STOP, train_recorded

from selfcodec.arrays import UInt8
from selfcodec.errors import InputError
from selfcodec.models import draws, train
from selfcodec.models.checkpoint import CHECKPOINT
from selfcodec.models.config import Recipe
from selfcodec.models.crops import CropSet
from selfcodec.models.distributed import Alone
from selfcodec.models.draws import Share, sharing
from selfcodec.models.likelihoods.likelihood import Withheld
from selfcodec.models.objectives.rate_distortion import RateDistortionObjective
from selfcodec.models.recipe import load_recipe
from selfcodec.models.train import LOG, Trainer

pytest_plugins = ("training_fixtures",)
pytestmark = pytest.mark.usefixtures("own_random_numbers")

Runs = tuple[Path, dict[str, Any], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def runs(recipe: Recipe, patches: UInt8, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """The folder, what one process did alone, and what each of two did together."""
    objective = {"free_share": 0.5, "generated_share": 0.5}
    changes = {"quantise_share": 0.0, "affine": True, "augment": True, "objective": objective}
    folder = tmp_path_factory.mktemp("together")
    (folder / "recipe.json").write_text(json.dumps(asdict(changed(recipe, train=changes))), encoding="utf-8")
    np.save(folder / "images.npy", patches[64:92, :16, :16])
    paths = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), *sys.path])
    command = [sys.executable, training_worker.__file__, str(folder)]
    started = [subprocess.Popen([*command, str(i), "2"], env={**os.environ, "PYTHONPATH": paths}) for i in range(2)]
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng(devices=[]):
        patch.setattr(train, "has_bfloat16", train.has_bfloat16)  # the worker's function changes it
        alone = train_recorded(folder, folder / "alone", Alone(), stops=False)
    assert [process.wait(timeout=300) for process in started] == [0, 0]
    return folder, alone, [torch.load(folder / f"{i}.pt", weights_only=True) for i in range(2)]


def test_two_processes_have_the_losses_of_one(runs: Runs) -> None:
    """Of every image of every batch, with all kinds of random numbers, over the end of a round of the images."""
    _, alone, together = runs
    assert len(alone["terms"]) == STEPS
    for mine in together:
        for found, expected in zip(mine["terms"], alone["terms"], strict=False):
            assert found.shape == expected.shape
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_two_processes_keep_the_same_weights(runs: Runs) -> None:
    first, second = runs[2]
    assert torch.equal(first["weights"], second["weights"])


def test_they_stop_together_and_share_the_first_one_s_clock(runs: Runs) -> None:
    """The second one alone was asked to stop."""
    _, alone, together = runs
    assert alone["done"]
    assert [(len(mine["terms"]), mine["done"]) for mine in together] == [(STOP, False)] * 2
    assert together[0]["elapsed"] == together[1]["elapsed"]


def test_the_first_process_alone_writes(runs: Runs) -> None:
    folder = runs[0]
    assert [path.name for path in (folder / "run-0").iterdir()] == [CHECKPOINT]
    assert not (folder / "run-1").exists()
    assert sorted(path.name for path in (folder / "alone").iterdir()) == [CHECKPOINT, LOG]


class Third(Alone):
    share = Share(2, 3)


def test_a_batch_that_does_not_divide_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="batch of 8 images does not divide among 3 processes"):
        Trainer(recipe, tmp_path, CPU, processes=Third())
    larger = {"kind": "crops", "larger_share": 0.5, "larger_patch": 32, "larger_batch": 4}
    with pytest.raises(InputError, match="batch of 4 images"):
        Trainer(changed(recipe, train={"batch": 6, "images": larger}), tmp_path, CPU, processes=Third())


# Draws: those of all shares are those of the whole.


def _crops(batch: int) -> Tensor:
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    crops = CropSet([picture], 16, "downscale4", 1, True, True, CPU)
    return next(crops.random_batches(draws.whole(batch), torch.Generator().manual_seed(3)))[0]


LOSSY = RateDistortionObjective(load_recipe("photo-lossy").train.objective)  # type: ignore[arg-type]


DRAWS: dict[str, Callable[[int], Tensor]] = {
    "uniform": lambda batch: draws.uniform_like(torch.empty(batch, 3, 2)),
    "normal": lambda batch: draws.normal_like(torch.empty(batch, 3, 2)),
    "withheld": lambda batch: Withheld.draw(batch, CPU, 0.5, 0.5, 0.5).truth,
    "lambdas": lambda batch: LOSSY.log_lambdas(batch, CPU),
    "crops": _crops,
}


@pytest.mark.parametrize("kind", DRAWS)
@settings(max_examples=20)
@given(count=st.integers(1, 4), own=st.integers(1, 3), seed=st.integers(0, 99))
def test_processes_draw_together_what_one_draws_alone(kind: str, count: int, own: int, seed: int) -> None:
    parts = []
    for index in range(count):
        with draws.seeded(seed, CPU), sharing(Share(index, count)):
            parts.append(DRAWS[kind](own))
            following = torch.rand(())
    with draws.seeded(seed, CPU):
        assert torch.equal(torch.cat(parts), DRAWS[kind](own * count))
        assert torch.equal(torch.rand(()), following)
