"""Integer networks against a direct int64 evaluation and the float network that trains them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import slow_network
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import (
    GRAPHS,
    RUNTIMES,
    Convolutional,
    convolutional,
    exported,
    inputs_for,
    inputs_of,
    run,
    trained,
)
from torch import Tensor

from selfcodec.errors import ModelError
from selfcodec.models.layers import FloatGraph
from selfcodec.networks.graph import GraphBuilder
from selfcodec.networks.integer import IntegerGraph, prove_exact


@pytest.mark.parametrize(("outliers", "fraction"), [(0, 7), (1, 4), (3000, 3)])
def test_formats_spare_precision_from_rare_outliers(outliers: int, fraction: int) -> None:
    """Values up to 6 of 65,536, and some of 100: a single one may be clamped to 64, many may not."""
    b = GraphBuilder()
    b.conv(b.conv(b.latent(1), 1, 1), 1, 1)
    net = FloatGraph(b.build())
    hidden = net.graph.nodes[1]
    net.set_weights(hidden, torch.ones(1, 1, 1, 1), torch.zeros(1))
    x = torch.linspace(-6, 6, 65536)
    x[:outliers] = 100
    net.observe(True)
    net(x.view(1, 1, 256, 256))
    net.observe(False)
    net.calibrate()
    assert net.formats[hidden.name] == fraction


@pytest.mark.parametrize("name", GRAPHS)
def test_networks_equal_the_int64_evaluation(name: str) -> None:
    graph = GRAPHS[name]
    net = trained(graph, seed=len(name))
    formats, tensors = exported(net)
    integer = IntegerGraph(graph, formats, tensors)
    for seed in range(2):
        inputs = inputs_for(graph, seed)
        expected = slow_network.run(graph, formats, tensors, inputs)
        assert np.abs(expected).max() > 0
        for runtime in RUNTIMES:
            assert (run(integer, inputs, runtime) == expected).all()


def one_node(op: str) -> Iterator[tuple[str, Callable[[GraphBuilder], str]]]:
    """Small graphs around one operation, in every variant of it."""
    for activation in ("none", "relu", "leaky"):
        for kernel, stride in ((1, 1), (3, 1), (3, 2), (5, 1), (7, 2)):
            yield (
                f"conv {kernel} {stride} {activation}",
                lambda b, k=kernel, s=stride, a=activation: b.conv(b.pixels(3), 4, k, s, a),
            )
        yield f"deconv {activation}", lambda b, a=activation: b.deconv(b.latent(3), 4, a)
        yield f"add {activation}", lambda b, a=activation: b.add(b.latent(3), b.pixels(3), a)
    yield "concat", lambda b: b.concat(b.latent(3), b.pixels(2))
    yield "concat of a plane", lambda b: b.concat(b.plane(2), b.latent(3), b.plane(1), b.pixels(2))
    yield "fold", lambda b: b.fold(b.latent(3))
    yield "unfold", lambda b: b.unfold(b.latent(8))
    yield "elu", lambda b: b.elu(b.latent(3))
    yield "sigmoid", lambda b: b.sigmoid(b.latent(3))
    yield "mean", lambda b: b.mean(b.latent(3))
    yield "scale", lambda b: b.scale(b.latent(3), b.sigmoid(b.mean(b.latent(3))))


OPERATIONS = dict(one_node(""))


@pytest.mark.parametrize("size", [(8, 8), (6, 10)])
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_equals_the_int64_evaluation(name: str, size: tuple[int, int]) -> None:
    builder = GraphBuilder()
    middle = OPERATIONS[name](builder)
    builder.conv(middle, 5, 1)
    graph = builder.build()
    rng = np.random.default_rng(sum(name.encode()))
    sides = [(1, 1) if node.op == "plane" else size for node in graph.inputs]
    inputs = [rng.integers(-1200, 1201, (2, node.channels, *s)) for node, s in zip(graph.inputs, sides, strict=True)]
    formats, tensors = exported(trained(graph, seed=3))
    net = IntegerGraph(graph, formats, tensors)
    expected = slow_network.run(graph, formats, tensors, inputs)
    for runtime in RUNTIMES:
        assert (run(net, inputs, runtime) == expected).all()


@given(
    st.lists(st.integers(-3, 12), min_size=5, max_size=5),
    st.lists(st.integers(-6, 14), min_size=4, max_size=4),
    st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None)
def test_any_formats_and_exponents(fractions: list[int], exponents: list[int], seed: int) -> None:
    builder = GraphBuilder()
    x = builder.latent(2)
    a, b = builder.conv(x, 4, 1, activation="leaky"), builder.conv(x, 4, 3)
    builder.conv(builder.add(a, b, "leaky"), 4, 1)
    graph = builder.build()
    formats = dict(zip((node.name for node in graph.nodes), fractions, strict=True))
    rng = np.random.default_rng(seed)
    tensors = {}
    for node in graph.nodes:
        if node.op == "conv":
            source = 2 if node.inputs[0] == x else 4
            weight = rng.integers(-127, 128, (4, source, node.kernel, node.kernel))
            tensors[f"{node.name}.weight"] = torch.from_numpy(weight).to(torch.int8)
            tensors[f"{node.name}.bias"] = torch.from_numpy(rng.integers(-(2**20), 2**20, 4)).to(torch.int32)
            tensors[f"{node.name}.exponent"] = torch.tensor(exponents, dtype=torch.int8)
    inputs = [rng.integers(-1023, 1024, (1, 2, 4, 4))]
    expected = slow_network.run(graph, formats, tensors, inputs)
    assert (run(IntegerGraph(graph, formats, tensors), inputs) == expected).all()


@given(convolutional(), st.integers(0, 2**16))
@settings(max_examples=30, deadline=None)
def test_random_networks_equal_the_int64_evaluation(case: Convolutional, seed: int) -> None:
    inputs = inputs_of(case.graph, case.sizes(8, 16), np.random.default_rng(seed))
    formats, tensors = exported(trained(case.graph, seed, inputs=inputs))
    net = IntegerGraph(case.graph, formats, tensors)
    assert (run(net, inputs) == slow_network.run(case.graph, formats, tensors, inputs)).all()


@given(convolutional(tables=False), st.integers(0, 2**16))
@settings(max_examples=60, deadline=None)
def test_random_rounding_networks_compute_the_integer_networks(case: Convolutional, seed: int) -> None:
    """Exactly, in the units of the output; what a table holds is another test's."""
    inputs = inputs_of(case.graph, case.sizes(16, 8), np.random.default_rng(seed))
    net = trained(case.graph, seed, inputs=inputs)
    with torch.no_grad():
        found = net(*(torch.from_numpy(x).float() / 64 for x in inputs)).double().numpy() * 1024
    assert (found == run(IntegerGraph(case.graph, *exported(net)), inputs)).all()


def test_unfold_is_torch_s_pixel_shuffle_and_inverts_fold() -> None:
    b = GraphBuilder()
    x = b.latent(8)
    b.fold(b.unfold(x))
    graph = b.build()
    net = IntegerGraph(graph, dict.fromkeys(graph.limits(), 6), {})
    values = torch.arange(8 * 6 * 4).view(1, 8, 6, 4).float()
    assert torch.equal(net.floats(values, runtime=RUNTIMES[0]), values)
    b = GraphBuilder()
    b.unfold(b.latent(8))
    net = IntegerGraph(b.build(), {"0.latent": 6, "1.unfold": 6}, {})
    assert torch.equal(net.floats(values, runtime=RUNTIMES[0]), torch.pixel_shuffle(values, 2))


def test_what_the_output_moves_is_as_large_and_as_fine_as_the_output() -> None:
    """A last convolution may write four positions' values as channels, which are unfolded."""
    b = GraphBuilder()
    hidden = b.conv(b.latent(1), 4, 1)
    last = b.conv(hidden, 8, 1)
    b.unfold(last)
    net = trained(b.build(), seed=5)
    assert net.graph.limits()[last] == 2**14 - 1
    assert net.graph.limits()[hidden] == 2**10 - 1
    assert net.formats[last] == net.formats[net.graph.output.name] == 10


def test_a_plane_trains_with_the_format_of_inputs() -> None:
    """All that a plane is joined with has its format, and its gradient is the sum over positions."""
    b = GraphBuilder()
    plane, hidden = b.plane(1), b.conv(b.latent(1), 2, 1)
    both = b.concat(hidden, plane)
    out = b.conv(both, 1, 1)
    net = trained(b.build(), seed=6)
    assert net.formats[plane] == net.formats[hidden] == net.formats[both] == 6
    quality = torch.ones(1, 1, 1, 1, requires_grad=True)
    net(quality, torch.zeros(1, 1, 4, 6)).sum().backward()
    formats, tensors = exported(net)
    weight, _ = IntegerGraph(net.graph, formats, tensors).real(out)
    assert quality.grad is not None
    assert quality.grad.item() == pytest.approx(24 * weight[0, 2].item())


@pytest.mark.parametrize("name", GRAPHS)
def test_rounding_float_network_computes_the_integer_network(name: str) -> None:
    """Exactly; with channel attention to within one unit, since its mean is a float sum in training."""
    graph = GRAPHS[name]
    net = trained(graph, seed=7)
    formats, tensors = exported(net)
    integer = IntegerGraph(graph, formats, tensors)
    for seed in range(3):
        inputs = inputs_for(graph, seed)
        with torch.no_grad():
            found = net(*(torch.from_numpy(x).float() / 64 for x in inputs)).double().numpy() * 1024
        difference = np.abs(found - run(integer, inputs)).max()
        assert difference <= (1 if name.startswith("densenet") else 0)


@pytest.mark.parametrize("name", ["residual trunk", "densenet trunk", "densenet encoder"])
def test_rounding_costs_little(name: str) -> None:
    """The integer network approximates the network before rounding: within a few per cent of its deviation."""
    graph = GRAPHS[name]
    net = trained(graph, seed=2)
    integer = IntegerGraph(graph, *exported(net))
    net.formats = {}
    inputs = inputs_for(graph, 5)
    with torch.no_grad():
        real = net(*(torch.from_numpy(x).float() / 64 for x in inputs)).numpy()
    assert np.abs(run(integer, inputs) / 1024 - real).mean() < 0.05 * real.std()


@pytest.mark.parametrize("count", [1, 15, 16, 17, 40])
@pytest.mark.parametrize("mkldnn", [True, False])
def test_sixteen_images_and_more_go_through_no_inexact_kernel(count: int, mkldnn: bool) -> None:
    """Without oneDNN, PyTorch would choose NNPACK's Winograd and FFT convolutions from 16 images on."""
    builder = GraphBuilder()
    x = builder.conv(builder.latent(16), 16, 3, activation="leaky")
    x = builder.conv(builder.conv(x, 16, 5), 16, 1)
    builder.conv(x, 16, 3)
    net = trained(builder.build(), seed=4)
    integer = IntegerGraph(net.graph, *exported(net))
    inputs = [np.random.default_rng(count).integers(-1023, 1024, (count, 16, 12, 12))]
    torch.backends.nnpack.set_flags(True)
    before = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(mkldnn)
    try:
        found = run(integer, inputs)
    finally:
        torch._C._set_mkldnn_enabled(before)
    one_by_one = [run(integer, [inputs[0][i : i + 1]]) for i in range(count)]
    assert (found == np.concatenate(one_by_one)).all()


@pytest.mark.parametrize("name", GRAPHS)
def test_a_caller_s_autocast_changes_nothing(name: str) -> None:
    net = trained(GRAPHS[name], seed=4)
    integer = IntegerGraph(net.graph, *exported(net))
    inputs = inputs_for(net.graph, 5)
    expected = run(integer, inputs)
    with torch.autocast("cpu", torch.bfloat16):
        assert (run(integer, inputs) == expected).all()


def test_a_process_that_convolves_inexactly_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    net = trained(GRAPHS["residual head"], seed=4)
    integer = IntegerGraph(net.graph, *exported(net))
    convolve = torch.nn.functional.conv2d

    def half(x: Tensor, weight: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return convolve(x.bfloat16().float() if x.dtype is torch.float32 else x, weight, *args, **kwargs)

    prove_exact.cache_clear()
    monkeypatch.setattr(torch.nn.functional, "conv2d", half)
    with pytest.raises(ModelError, match="not exact on cpu"):
        run(integer, inputs_for(net.graph, 5))
    monkeypatch.undo()
    run(integer, inputs_for(net.graph, 5))
