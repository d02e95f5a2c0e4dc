"""Priors of u: flows invert, their log-determinants are the Jacobian's, densities integrate to one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tiny_selfvae import NETWORKS
from torch import Tensor

from selfcodec.arrays import Float32, Int64
from selfcodec.models.config import GaussianPriorConfig, MixturePriorConfig, PriorConfig, RealNVPConfig
from selfcodec.models.distributions import gaussian_log_prob
from selfcodec.models.export import export_network
from selfcodec.models.layers import FloatGraph
from selfcodec.models.networks import Style
from selfcodec.models.priors import MixturePrior, Prior, RealNVP, build_prior
from selfcodec.networks import flow
from selfcodec.networks.integer import IntegerGraph, Runtime
from selfcodec.networks.windows import Network

KINDS = ["gaussian", "mog", "realnvp"]
STYLE = Style("residual", width=6, blocks=1)


def prior(kind: str, seed: int = 0, channels: int = 4, layers: int = 3, network: str = "residual") -> Prior:
    """A prior with parameters far from their initial values, in float64."""
    torch.manual_seed(seed)
    configs: dict[str, PriorConfig] = {
        "gaussian": GaussianPriorConfig(),
        "mog": MixturePriorConfig(mixtures=3),
        "realnvp": RealNVPConfig(layers=layers, width=6),
    }
    built = build_prior(configs[kind], channels, NETWORKS[network], weight_norm=network == "densenet")
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return built.double()


@pytest.mark.parametrize("network", ["residual", "densenet"])
@pytest.mark.parametrize("layers", [1, 2, 5])
def test_realnvp_inverts(layers: int, network: str) -> None:
    built = prior("realnvp", layers, layers=layers, network=network)
    v = 3 * torch.randn(2, 4, 3, 5, dtype=torch.float64)
    u = built.forward_map(v)
    assert not torch.allclose(u, v)
    torch.testing.assert_close(built.inverse_map(u)[0], v, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(built.forward_map(built.inverse_map(v)[0]), v, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_realnvp_log_determinant_is_the_jacobian_s(layers: int) -> None:
    built = prior("realnvp", layers, layers=layers)
    u = torch.randn(2, 4, 2, 3, dtype=torch.float64)
    _, log_det = built.inverse_map(u)
    for image in range(2):
        jacobian = torch.autograd.functional.jacobian(
            lambda flat: built.inverse_map(flat.view(1, 4, 2, 3))[0].flatten(), u[image].flatten()
        )
        assert isinstance(jacobian, Tensor)
        assert torch.linalg.slogdet(jacobian).logabsdet.item() == pytest.approx(log_det[image].item(), abs=1e-8)


def test_realnvp_reaches_every_channel() -> None:
    """After two layers every output depends on its input and on some of the other half."""
    built = prior("realnvp", layers=2)
    jacobian = torch.autograd.functional.jacobian(
        lambda flat: built.forward_map(flat.view(1, 4, 1, 1)).flatten(), torch.randn(4, dtype=torch.float64)
    )
    assert isinstance(jacobian, Tensor)
    assert ((jacobian.abs() > 1e-9).sum(1) >= 2).sum() >= 3


def test_realnvp_s_scales_are_bounded() -> None:
    built = prior("realnvp", layers=1)
    v = torch.full((1, 4, 1, 1), 1e4, dtype=torch.float64)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.mul_(1e3)
    jacobian = torch.autograd.functional.jacobian(
        lambda flat: built.forward_map(flat.view(1, 4, 1, 1)).flatten(), v.flatten()
    )
    assert isinstance(jacobian, Tensor)
    assert abs(torch.linalg.slogdet(jacobian).logabsdet.item()) <= 2 * 2 + 1e-9


def test_an_odd_number_of_channels_is_refused() -> None:
    with pytest.raises(ValueError, match="even"):
        RealNVP(3, STYLE, 2, weight_norm=False)


@pytest.mark.parametrize("width", [None, 0.125])
@pytest.mark.parametrize("kind", ["gaussian", "mog"])
def test_base_densities_integrate_to_one(kind: str, width: float | None) -> None:
    """Over every channel; bins as many as there are between the ends."""
    built = prior(kind)
    step = 0.01 if width is None else width
    v = torch.arange(-40, 40, step, dtype=torch.float64)
    log_prob = built.density_log_prob(
        v[:, None, None, None].expand(-1, 4, 1, 1), None if width is None else torch.tensor(width)
    )
    total = log_prob.exp().sum(0).flatten() * (step if width is None else 1)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=1e-4, atol=1e-4)


def test_realnvp_density_integrates_to_one() -> None:
    built = prior("realnvp", 3, channels=2, layers=2)
    axis = torch.linspace(-12, 12, 241, dtype=torch.float64)
    u = torch.cartesian_prod(axis, axis).view(-1, 2, 1, 1)
    with torch.no_grad():
        total = built.log_prob(u).exp().sum() * (axis[1] - axis[0]) ** 2
    assert total.item() == pytest.approx(1, abs=2e-3)


def test_log_prob_of_the_standard_gaussian() -> None:
    u = torch.randn(3, 4, 2, 2, dtype=torch.float64)
    zero = torch.zeros_like(u)
    torch.testing.assert_close(prior("gaussian").log_prob(u), gaussian_log_prob(u, zero, zero).sum((1, 2, 3)))


def test_log_prob_of_a_mixture() -> None:
    built = prior("mog")
    assert isinstance(built, MixturePrior)
    u = torch.randn(3, 4, 2, 2, dtype=torch.float64)
    expected = torch.zeros(3, dtype=torch.float64)
    weight = torch.softmax(built.logits, 0)
    for c in range(4):
        parts = [torch.distributions.Normal(built.means[m, c], built.log_scales[m, c].exp()) for m in range(3)]
        density = torch.stack([weight[m, c] * part.log_prob(u[:, c]).exp() for m, part in enumerate(parts)]).sum(0)
        expected += density.log().sum((1, 2))
    torch.testing.assert_close(built.log_prob(u), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_log_prob_has_gradients_and_one_number_an_image(kind: str) -> None:
    built = prior(kind)
    u = torch.randn(5, 4, 2, 3, dtype=torch.float64, requires_grad=True)
    log_prob = built.log_prob(u)
    assert log_prob.shape == (5,)
    log_prob.sum().backward()
    assert u.grad is not None
    assert torch.isfinite(u.grad).all()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in built.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_samples_follow_the_base(kind: str) -> None:
    torch.manual_seed(1)
    built = prior(kind)
    logits, means, log_scales = (p.double() for p in built.components())
    v = built.sample_density((4000, 4, 2, 2), torch.device("cpu")).double()
    weight = torch.softmax(logits, 0)
    mean = (weight * means).sum(0)
    variance = (weight * (log_scales.exp() ** 2 + means**2)).sum(0) - mean**2
    torch.testing.assert_close(v.mean((0, 2, 3)), mean, rtol=0, atol=0.05)
    torch.testing.assert_close(v.var((0, 2, 3)), variance, rtol=0.06, atol=0)


# The codec's flow, in integers.


def integer_couplings(seed: int, layers: int, channels: int) -> tuple[RealNVP, list[Network]]:
    """A flow whose networks round, and the integer networks that they are exported to."""
    torch.manual_seed(seed)
    built = RealNVP(channels, STYLE, layers, weight_norm=False)
    nets = [layer for layer in built.couplings if isinstance(layer, FloatGraph)]
    with torch.no_grad():
        for net in nets:
            for parameter in net.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
            net.observe(True)
            net(2 * torch.randn(16, channels // 2, 5, 5))
            net.observe(False)
            net.calibrate()
    exported = []
    for net in nets:
        _, tensors = export_network("f", net)
        own = {key.removeprefix("f/"): tensor for key, tensor in tensors.items()}
        exported.append(Network(IntegerGraph(net.graph, net.formats, own)))
    return built, exported


@pytest.mark.parametrize("layers", [0, 1, 4])
def test_integer_flow_inverts_to_within_a_few_units(layers: int) -> None:
    """u = f(v) for the v that an encoder would send for u; a unit is 2**-12."""
    _, couplings = integer_couplings(layers, layers, 6)
    generator = torch.Generator().manual_seed(0)
    u = torch.round(2 * 4096 * torch.randn(3, 6, 5, 5, generator=generator)).long().numpy()
    v = flow.inverse_map(u, couplings, Runtime())
    assert v.dtype == np.int64
    back = flow.forward_map(v, couplings, Runtime())
    assert layers == 0 or not np.array_equal(u, v)
    error = np.abs(back - u)
    # One layer errs by exp(2) units; where halves that later layers see cross a rounding boundary of their networks'
    # inputs, which lie 64 units apart, the error grows to that order.
    assert error.max() <= (0, 8, 0, 0, 2048)[layers]
    assert error.mean() <= (0, 2, 0, 0, 256)[layers]


@pytest.mark.parametrize("layers", [1, 4])
def test_integer_flow_is_the_float_flow(layers: int) -> None:
    """Float couplings with rounding on: the difference is exp by table and the halves' input rounding."""
    built, couplings = integer_couplings(layers, layers, 6)
    v = torch.round(4096 * torch.randn(3, 6, 5, 5)).long()
    with torch.no_grad():
        expected = built.forward_map(v.float() / 4096)
    found = flow.forward_map(v.numpy(), couplings, Runtime()) / 4096
    assert np.abs(found - expected.numpy()).mean() < 0.02 * layers
    assert np.corrcoef(found.flatten(), expected.flatten())[0, 1] > 0.999


def test_integer_flow_stays_in_range() -> None:
    _, couplings = integer_couplings(0, 3, 6)
    v = np.full((1, 6, 2, 2), flow.LIMIT)
    for sign in (1, -1):
        for mapped in (flow.forward_map, flow.inverse_map):
            assert np.abs(mapped(sign * v, couplings, Runtime())).max() <= flow.LIMIT


def test_latent_input_rounds_half_up_and_clamps() -> None:
    z = np.array([-33, -32, -31, 31, 32, 33, 64 * 1023 + 32, -(2**24), 2**24])
    assert flow.latent_input(z).tolist() == [-1, 0, 0, 0, 1, 1, 1023, -1023, 1023]


def test_couplings_table_is_exp() -> None:
    zero = np.zeros((1, 1, 1, 1), dtype=np.int64)

    class Constant:
        def __init__(self, s: float) -> None:
            self.s = s

        def __call__(self, a: Float32, runtime: Runtime) -> Int64:
            return np.concatenate([np.full_like(a, round(self.s * 1024)), np.zeros_like(a)], 1).astype(np.int64)

    for s in (-5.0, -2.0, -0.5, 0.0, 1.25, 2.0, 5.0):
        scale, shift = flow._scale_shift(Constant(s), zero, Runtime())  # type: ignore[arg-type]
        assert scale.item() / 65536 == pytest.approx(math.exp(min(2, max(-2, s))), rel=1e-4)
        assert shift.item() == 0
