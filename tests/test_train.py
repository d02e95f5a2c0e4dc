"""Training: the loss falls, runs resume where they stopped, checkpoints survive crashes, rounding sets in on time."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from selfcodec.errors import InputError, ModelError
from selfcodec.models import train
from selfcodec.models.checkpoint import CHECKPOINT, load_trained, read_checkpoint
from selfcodec.models.config import OPTIMIZERS, Recipe
from selfcodec.models.data import ImageSet
from selfcodec.models.export import export_model, write_model
from selfcodec.models.layers import FloatGraph
from selfcodec.models.selfvae import Withheld
from selfcodec.models.train import (
    LOG,
    Progress,
    Trainer,
    bits_per_dim,
    calibrate,
    evaluate,
)
from selfcodec.zoo import Model

UInt8 = npt.NDArray[np.uint8]
CPU = torch.device("cpu")
DIMS = 16 * 16 * 3


@pytest.fixture(scope="module")
def recipe(tiny_recipe: Recipe) -> Recipe:
    """The tiny model in its smallest batches."""
    return replace(tiny_recipe, train=replace(tiny_recipe.train, batch=8, warmup=5, minutes=0.5))


@pytest.fixture(scope="module")
def small(patches: UInt8) -> ImageSet:
    """24 images of 16 x 16."""
    return ImageSet.build(patches[64:88, :16, :16], "downscale", 1, flip=False, device=CPU)


@pytest.fixture(autouse=True)
def _own_random_numbers() -> Any:
    with torch.random.fork_rng(devices=[]):
        yield


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes one second further every time it is looked at."""
    now = iter(range(10**6))
    monkeypatch.setattr(train, "time", SimpleNamespace(monotonic=lambda: float(next(now))))


def ignore(progress: Progress) -> None:
    pass


def parameters(trainer: Trainer) -> Tensor:
    return torch.cat([p.detach().flatten() for p in trainer.model.parameters()])


def assert_equal(a: Any, b: Any) -> None:
    """Equality of nested states."""
    assert type(a) is type(b)
    if isinstance(a, Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            assert_equal(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_equal(x, y)
    else:
        assert a == b


# Runs.


@pytest.mark.usefixtures("ticking")
def test_a_run_lowers_the_loss_and_ends_with_a_rounding_model(recipe: Recipe, small: ImageSet, tmp_path: Path) -> None:
    reports: list[Progress] = []
    Trainer(recipe, tmp_path, CPU).run(small, small, reports.append, every=15.0)
    # The clock ticks twice a report; whatever evaluation takes does not count.
    assert [report.step for report in reports] == list(range(1, 31))
    assert reports[-1].elapsed == 30
    assert reports[-1].fraction == 1
    assert set(reports[-1].rates) == {"u", "y1", "z1", "x"}
    assert reports[-1].bpd == pytest.approx(sum(reports[-1].rates.values()))
    assert reports[-1].bpd < reports[0].bpd - 0.5
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
    assert all(math.isfinite(report.bpd) for report in reports)


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


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_resuming_restores_everything(recipe: Recipe, small: ImageSet, tmp_path: Path, optimizer: str) -> None:
    """The next step of the resumed run is the next step of the run that went on."""
    recipe = replace(recipe, train=replace(recipe.train, optimizer=optimizer))
    first = Trainer(recipe, tmp_path, CPU)
    batches = small.random_batches(recipe.train.batch, first.generator)
    for _ in range(6):
        first.train_step(next(batches))
    first.elapsed = 17.25
    first.quantise(small)
    first.train_step(next(batches))
    first.save()
    missing = replace(recipe, train=replace(recipe.train, start="a model that is gone"))
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


def test_a_checkpoint_of_another_recipe_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    Trainer(recipe, tmp_path, CPU).save()
    Trainer(replace(recipe, train=replace(recipe.train, minutes=1.0)), tmp_path, CPU).load()
    with pytest.raises(ModelError, match="another recipe"):
        Trainer(replace(recipe, train=replace(recipe.train, optimizer="muon")), tmp_path, CPU).load()
    with pytest.raises(ModelError, match="another recipe"):
        Trainer(replace(recipe, model=replace(recipe.model, width=6)), tmp_path, CPU).load()


# Checkpoints.


def test_a_crash_while_saving_leaves_the_old_checkpoint(
    recipe: Recipe, small: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(recipe, tmp_path, CPU)
    trainer.save()
    old = (tmp_path / CHECKPOINT).read_bytes()
    trainer.train_step(small.batch(torch.arange(8)))

    def crash(state: object, path: Path) -> None:
        Path(path).write_bytes(old[: len(old) // 2])
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", crash)
        with pytest.raises(OSError, match="no space"):
            trainer.save()
    assert (tmp_path / CHECKPOINT).read_bytes() == old
    resumed = Trainer(recipe, tmp_path, CPU)
    resumed.load()
    assert resumed.step == 0
    trainer.save()
    resumed.load()
    assert resumed.step == 1
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


@pytest.fixture(scope="module")
def checkpoint(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("whole")
    Trainer(recipe, folder, CPU).save()
    return (folder / CHECKPOINT).read_bytes()


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "no checkpoint": lambda data: b"not a checkpoint",
    "first half": lambda data: data[: len(data) // 2],
    "last byte missing": lambda data: data[:-1],
    "zeros in the middle": lambda data: data[:2000] + bytes(200) + data[2200:],
    "zeros at the beginning": lambda data: bytes(100) + data[100:],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_refused(checkpoint: bytes, damage: str, tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT
    path.write_bytes(checkpoint)
    read_checkpoint(path)
    path.write_bytes(DAMAGE[damage](checkpoint))
    with pytest.raises(ModelError, match=CHECKPOINT):
        read_checkpoint(path)


@pytest.mark.parametrize("state", [{}, [1, 2], {"recipe": {}, "step": 3}])
def test_another_program_s_file_is_refused(state: object, tmp_path: Path) -> None:
    torch.save(state, tmp_path / CHECKPOINT)
    with pytest.raises(ModelError, match=CHECKPOINT):
        load_trained(tmp_path / CHECKPOINT)


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such checkpoint"):
        read_checkpoint(tmp_path / CHECKPOINT)


# Steps.


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_step_without_finite_gradients_is_skipped(
    recipe: Recipe, small: ImageSet, tmp_path: Path, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(recipe, tmp_path, CPU)
    trainer.train_step(small.batch(torch.arange(8)))
    before, state = parameters(trainer).clone(), trainer.optimizer.state_dict()["state"][0]["step"].clone()
    objective = trainer._objective
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "_objective", lambda rates, withheld: value * objective(rates, withheld))
        trainer.train_step(small.batch(torch.arange(8)))
    assert torch.equal(parameters(trainer), before)
    assert torch.equal(trainer.optimizer.state_dict()["state"][0]["step"], state)
    assert all(bool(torch.isfinite(p).all()) for p in trainer.ema.parameters())
    assert trainer.step == 2
    trainer.train_step(small.batch(torch.arange(8)))
    assert not torch.equal(parameters(trainer), before)


def test_gradients_are_clipped(recipe: Recipe, small: ImageSet, tmp_path: Path) -> None:
    tight = replace(recipe, train=replace(recipe.train, clip=1e-3))
    trainer = Trainer(tight, tmp_path, CPU)
    trainer.train_step(small.batch(torch.arange(8)))
    norm = torch.stack([p.grad.norm() for p in trainer.model.parameters() if p.grad is not None]).norm()
    assert norm == pytest.approx(1e-3, rel=1e-3)


def test_the_average_follows_the_weights(recipe: Recipe, small: ImageSet, tmp_path: Path) -> None:
    trainer = Trainer(recipe, tmp_path, CPU)
    averaged = torch.cat([p.flatten() for p in trainer.ema.parameters()]).clone()
    trainer.train_step(small.batch(torch.arange(8)))
    found = torch.cat([p.flatten() for p in trainer.ema.parameters()])
    torch.testing.assert_close(found, averaged + 0.9 * (parameters(trainer) - averaged))  # 1 - min(0.9, 1 / 10)


def test_the_learning_rate_warms_up_and_falls(recipe: Recipe, tmp_path: Path) -> None:
    settings = replace(recipe.train, warmup=10, learning_rate=1.0, final_rate=0.1, minutes=1.0)
    trainer = Trainer(replace(recipe, train=settings), tmp_path, CPU)
    assert trainer.learning_rate() == pytest.approx(0.1)
    trainer.step = 4
    assert trainer.learning_rate() == pytest.approx(0.5)
    trainer.step = 1000
    for elapsed, expected in ((0.0, 1.0), (30.0, 0.55), (60.0, 0.1), (90.0, 0.1)):
        trainer.elapsed = elapsed
        assert trainer.learning_rate() == pytest.approx(expected)


def test_the_latents_weight_grows_to_its_value(recipe: Recipe, tmp_path: Path) -> None:
    settings = replace(recipe.train, latent_weight=0.5, latent_warmup=0.4, minutes=1.0)
    trainer = Trainer(replace(recipe, train=settings), tmp_path, CPU)
    for elapsed, expected in ((0.0, 0.005), (12.0, 0.05), (24.0, 0.5), (60.0, 0.5)):
        trainer.elapsed = elapsed
        assert trainer.latent_weight() == pytest.approx(expected)
    trainer = Trainer(replace(recipe, train=replace(settings, latent_warmup=0.0)), tmp_path, CPU)
    assert trainer.latent_weight() == 0.5


def test_the_objective_weighs_latents_and_withheld_images(recipe: Recipe, tmp_path: Path) -> None:
    settings = replace(recipe.train, latent_weight=0.5, latent_warmup=0.0, free_weight=3.0)
    trainer = Trainer(replace(recipe, train=settings), tmp_path, CPU)
    pairs = {"u": (1.0, 2.0), "y1": (10.0, 20.0), "z1": (4.0, 8.0), "x": (100.0, 200.0)}
    rates = {name: torch.tensor(pair) for name, pair in pairs.items()}
    context = torch.tensor([False, True])
    found = trainer._objective(rates, Withheld(context, context))
    assert found == pytest.approx(0.5 * 1.5 + (10 + 3 * 20) / 2 + 0.5 * 6 + (100 + 3 * 200) / 2)


def test_bits_per_dim() -> None:
    rates = {"x": torch.tensor([math.log(2), 3 * math.log(2)]) * 10}
    assert bits_per_dim(rates, 10)["x"] == pytest.approx(2)


def test_evaluation_repeats_itself_and_leaves_random_numbers_alone(
    recipe: Recipe, small: ImageSet, tmp_path: Path
) -> None:
    trainer = Trainer(recipe, tmp_path, CPU)
    state = torch.random.get_rng_state()
    first, again = (evaluate(trainer.ema, small, batch=64) for _ in range(2))
    assert first == again
    assert torch.equal(torch.random.get_rng_state(), state)
    parts = evaluate(trainer.ema, small, batch=24)
    assert sum(parts.values()) == pytest.approx(sum(first.values()), rel=0.02)


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
    calibrate(trainer.ema, few, torch.Generator(), 8)
    assert all(net.formats for _, net in trainer.ema.graphs())


# Data-dependent initialisation.


@pytest.fixture(scope="module")
def densenet(recipe: Recipe) -> Recipe:
    return replace(recipe, model=replace(recipe.model, network="densenet", growth=3, layers=2, posterior="gaussian"))


def test_data_dependent_initialisation_standardises_every_convolution(
    densenet: Recipe, small: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the pass that sets them, and again on the same batch, outputs have mean 0 and the chosen deviation."""
    trainer = Trainer(densenet, tmp_path, CPU)
    index = torch.arange(8)
    monkeypatch.setattr(torch, "randperm", lambda n, **_: torch.arange(n))
    torch.manual_seed(3)
    trainer._initialise(small)
    monkeypatch.undo()
    assert_equal(trainer.ema.state_dict(), trainer.model.state_dict())
    checked = 0
    convolve = FloatGraph._convolve

    def check(net: FloatGraph, node: Any, x: Tensor) -> Tensor:
        nonlocal checked
        out = convolve(net, x=x, node=node)
        std = out.std((0, 2, 3))
        target = net.output_scale if node is net.graph.output else 1.0
        assert out.mean((0, 2, 3)).abs().max() < 1e-3 * max(1.0, target)
        assert (std <= 1.01 * target).all()
        alive = std > 0.5 * target  # a channel whose input is constant on the batch stays constant
        assert (std[alive] - target).abs().max() < 0.01 * target
        assert alive.float().mean() > 0.5, node.name
        checked += 1
        return out

    monkeypatch.setattr(FloatGraph, "_convolve", check)
    torch.manual_seed(3)
    with torch.no_grad():
        trainer.model(small.batch(index))
    assert checked == sum(len(net.weights) for _, net in trainer.model.graphs())


def test_initialising_again_changes_nothing_once_off(densenet: Recipe, small: ImageSet, tmp_path: Path) -> None:
    trainer = Trainer(densenet, tmp_path, CPU)
    trainer._initialise(small)
    before = parameters(trainer).clone()
    with torch.no_grad():
        trainer.model(small.batch(torch.arange(8, 16)))
    assert torch.equal(parameters(trainer), before)


def test_a_densenet_trains(densenet: Recipe, small: ImageSet, tmp_path: Path) -> None:
    trainer = Trainer(densenet, tmp_path, CPU)
    trainer._initialise(small)
    losses = [sum(bits_per_dim(trainer.train_step(small.batch(torch.arange(8))), DIMS).values()) for _ in range(8)]
    assert losses[-1] < losses[0]


# In context, and from another model's weights.


@pytest.fixture(scope="module")
def in_context(recipe: Recipe) -> Recipe:
    changes = {"transformation": "downscale4", "phases": 1, "context": True, "u_down": 1, "finest": 4, "folds_q": 2}
    return replace(recipe, name="in-context", model=replace(recipe.model, **changes))


@pytest.fixture(scope="module")
def of_context(patches: UInt8) -> ImageSet:
    return ImageSet.build(patches[64:96, :16, :16], "downscale4", 1, flip=False, device=CPU, augment=True)


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_a_model_in_context_learns(in_context: Recipe, of_context: ImageSet, tmp_path: Path, optimizer: str) -> None:
    optimised = replace(in_context, train=replace(in_context.train, optimizer=optimizer, learning_rate=5e-3))
    trainer = Trainer(optimised, tmp_path, CPU)
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


def test_training_starts_from_a_model_s_weights(
    in_context: Recipe, of_context: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exported integers stand for real weights, which training takes up; rounded again, they are the same."""
    first = Trainer(in_context, tmp_path / "run", CPU)
    data = export_model(in_context, first.ema, of_context)
    source = write_model(tmp_path / "first", data, in_context, {})
    start = str(tmp_path / "first")
    second = Trainer(replace(in_context, train=replace(in_context.train, start=start, seed=9)), tmp_path / "2", CPU)
    for name, net in second.model.graphs():
        for node in net.graph.nodes:
            if node.op == "conv":
                real = net.weight(node).detach()
                assert (real - dict(first.model.graphs())[name].weight(node)).abs().max() < 0.02 * real.abs().max()
    rates = [sum(evaluate(trainer.model, of_context).values()) for trainer in (first, second)]
    assert rates[1] == pytest.approx(rates[0], rel=0.02)
    for name, net in second.ema.graphs():
        net.formats = dict(source.nets[name].formats)
    assert Model(export_model(in_context, second.ema, None)).nets["p_x"].bounds == source.nets["p_x"].bounds


@pytest.mark.parametrize("changes", [{"width_head": 11}, {"width_head": 9, "finest": 7}])
def test_a_wider_model_starts_as_the_narrower_one(
    in_context: Recipe, of_context: ImageSet, tmp_path: Path, changes: dict[str, int]
) -> None:
    """Also what nothing reads yet can be learned from: it is not zero."""
    first = Trainer(in_context, tmp_path / "run", CPU)
    source = write_model(tmp_path / "first", export_model(in_context, first.ema, of_context), in_context, {})
    model = replace(in_context.model, **changes)
    settings = replace(in_context.train, start=str(tmp_path / "first"), seed=9, optimizer="muon")
    second = Trainer(replace(in_context, model=model, train=settings), tmp_path / "2", CPU)
    assert sum(p.numel() for p in second.model.parameters()) > sum(p.numel() for p in first.model.parameters())
    same = Trainer(replace(in_context, train=settings), tmp_path / "3", CPU)
    rates = [evaluate(trainer.model, of_context) for trainer in (same, second)]
    assert rates[1] == pytest.approx(rates[0], rel=1e-4)
    head, old = dict(second.model.graphs())["p_x_0"], source.nets["p_x_0"]
    node = next(n for n in head.graph.nodes if n.op == "conv" and n.channels > old.constants(n.name)[0].shape[0])
    new = head.weight(node).detach()[old.constants(node.name)[0].shape[0] :]
    assert float(new.abs().amax((1, 2, 3)).min()) > 0
    for batch in range(3):
        second.train_step(of_context.batch(torch.arange(8) + 8 * batch))
    assert all(bool(torch.isfinite(p).all()) for p in second.model.parameters())


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_pixels_alone_can_be_trained(in_context: Recipe, of_context: ImageSet, tmp_path: Path, optimizer: str) -> None:
    settings = replace(in_context.train, networks="pixels", optimizer=optimizer)
    with pytest.raises(InputError, match=r"start from a model \(--from\)$"):
        Trainer(replace(in_context, train=settings), tmp_path, CPU)
    first = Trainer(in_context, tmp_path / "run", CPU)
    write_model(tmp_path / "first", export_model(in_context, first.ema, of_context), in_context, {})
    start = replace(settings, start=str(tmp_path / "first"))
    second = Trainer(replace(in_context, train=start), tmp_path / "2", CPU)
    before = {name: p.detach().clone() for name, p in second.model.named_parameters()}
    for batch in range(2):
        second.train_step(of_context.batch(torch.arange(8) + 8 * batch))
    pixels = {id(p) for net in second.model.pixel_networks() for p in net.parameters()}
    for name, p in second.model.named_parameters():
        assert torch.equal(p, before[name]) == (id(p) not in pixels), name


@pytest.mark.parametrize("changes", [{"width_head": 7}, {"blocks_head": 2}, {"mixtures": 3}])
def test_training_starts_from_no_wider_or_deeper_model(
    in_context: Recipe, of_context: ImageSet, tmp_path: Path, changes: dict[str, int]
) -> None:
    first = Trainer(in_context, tmp_path / "run", CPU)
    write_model(tmp_path / "first", export_model(in_context, first.ema, of_context), in_context, {})
    other = replace(in_context, model=replace(in_context.model, **changes))
    with pytest.raises(ModelError, match=r"network 'p_\w+' is not this recipe's"):
        Trainer(replace(other, train=replace(other.train, start=str(tmp_path / "first"))), tmp_path, CPU)


def test_training_starts_from_no_other_kind_of_model(in_context: Recipe, tiny_model_dir: Path, tmp_path: Path) -> None:
    start = str(tiny_model_dir / "tiny")
    with pytest.raises(ModelError, match=r"training cannot start from .*not this recipe's"):
        Trainer(replace(in_context, train=replace(in_context.train, start=start)), tmp_path, CPU)
