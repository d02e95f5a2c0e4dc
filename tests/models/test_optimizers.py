"""Optimizers: which weights Muon moves, and how far."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from selfcodec.models.config import Recipe
from selfcodec.models.optimizers import Muon, build_optimizer
from selfcodec.models.selfvae import SelfVAE
from selfcodec.models.training_config import MuonConfig

RATE = 1e-3
MUON = MuonConfig(learning_rate=RATE, final_rate=1.0, warmup=0)


@pytest.fixture
def model(tiny_recipe: Recipe) -> Iterator[SelfVAE]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield SelfVAE(tiny_recipe.model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def test_muon_moves_the_pixels_likelihoods_and_adam_the_rest(model: SelfVAE) -> None:
    """Adam's first step is the learning rate for every weight; Muon's has about a fifth of it as its quadratic mean."""
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = build_optimizer(MUON, model)
    for p in model.parameters():
        p.grad = torch.randn_like(p).sign()
    optimizer.step()
    kinds = {"muon": 0, "adam": 0}
    for name, p in model.named_parameters():
        moved = (p.detach() - before[name]).abs()
        muon = name.startswith(("nets.p_x", "nets.p_y")) and ".weights." in name
        kinds["muon" if muon else "adam"] += 1
        if muon:
            assert 0.1 * RATE < float(moved.square().mean().sqrt()) < 0.3 * RATE, name
        else:
            assert torch.allclose(moved, torch.full_like(moved, RATE), rtol=0.01), name
    assert min(kinds.values()) > 10


def test_muon_moves_in_orthogonal_directions(model: SelfVAE) -> None:
    weight = next(p for name, p in model.named_parameters() if name.startswith("nets.p_x.weights") and p.shape[2] == 3)
    before, optimizer = weight.detach().clone(), build_optimizer(MUON, model)
    left, right = torch.randn(len(weight), 2), torch.randn(2, weight[0].numel())
    weight.grad = (left @ torch.diag(torch.tensor([100.0, 1.0])) @ right).view_as(weight)
    optimizer.step()
    moved = torch.linalg.svdvals((weight.detach() - before).flatten(1))
    assert moved[1] > 0.5 * moved[0]  # the weak direction is followed as far as the strong one


def test_gradients_are_cleared(model: SelfVAE) -> None:
    optimizer = build_optimizer(MUON, model)
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer.zero_grad()
    assert all(p.grad is None for p in model.parameters())
    before = [p.detach().clone() for p in model.parameters()]
    optimizer.step()
    assert all(torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))


def test_muon_needs_weights_that_are_channels_last(model: SelfVAE) -> None:
    contiguous = model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="channels last"):
        Muon(contiguous, MUON)
