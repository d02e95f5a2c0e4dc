"""Training: the loss falls, runs resume where they stopped, rounding sets in on time."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import pytest
import torch
from PIL import Image
from recipe_changes import changed, with_optimizer
from torch import Tensor
from trainer_state import CPU, assert_equal, parameters

from selfcodec.arrays import UInt8
from selfcodec.errors import InputError
from selfcodec.models import train
from selfcodec.models.calibration import calibrate
from selfcodec.models.checkpoint import CHECKPOINT, load_trained
from selfcodec.models.config import Recipe
from selfcodec.models.data import ImageSet
from selfcodec.models.evaluation import evaluate
from selfcodec.models.parsing import kinds
from selfcodec.models.pictures import write_progress
from selfcodec.models.progress import Progress
from selfcodec.models.train import LOG, Trainer
from selfcodec.models.training_config import OptimizerConfig

pytest_plugins = ("training_fixtures",)
pytestmark = pytest.mark.usefixtures("own_random_numbers")


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes one second further every time it is looked at."""
    now = iter(range(10**6))
    monkeypatch.setattr(train, "time", SimpleNamespace(monotonic=lambda: float(next(now))))


def ignore(progress: Progress) -> None:
    pass


# Runs.


@pytest.mark.usefixtures("ticking")
def test_a_run_lowers_the_loss_and_ends_with_a_rounding_model(recipe: Recipe, small: ImageSet, tmp_path: Path) -> None:
    reports: list[Progress] = []
    Trainer(recipe, tmp_path, CPU).run(small, small, reports.append, every=15.0)
    # The clock ticks twice a report; whatever evaluation takes does not count.
    assert [report.step for report in reports] == list(range(1, 31))
    assert reports[-1].elapsed == 30
    assert reports[-1].fraction == 1
    assert set(reports[-1].figures) == {"u", "y1", "z1", "x"}
    first, last = (sum(reports[i].figures.values()) for i in (0, -1))
    assert last < first - 0.5
    assert reports[-1].words.startswith(f"{last:.3f} bpd (u ")
    lines = [json.loads(line) for line in (tmp_path / LOG).read_text(encoding="utf-8").splitlines()]
    assert [line["note"] for line in lines].count("before rounding") == 1
    assert lines[-1]["note"] == "end"
    assert lines[-1]["step"] == 30
    assert lines[-1]["bpd"] < lines[0]["bpd"]
    assert [line["quantised"] for line in lines] == sorted(line["quantised"] for line in lines)
    before = next(line for line in lines if line["note"] == "before rounding")
    assert before["step"] == 30 * (1 - recipe.train.quantise_share)
    assert lines[-1]["quantised"]
    assert not before["quantised"]
    assert sum(lines[-1]["rates"].values()) == pytest.approx(lines[-1]["bpd"], abs=1e-3)
    loaded_recipe, model, state = load_trained(tmp_path / CHECKPOINT)
    assert loaded_recipe == recipe
    assert state["step"] == 30
    assert sum(evaluate(model, small).values()) == pytest.approx(lines[-1]["bpd"], abs=1e-3)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_a_step_as_long_as_the_budget_still_ends_with_rounding(
    recipe: Recipe, small: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter(range(0, 10**6, 1000))
    monkeypatch.setattr(train, "time", SimpleNamespace(monotonic=lambda: float(next(now))))
    Trainer(recipe, tmp_path, CPU).run(small, small, ignore)
    _, model, state = load_trained(tmp_path / CHECKPOINT)
    assert state["step"] == 1
    assert all(net.formats for _, net in model.graphs())


@pytest.mark.usefixtures("ticking")
def test_reported_rates_recover_from_a_batch_without_any(
    recipe: Recipe, small: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, reports = Trainer(recipe, tmp_path, CPU), list[Progress]()
    step = trainer.train_step

    def broken_at_five(ys: list[Tensor]) -> dict[str, Tensor]:
        rates = step(ys)
        return {name: rate * math.nan for name, rate in rates.items()} if trainer.step == 5 else rates

    monkeypatch.setattr(trainer, "train_step", broken_at_five)
    trainer.run(small, small, reports.append)
    assert all(math.isfinite(sum(report.figures.values())) for report in reports)


@pytest.mark.usefixtures("ticking")
def test_a_run_stopped_half_way_goes_on(recipe: Recipe, small: ImageSet, tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.step == 25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Trainer(recipe, tmp_path, CPU).run(small, small, stop, every=10.0)
    again = Trainer(recipe, tmp_path, CPU)
    again.load()
    assert again.step == again.elapsed == 20
    assert again.quantised
    steps: list[int] = []
    again.run(small, small, lambda progress: steps.append(progress.step), every=1000.0)
    assert steps == list(range(21, 31))


@pytest.mark.parametrize("optimizer", kinds(OptimizerConfig))
def test_resuming_restores_everything(recipe: Recipe, small: ImageSet, tmp_path: Path, optimizer: str) -> None:
    """The next step of the resumed run is the next step of the run that went on."""
    recipe = with_optimizer(recipe, optimizer)
    first = Trainer(recipe, tmp_path, CPU)
    batches = small.random_batches(recipe.train.batch, first.generator)
    for _ in range(6):
        first.train_step(next(batches))
    first.elapsed = 17.25
    first.quantise(small)
    first.train_step(next(batches))
    first.save()
    missing = changed(recipe, train={"start": "a model that is gone"})
    second = Trainer(missing, tmp_path, CPU, resume=True)  # takes everything from the checkpoint
    assert (second.step, second.elapsed, second.fraction) == (7, 17.25, 17.25 / 30)
    assert_equal(second.model.state_dict(), first.model.state_dict())
    assert_equal(second.ema.state_dict(), first.ema.state_dict())
    assert_equal(second.optimizer.state_dict(), first.optimizer.state_dict())
    assert torch.equal(second.generator.get_state(), first.generator.get_state())
    for mine, other in ((first.model, second.model), (first.ema, second.ema)):
        assert {n: net.formats for n, net in mine.graphs()} == {n: net.formats for n, net in other.graphs()}
    results = []
    for trainer in (first, second):
        torch.manual_seed(5)
        rates = trainer.train_step(next(small.random_batches(8, trainer.generator)))
        results.append((rates, parameters(trainer), trainer.learning_rate()))
    assert_equal(results[0], results[1])


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_a_model_in_context_learns(in_context: Recipe, of_context: ImageSet, tmp_path: Path, optimizer: str) -> None:
    trainer = Trainer(with_optimizer(in_context, optimizer, learning_rate=5e-3), tmp_path, CPU)
    before = sum(evaluate(trainer.model, of_context).values())
    batches = of_context.random_batches(8, trainer.generator)
    for _ in range(30):
        trainer.train_step(next(batches))
    after = evaluate(trainer.model, of_context)
    assert sum(after.values()) < before - 0.5
    trainer.ema.load_state_dict(trainer.model.state_dict())
    trainer.quantise(of_context)
    assert trainer.quantised
    assert sum(evaluate(trainer.model, of_context).values()) < before


def test_a_picture_that_cannot_be_written_leaves_the_old_one(
    recipe: Recipe, small: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, path = Trainer(recipe, tmp_path, CPU), tmp_path / "progress.png"
    write_progress(path, trainer.objective, trainer.ema, small)
    old = path.read_bytes()

    def crash(picture: Image.Image, file: BinaryIO, format: str) -> None:
        file.write(old[: len(old) // 2])
        raise OSError("no space left on device")

    monkeypatch.setattr(Image.Image, "save", crash)
    with pytest.raises(InputError, match=r"progress\.png: cannot be written: no space left"):
        write_progress(path, trainer.objective, trainer.ema, small)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [old]


# Rounding.


def test_quantising_switches_rounding_on_in_both_models(recipe: Recipe, small: ImageSet, tmp_path: Path) -> None:
    trainer = Trainer(recipe, tmp_path, CPU)
    trainer.train_step(small.batch(torch.arange(8)))
    assert not trainer.quantised
    before = evaluate(trainer.ema, small)
    trainer.quantise(small)
    assert trainer.quantised
    formats = dict(trainer.ema.graphs())
    for name, net in trainer.model.graphs():
        assert set(net.formats) == {node.name for node in net.graph.nodes}
        assert net.formats == formats[name].formats
        assert net.formats is not formats[name].formats
    name, net = next(trainer.model.graphs())
    source = torch.rand(1, net.graph.inputs[0].channels, 16, 16)
    with torch.no_grad():
        out = net(source) * 1024
    assert torch.equal(out, out.round()), name
    after = evaluate(trainer.ema, small)
    assert sum(after.values()) == pytest.approx(sum(before.values()), rel=0.02)
    rates = trainer.train_step(small.batch(torch.arange(8)))
    assert all(bool(torch.isfinite(rate).all()) for rate in rates.values())


def test_calibration_takes_less_than_a_batch_of_images(recipe: Recipe, patches: UInt8, tmp_path: Path) -> None:
    few = ImageSet.build(patches[:3, :16, :16], "downscale", 1, flip=False, device=CPU)
    trainer = Trainer(recipe, tmp_path, CPU)
    calibrate(trainer.objective, trainer.ema, few, torch.Generator(), 8)
    assert all(net.formats for _, net in trainer.ema.graphs())
