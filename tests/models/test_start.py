"""What training starts from: data-dependent initialisation, or another model's weights."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from recipe_changes import changed, with_optimizer
from torch import Tensor
from trainer_state import CPU, assert_equal, parameters

from selfcodec.errors import InputError, ModelError
from selfcodec.models.checkpoint import CHECKPOINT, load_trained
from selfcodec.models.config import Recipe
from selfcodec.models.data import ImageSet
from selfcodec.models.evaluation import bits_per_dim, evaluate
from selfcodec.models.export import export_model, write_model
from selfcodec.models.layers import FloatGraph
from selfcodec.models.starting import take_weights
from selfcodec.models.train import Trainer
from selfcodec.zoo import Model, find_model

DIMS = 16 * 16 * 3
pytest_plugins = ("training_fixtures",)
pytestmark = pytest.mark.usefixtures("own_random_numbers")


# Data-dependent initialisation.


@pytest.fixture(scope="module")
def densenet(recipe: Recipe) -> Recipe:
    network = {**asdict(recipe.model.network), "kind": "densenet", "growth": 3, "layers": 2}
    return changed(recipe, model={"network": network, "posterior": {"kind": "gaussian"}})


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


# From another model's weights.


def test_training_starts_from_a_model_s_weights(
    in_context: Recipe, of_context: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exported integers stand for real weights, which training takes up; rounded again, they are the same."""
    first = Trainer(in_context, tmp_path / "run", CPU)
    data = export_model(in_context, first.ema, of_context)
    source = write_model(tmp_path / "first", data, in_context, {})
    continued = changed(in_context, train={"start": str(tmp_path / "first"), "seed": 9})
    second = Trainer(continued, tmp_path / "2", CPU)
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


@pytest.mark.parametrize(
    "changes",
    [
        {"likelihood": {"head_width": 11}},
        {"likelihood": {"head_width": 9}, "network": {"finest": 7}},
        {"likelihood": {"head_width": 9, "predictions": True}},
    ],
)
def test_a_wider_model_starts_as_the_narrower_one(
    in_context: Recipe, of_context: ImageSet, tmp_path: Path, changes: dict[str, dict[str, int]]
) -> None:
    """Also what nothing reads yet can be learned from: it is not zero."""
    first = Trainer(in_context, tmp_path / "run", CPU)
    source = write_model(tmp_path / "first", export_model(in_context, first.ema, of_context), in_context, {})
    continued = with_optimizer(changed(in_context, train={"start": str(tmp_path / "first"), "seed": 9}), "muon")
    second = Trainer(changed(continued, model=changes), tmp_path / "2", CPU)
    assert sum(p.numel() for p in second.model.parameters()) > sum(p.numel() for p in first.model.parameters())
    same = Trainer(continued, tmp_path / "3", CPU)
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
    pixels_alone = with_optimizer(changed(in_context, train={"networks": "pixels"}), optimizer)
    with pytest.raises(InputError, match=r"start from a model \(--from\)$"):
        Trainer(pixels_alone, tmp_path, CPU)
    first = Trainer(in_context, tmp_path / "run", CPU)
    write_model(tmp_path / "first", export_model(in_context, first.ema, of_context), in_context, {})
    second = Trainer(changed(pixels_alone, train={"start": str(tmp_path / "first")}), tmp_path / "2", CPU)
    before = {name: p.detach().clone() for name, p in second.model.named_parameters()}
    for batch in range(2):
        second.train_step(of_context.batch(torch.arange(8) + 8 * batch))
    pixels = {id(p) for net in second.model.pixel_networks() for p in net.parameters()}
    for name, p in second.model.named_parameters():
        assert torch.equal(p, before[name]) == (id(p) not in pixels), name


@pytest.mark.parametrize("given", ["", "another model"])
def test_a_resumed_run_keeps_where_it_started(
    in_context: Recipe, of_context: ImageSet, tmp_path: Path, given: str
) -> None:
    """Whatever its recipe says then, or no longer says because --from is not given again."""
    source, out, start = Trainer(in_context, tmp_path / "run", CPU), tmp_path / "2", str(tmp_path / "first")
    write_model(tmp_path / "first", export_model(in_context, source.ema, of_context), in_context, {})
    pixels_alone = changed(in_context, train={"networks": "pixels", "start": start})
    Trainer(pixels_alone, out, CPU).save()
    Trainer(changed(pixels_alone, train={"start": given}), out, CPU, resume=True).save()
    assert load_trained(out / CHECKPOINT)[0] == pixels_alone


@pytest.mark.parametrize("changes", [{"head_width": 7}, {"head_blocks": 2}, {"mixtures": 3}])
def test_training_starts_from_no_wider_or_deeper_model(
    in_context: Recipe, of_context: ImageSet, tmp_path: Path, changes: dict[str, int]
) -> None:
    first = Trainer(in_context, tmp_path / "run", CPU)
    write_model(tmp_path / "first", export_model(in_context, first.ema, of_context), in_context, {})
    other = changed(in_context, model={"likelihood": changes}, train={"start": str(tmp_path / "first")})
    with pytest.raises(ModelError, match=r"network 'p_\w+' is not this recipe's"):
        Trainer(other, tmp_path, CPU)


def test_training_starts_from_no_other_kind_of_model(in_context: Recipe, tiny_model_dir: Path, tmp_path: Path) -> None:
    start = str(tiny_model_dir / "tiny")
    with pytest.raises(ModelError, match=r"training cannot start from .*not this recipe's"):
        Trainer(changed(in_context, train={"start": start}), tmp_path, CPU)


def test_training_starts_from_no_grids_that_it_would_narrow(
    in_context: Recipe, of_context: ImageSet, tmp_path: Path
) -> None:
    """A latent that carries nothing, in a grid as wide as all its values, would cost bits in a narrower one."""
    first = Trainer(in_context, tmp_path / "run", CPU)
    write_model(tmp_path / "first", export_model(in_context, first.ema, of_context), in_context, {})
    source = find_model(str(tmp_path / "first"))
    take_weights(first.model, source)
    widths = source.spec.variables["z1"]["widths"]
    source.spec.variables["z1"]["widths"] = [*widths[:-1], 1 << 22]
    with pytest.raises(ModelError, match=r"cannot start from .*first.*: z1 has wider grids than are trained"):
        take_weights(first.model, source)
