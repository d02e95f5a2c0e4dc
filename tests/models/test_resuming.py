"""A run that was killed goes on as if it had not been."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from recipe_changes import changed
from trainer_state import CPU, parameters

from selfcodec.arrays import UInt8
from selfcodec.errors import SelfcodecWarning
from selfcodec.models.budget import Budget, Minutes, Steps, in_last
from selfcodec.models.checkpoint import CHECKPOINT
from selfcodec.models.config import Recipe
from selfcodec.models.data import Images, ImageSet
from selfcodec.models.objectives.objective import Evaluation
from selfcodec.models.progress import Progress
from selfcodec.models.selfvae import SelfVAE
from selfcodec.models.train import LOG, Trainer

pytest_plugins = ("training_fixtures",)
pytestmark = pytest.mark.usefixtures("own_random_numbers")

Losses = list[dict[str, float]]


@pytest.fixture(scope="module")
def varied(patches: UInt8) -> ImageSet:
    """28 images of 16 x 16, which are varied at random: three batches of eight a round, and four images left."""
    return ImageSet.build(patches[64:92, :16, :16], "downscale", 1, flip=False, device=CPU, augment=True, affine=True)


def losses_of(trainer: Trainer, images: ImageSet, every: float, kill_at: int | None = None) -> Losses:
    """Runs, and gives the figures after every step; a kill hits before that step is saved."""
    found: Losses = []

    def report(progress: Progress) -> None:
        if progress.step == kill_at:
            raise SystemExit
        found.append(progress.figures)

    if kill_at is None:
        assert trainer.run(images, images, report, every)
    else:
        with pytest.raises(SystemExit):
            trainer.run(images, images, report, every)
    return found


def test_a_run_that_is_killed_again_and_again_has_the_losses_of_one_that_is_not(
    recipe: Recipe, varied: ImageSet, tmp_path: Path
) -> None:
    """Bit for bit: in the middle of a round of the images, before and after rounding sets in at step 9."""
    recipe = changed(recipe, train={"quantise_share": 0.25, "objective": {"free_share": 0.5}})
    whole = Trainer(recipe, tmp_path / "whole", CPU, Steps(12))
    expected = losses_of(whole, varied, 1e9)
    assert len(expected) == 12
    killed = Trainer(recipe, tmp_path / "killed", CPU, Steps(12))
    found: Losses = []
    for kill_at in (3, 8, 11, None):
        found += losses_of(killed, varied, 1e9 if kill_at is None else 0.0, kill_at)
        if kill_at is not None:
            torch.manual_seed(99)
            killed = Trainer(recipe, tmp_path / "killed", CPU, resume=True)  # for as many steps as it was given
            assert (killed.step, killed.budget) == (kill_at - 1, Steps(12))
    assert found == expected
    assert torch.equal(parameters(killed), parameters(whole))
    last = [(trainer.out / LOG).read_text(encoding="utf-8").splitlines()[-1] for trainer in (whole, killed)]
    lines = [{**json.loads(line), "minutes": 0} for line in last]
    assert lines[0] == lines[1]
    assert lines[0]["budget"] == "12 steps"


def test_a_run_that_is_killed_while_it_evaluates_loses_nothing(
    recipe: Recipe, varied: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two steps, before rounding sets in, at the end, and when an evaluation's picture cannot be written."""
    recipe = changed(recipe, train={"quantise_share": 0.25})
    expected = losses_of(Trainer(recipe, tmp_path / "whole", CPU, Steps(8)), varied, 1e9)
    found: Losses = []

    def interrupted(every: float, evaluation: int, *, picture: bool = False) -> Trainer:
        """Goes on until that evaluation, counted from 1, or until its picture."""
        trainer, count = Trainer(recipe, tmp_path / "killed", CPU, Steps(8), resume=bool(found)), 0
        evaluate = trainer.objective.evaluate

        def evaluated(model: SelfVAE, images: Images) -> Evaluation:
            nonlocal count
            count += 1
            if count == evaluation and not picture:
                raise SystemExit
            return evaluate(model, images)

        def show() -> None:
            if count == evaluation:
                raise SystemExit

        monkeypatch.setattr(trainer.objective, "evaluate", evaluated)
        with pytest.raises(SystemExit):
            trainer.run(varied, varied, lambda progress: found.append(progress.figures), every, show)
        return trainer

    assert interrupted(0.0, 2).step == 2
    assert interrupted(0.0, 2, picture=True).step == 4
    assert interrupted(1e9, 1).step == 6
    assert interrupted(1e9, 2).step == 8
    last = Trainer(recipe, tmp_path / "killed", CPU, resume=True)
    assert losses_of(last, varied, 1e9) == []
    assert found == expected
    lines = map(json.loads, (last.out / LOG).read_text(encoding="utf-8").splitlines())
    logged = [(line["step"], line["note"]) for line in lines]
    assert logged == [(1, ""), (3, ""), (4, ""), (6, "before rounding"), (8, "end")]


def test_a_checkpoint_from_before_all_that_was_kept_resumes(recipe: Recipe, small: ImageSet, tmp_path: Path) -> None:
    trainer = Trainer(recipe, tmp_path, CPU, Steps(4))
    trainer.train_step(small.batch(torch.arange(8)))
    trainer.save()
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    del state["run"]
    torch.save(state, tmp_path / CHECKPOINT)
    resumed = Trainer(recipe, tmp_path, CPU, resume=True)
    assert (resumed.step, resumed.budget) == (1, Minutes(recipe.train.minutes))
    assert torch.equal(parameters(resumed), parameters(trainer))


@pytest.mark.parametrize("budget", [None, Steps(9), Minutes(7)])
def test_a_budget_that_is_given_takes_the_place_of_that_of_the_run(
    recipe: Recipe, tmp_path: Path, budget: Budget | None
) -> None:
    Trainer(recipe, tmp_path, CPU, budget).save()
    kept = budget or Minutes(recipe.train.minutes)
    assert Trainer(recipe, tmp_path, CPU, resume=True).budget == kept
    assert Trainer(recipe, tmp_path, CPU, Steps(3), resume=True).budget == Steps(3)


def test_other_images_are_served_in_an_order_of_their_own(
    recipe: Recipe, varied: ImageSet, small: ImageSet, tmp_path: Path
) -> None:
    """A run may go on with more or fewer images."""
    losses_of(Trainer(recipe, tmp_path, CPU, Steps(2)), varied, 1e9)
    assert len(losses_of(Trainer(recipe, tmp_path, CPU, Steps(4), resume=True), small, 1e9)) == 2


def test_shares_of_budgets() -> None:
    assert Steps(8).fraction(2, 1e9) == 0.25
    assert Minutes(2).fraction(10**9, 30.0) == 0.25
    assert Steps(8).fraction(9, 0.0) == Minutes(2).fraction(0, 121.0) == 1
    assert [in_last(0.25, Steps(8).fraction(step, 0.0)) for step in (5, 6, 8)] == [False, True, True]
    assert not in_last(0.0, 1.0)
    assert in_last(1.0, 0.0)
    assert Steps(8).words(2, 0.0) == "step 2 of 8"
    assert Minutes(0.5).words(2, 12.0) == "0.2 of 0.5 minutes, step 2"


def test_what_a_run_goes_on_with_otherwise_than_before_is_named(
    recipe: Recipe, varied: ImageSet, tmp_path: Path
) -> None:
    losses_of(Trainer(recipe, tmp_path, CPU, Steps(1)), varied, 1e9)
    Trainer(changed(recipe, train={"minutes": 7}), tmp_path, CPU, Steps(2), resume=True)
    other = changed(recipe, train={"batch": 4, "objective": {"free_share": 0.125}})
    with pytest.warns(SelfcodecWarning, match=r"goes on with another train\.batch, train\.objective\.free_share than"):
        Trainer(other, tmp_path, CPU, Steps(2), resume=True)
