"""Networks on real numbers: what integers compute but for rounding, and what the trainer's networks compute."""

from __future__ import annotations

import numpy as np
import pytest
import slow_network
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_networks import Convolutional, convolutional, exported, inputs_of, trained

from selfcodec.fixed_point import PARAM_FRACTION, PARAM_MAX
from selfcodec.models.layers import FloatGraph
from selfcodec.networks.graph import Graph, GraphBuilder
from selfcodec.networks.integer import IntegerGraph
from selfcodec.networks.real import RealGraph


def pair(case: Convolutional, seed: int, scale: float = 1.0) -> tuple[FloatGraph, RealGraph, list[torch.Tensor]]:
    """A network with rounded weights, the same without any rounding, and inputs."""
    inputs = inputs_of(case.graph, case.sizes(16, 16), np.random.default_rng(seed))
    net = trained(case.graph, seed, inputs=inputs)
    real = RealGraph(IntegerGraph(case.graph, *exported(net)))
    return net, real, [torch.from_numpy(x).float() * (scale / 64) for x in inputs]


@given(convolutional(), st.integers(0, 2**16))
@settings(max_examples=60, deadline=None)
def test_it_is_the_trainer_s_network_with_the_integers_weights(case: Convolutional, seed: int) -> None:
    """Weights are rounded as they are exported, and nothing else is."""
    net, real, inputs = pair(case, seed)
    unrounded = FloatGraph(case.graph)
    _, tensors = exported(net)
    for node in case.graph.nodes:
        if node.op in ("conv", "deconv"):
            exponent = torch.from_numpy(tensors[f"{node.name}.exponent"]).double()
            unit = 2.0 ** -exponent.view((1, -1, 1, 1) if node.op == "deconv" else (-1, 1, 1, 1))
            fraction = net.formats[node.inputs[0]]
            bias = torch.from_numpy(tensors[f"{node.name}.bias"]).double() * 2.0 ** (-exponent - fraction)
            unrounded.set_weights(node, (torch.from_numpy(tensors[f"{node.name}.weight"]) * unit).float(), bias.float())
    with torch.no_grad():
        expected, found = unrounded(*inputs), real(*inputs)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4)


def steps_of(graph: Graph) -> int:
    return sum(node.op not in ("pixels", "latent", "plane", "concat", "fold", "unfold") for node in graph.nodes)


@given(convolutional(tables=False), st.integers(0, 2**16))
@settings(max_examples=60, deadline=None)
def test_integers_come_near_it(case: Convolutional, seed: int) -> None:
    """Where nothing is clamped. Errors are of some roundings, which later layers spread; on average they stay small."""
    net, real, inputs = pair(case, seed, scale=0.5)
    formats, tensors = exported(net)
    integers = [np.rint(x.numpy() * 64).astype(np.int64) for x in inputs]
    rounded = [torch.from_numpy(x).float() / 64 for x in integers]
    found = slow_network.run(case.graph, formats, tensors, integers) / 2**PARAM_FRACTION
    with torch.no_grad():
        expected = real(*rounded).numpy()
    assume(np.abs(expected).max() * 2**PARAM_FRACTION <= PARAM_MAX)
    error = np.sqrt(np.square(found - expected).mean())
    assert error <= 0.02 * (1 + np.sqrt(np.square(expected).mean())) * (1 + steps_of(case.graph))


def test_without_its_rounding_it_is_smooth_and_has_gradients() -> None:
    b = GraphBuilder()
    b.conv(b.concat(b.conv(b.pixels(3), 4, 3, activation="leaky"), b.plane(1)), 2, 1)
    case = Convolutional(b.build(), (0, 0))
    _, real, inputs = pair(case, 3)
    x = inputs[0].requires_grad_()
    out = real(*inputs)
    out.sum().backward()
    assert x.grad is not None
    assert x.grad.abs().min() > 0
    with torch.no_grad():
        moved = real(inputs[0] + 1e-4 * x.grad.sign(), inputs[1])
    gained = float((moved - out.detach()).double().sum())
    assert gained == pytest.approx(1e-4 * float(x.grad.abs().sum()), rel=0.2)


def test_real_weights_are_the_integers_exactly() -> None:
    b = GraphBuilder()
    b.conv(b.deconv(b.conv(b.latent(2), 3, 3, stride=2, activation="relu"), 2), 2, 1)
    graph = b.build()
    formats, tensors = exported(trained(graph, 1))
    net = IntegerGraph(graph, formats, tensors)
    for node in graph.nodes[1:]:
        weight, bias = net.real(node.name)
        exponent = tensors[f"{node.name}.exponent"].astype(float)
        shape = (1, -1, 1, 1) if node.op == "deconv" else (-1, 1, 1, 1)
        integers = tensors[f"{node.name}.weight"].astype(float)
        assert (weight == integers * 2.0 ** -exponent.reshape(shape)).all()
        integers = tensors[f"{node.name}.bias"].astype(float)
        assert (bias == integers * 2.0 ** -(exponent + formats[node.inputs[0]])).all()
