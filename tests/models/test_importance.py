"""Importance weighted bounds: of a model whose likelihood is known in closed form, and of the selfVAE."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from tiny_selfvae import build, images
from torch import Tensor
from torch.distributions import Normal

from selfcodec.models import evaluation
from selfcodec.models.evaluation import bounds

pytestmark = pytest.mark.usefixtures("own_random_numbers")
pytest_plugins = ("training_fixtures",)


@dataclass(frozen=True)
class LinearGaussian:
    """u ~ N(0, 1), x | u ~ N(slope u, noise), both of one dimension; q(u | x) = N(mean x, deviation).

    So log p(x) = log N(x; 0, sqrt(slope^2 + noise^2)); the exact posterior is what `exact` has.
    """

    slope: float
    noise: float
    mean: float
    deviation: float

    @staticmethod
    def exact(slope: float, noise: float) -> LinearGaussian:
        variance = slope**2 + noise**2
        return LinearGaussian(slope, noise, slope / variance, noise / math.sqrt(variance))

    def __call__(self, ys: list[Tensor]) -> dict[str, Tensor]:
        x = ys[0].flatten()
        posterior = Normal(self.mean * x, self.deviation)
        u = posterior.sample()
        return {
            "u": posterior.log_prob(u) - Normal(0.0, 1.0).log_prob(u),
            "x": -Normal(self.slope * u, self.noise).log_prob(x),
        }

    def surprise(self, x: float) -> float:
        """-log p(x)."""
        marginal = Normal(torch.zeros((), dtype=torch.float64), math.hypot(self.slope, self.noise))
        return -float(marginal.log_prob(torch.tensor(x)))

    def gap(self, x: float) -> float:
        """KL of q from the exact posterior, by which the negative evidence lower bound lies above -log p(x)."""
        best = LinearGaussian.exact(self.slope, self.noise)
        own, true = (Normal(torch.tensor(q.mean * x), torch.tensor(q.deviation)) for q in (self, best))
        return float(torch.distributions.kl_divergence(own, true))


def image(value: float) -> list[Tensor]:
    return [torch.full((1, 1, 1, 1), value)]


@pytest.mark.parametrize("samples", [1, 7])
def test_with_the_exact_posterior_every_sample_gives_the_likelihood(samples: int) -> None:
    model = LinearGaussian.exact(2.0, 0.5)
    found = bounds(model, image(1.5), samples)
    assert sum(found.rates.values()) == pytest.approx(model.surprise(1.5), abs=1e-4)
    assert found.weighted == pytest.approx(model.surprise(1.5), abs=1e-4)


@pytest.mark.parametrize("x", [-3.0, 0.0, 1.5])
def test_with_another_posterior_the_bounds_are_where_they_should_be(x: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The evidence lower bound is off by the KL divergence; many weighted samples come near the likelihood itself."""
    monkeypatch.setattr(evaluation, "PIXELS", 1000)  # so that samples are drawn in several batches, the last one short
    model = LinearGaussian(2.0, 0.7, mean=0.4, deviation=0.5)
    torch.manual_seed(0)
    found = bounds(model, image(x), 50_500)
    truth, gap = model.surprise(x), model.gap(x)
    assert gap > 0.05
    assert sum(found.rates.values()) == pytest.approx(truth + gap, abs=0.03)
    assert found.weighted == pytest.approx(truth, abs=0.03)


def test_weights_far_below_what_a_number_can_hold_are_averaged() -> None:
    def model(ys: list[Tensor]) -> dict[str, Tensor]:
        return {"x": torch.tensor([1e4, 1e4 + math.log(3)])[: len(ys[0])]}

    found = bounds(model, image(0.0), 2)
    assert found.weighted == pytest.approx(1e4 + math.log(1.5), abs=2e-3)  # of the rates, which are of float32
    assert found.rates["x"] == pytest.approx(1e4 + math.log(3) / 2, abs=2e-3)


@pytest.mark.parametrize("samples", [1, 3, 20])
def test_batches_hold_all_samples_and_no_more_than_memory_allows(samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def model(ys: list[Tensor]) -> dict[str, Tensor]:
        assert [y.shape[2:] for y in ys] == [(4, 4), (2, 2)]
        sizes.append(len(ys[0]))
        return {"x": torch.full((len(ys[0]),), 2.0)}

    monkeypatch.setattr(evaluation, "PIXELS", 100)
    found = bounds(model, [torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 2, 2)], samples)
    assert sum(sizes) == samples
    assert max(sizes) <= 6
    assert found.weighted == pytest.approx(2.0)


@pytest.mark.parametrize(("levels", "posterior"), [(0, "uniform"), (1, "gaussian"), (2, "uniform")])
def test_of_a_selfvae_the_weighted_bound_is_tighter(levels: int, posterior: str) -> None:
    model = build(3, levels=levels, posterior=posterior, u_down=0)
    ys = images(model, count=1, side=8)
    torch.manual_seed(0)
    found = bounds(model, ys, 32)
    assert list(found.rates) == [step.name for step in model.steps]
    assert found.weighted < sum(found.rates.values())
    torch.manual_seed(0)
    once = bounds(model, ys, 1)
    assert once.weighted == pytest.approx(sum(once.rates.values()))
