"""Phases of the selfVAE: no context leaks, means start from what is known, and context can be withheld."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from tiny_selfvae import build, images, phases_of, rate_of
from torch import Tensor

from selfcodec.coding.mixture import WINDOW
from selfcodec.models.distributions import Centre, dmol_mean, window_start
from selfcodec.models.likelihoods.likelihood import Withheld
from selfcodec.models.likelihoods.phases import Phases
from selfcodec.models.selfvae import SelfVAE


@contextmanager
def recorded(phases: Phases) -> Iterator[dict[str, list[Tensor]]]:
    """Every phase's parameters and base, as the likelihood computes them."""
    seen: dict[str, list[Tensor]] = {"parameters": [], "base": []}
    parameters, base = phases.parameters, phases.phase_base

    def phase_parameters(*args: Any) -> Tensor:
        seen["parameters"].append(parameters(*args))
        return seen["parameters"][-1]

    def phase_base(*args: Any) -> Tensor:
        seen["base"].append(base(*args))
        return seen["base"][-1]

    phases.parameters, phases.phase_base = phase_parameters, phase_base  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        del phases.parameters, phases.phase_base


def dependencies(model: SelfVAE, name: str, withheld: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """For image, phase i and phase j: whether i's parameters, and its base, depend on the target's phase j."""
    ys = images(model, count=len(withheld))
    values = model.infer(ys)
    target = values[name].clone().requires_grad_()
    values[name] = target
    phases = phases_of(model, name)
    with recorded(phases) as seen:
        phases.log_prob(values, target, Withheld(withheld, *[torch.zeros_like(withheld)] * 2), generate=True)
    tables = []
    for outputs in seen.values():
        table = np.zeros((len(withheld), 4, 4), bool)
        for i, out in enumerate(outputs):
            if not out.requires_grad:
                continue
            # Squares, since in a plain sum over outputs the gradients of a linear layer could cancel.
            grad = torch.autograd.grad(out.pow(2).sum(), target, allow_unused=True, retain_graph=True)[0]
            for j, (row, column) in enumerate(phases.offsets):
                if grad is not None:
                    table[:, i, j] = grad[:, :, row::2, column::2].abs().amax((1, 2, 3)).numpy() > 0
        tables.append(table)
    return tables[0], tables[1]


@pytest.mark.parametrize("network", ["residual", "densenet"])
@pytest.mark.parametrize("name", ["x", "y1", "y2"])
def test_phases_see_those_before_them_and_withheld_images_see_none(name: str, network: str) -> None:
    model = build(6, levels=2, u_down=0, z_down=2, network=network)
    parameters, _ = dependencies(model, name, torch.tensor([False, True, False]))
    earlier = np.tril(np.ones((4, 4), bool), -1)
    assert (parameters[0] == earlier).all()
    assert not parameters[1].any()
    assert (parameters[2] == earlier).all()


def test_only_the_last_phase_s_base_sees_the_others_and_not_where_withheld() -> None:
    model = build(6, levels=2, u_down=0, z_down=2)
    for name in ("x", "y1"):
        _, base = dependencies(model, name, torch.tensor([False, True]))
        expected = np.zeros((4, 4), bool)
        expected[3, :3] = True
        assert (base[0] == expected).all()
        assert not base[1].any()
    assert not dependencies(model, "y2", torch.tensor([False, True]))[1].any()


def test_one_image_s_flag_does_not_touch_another() -> None:
    model = build(7)
    ys = images(model, count=2)
    values = model.infer(ys)
    rates = {}
    for flags in ((False, False), (False, True), (True, True)):
        hidden = torch.tensor(flags)
        rates[flags] = rate_of(model, "x", values, ys[0], Withheld(hidden, *[torch.zeros_like(hidden)] * 2)).detach()
    assert rates[False, False][0] == pytest.approx(rates[False, True][0].item(), rel=1e-6)
    assert rates[True, True][1] == pytest.approx(rates[False, True][1].item(), rel=1e-6)
    assert rates[False, False][1] != pytest.approx(rates[False, True][1].item(), rel=1e-6)


def test_the_base_of_the_last_phase_follows_from_the_known_sum() -> None:
    """y = (sum + 2) >> 2, so that 4 y less the other three is within [-1, 2] of the fourth."""
    model = build(0, levels=2, u_down=0, z_down=1)
    ys = images(model, count=16, side=8)
    for name, x, y in (("x", ys[0], ys[1]), ("y1", ys[1], ys[2])):
        likelihood = phases_of(model, name)
        phases = likelihood.split(x)
        shown = torch.zeros(16, dtype=torch.bool)
        base = likelihood.phase_base(3, y, phases[:3], shown)
        assert (base - phases[3]).min() >= -1
        assert (base - phases[3]).max() <= 2
        inside = phases[3] - window_start(base)
        assert inside.min() >= 0
        assert inside.max() < WINDOW
        assert torch.equal(likelihood.phase_base(3, y, phases[:3], ~shown), y)
        assert all(torch.equal(likelihood.phase_base(i, y, phases[:i], shown), y) for i in range(3))
        assert [likelihood.sum_is_known(i) for i in range(4)] == [False, False, False, True]
    assert not phases_of(model, "y2").sum_is_known(3)


@pytest.mark.parametrize(("transformation", "phases"), [("bicubic", 4), ("sketch", 4), ("downscale", 1)])
def test_no_known_sum_without_box_averaging_in_four_phases(transformation: str, phases: int) -> None:
    model = build(0, transformation=transformation, phases=phases)
    base = torch.full((1, 3, 4, 4), 77.0)
    earlier = [torch.rand(1, 3, 4, 4)] * (phases - 1)
    shown = torch.zeros(1, dtype=torch.bool)
    assert torch.equal(phases_of(model, "x").phase_base(phases - 1, base, earlier, shown), base)


@pytest.mark.parametrize("phases", [1, 4])
def test_means_start_from_y_where_it_is_a_smaller_image_and_from_grey_elsewhere(phases: int) -> None:
    for transformation, follows in (("downscale", True), ("bicubic", True), ("blur", False), ("sketch", False)):
        model = build(0, transformation=transformation, phases=phases)
        ys = images(model)
        likelihood = phases_of(model, "x")
        size = likelihood.split(ys[0])[0].shape
        base = likelihood.base({"y1": ys[1], "z1": torch.zeros(1)}, size)
        assert base.shape == size
        if follows:
            assert torch.equal(base, ys[1] if phases == 4 else ys[1].repeat_interleave(2, 2).repeat_interleave(2, 3))
        else:
            assert (base == 128).all()


def test_phases_take_an_image_apart_and_put_it_together() -> None:
    for phases in (1, 4):
        likelihood = phases_of(build(0, phases=phases), "x")
        x = torch.rand(2, 3, 6, 8)
        assert len(likelihood.split(x)) == phases
        assert torch.equal(likelihood.join(likelihood.split(x)), x)


def test_generated_y_take_the_place_of_true_ones_only_where_asked() -> None:
    model = build(8, levels=1)
    ys = images(model, count=3)
    likelihood, values = model.pixels["y1"], model.infer(ys)
    withheld = Withheld(*torch.tensor([[False, True, True], [False, False, True], [False, False, False]]))
    result = withheld.replaced(ys[1], likelihood.log_prob(values, ys[1], withheld, generate=True)[1])
    assert torch.equal(result[:2], ys[1][:2])
    alone = model.generate((8, 8), {"u": values["u"]}, draw=False, batch=3)["y1"]
    assert torch.equal(result[2], alone[2])
    other = withheld.replaced(255 - ys[1], likelihood.log_prob(values, 255 - ys[1], withheld, generate=True)[1])
    assert torch.equal(other[2], result[2])


def test_without_context_generation_takes_every_phase_s_mean_at_once() -> None:
    model = build(9, levels=0)
    u = torch.randn(2, 2, 4, 4)
    likelihood, hidden = phases_of(model, "x"), torch.ones(2, dtype=torch.bool)
    with torch.no_grad():
        features = likelihood.features({"u": u})
        base = torch.full((2, 3, 4, 4), 128.0)
        grey = [base] * 3
        parts = [
            dmol_mean(likelihood.parameters(i, features, grey[:i], hidden), Centre(base), likelihood.layout)
            for i in range(4)
        ]
    assert torch.equal(model.generate((8, 8), {"u": u}, draw=False, batch=2)["x"], likelihood.join(parts))


def test_draw_of_withheld_images() -> None:
    torch.manual_seed(0)
    drawn = Withheld.draw(20000, torch.device("cpu"), 0.3, 0.4, 0.2)
    assert float(drawn.context.float().mean()) == pytest.approx(0.3, abs=0.02)
    assert float(drawn.truth.float().mean()) == pytest.approx(0.12, abs=0.02)
    assert not (drawn.truth & ~drawn.context).any()
    assert float(drawn.noise.float().mean()) == pytest.approx(0.2, abs=0.02)
    assert float((drawn.noise & drawn.context).float().mean()) == pytest.approx(0.06, abs=0.01)
    nothing = Withheld.nothing(4, torch.device("cpu"))
    assert not (nothing.context | nothing.truth | nothing.noise).any()
