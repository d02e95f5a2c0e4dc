"""Integer networks against a direct int64 evaluation and the float network that trains them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import slow_network
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import (
    GRAPHS,
    WAYS,
    Convolutional,
    convolutional,
    exported,
    inputs_for,
    inputs_of,
    run,
    running,
    trained,
)

from selfcodec.arrays import Float32
from selfcodec.errors import ModelError
from selfcodec.models.layers import FloatGraph
from selfcodec.networks import products
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
        for way in WAYS:
            assert (run(integer, inputs, way) == expected).all()


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
    for way in WAYS:
        assert (run(net, inputs, way) == expected).all()


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
            tensors[f"{node.name}.weight"] = weight.astype(np.int8)
            tensors[f"{node.name}.bias"] = rng.integers(-(2**20), 2**20, 4).astype(np.int32)
            tensors[f"{node.name}.exponent"] = np.array(exponents, dtype=np.int8)
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
    values = np.arange(8 * 6 * 4, dtype=np.float32).reshape(1, 8, 6, 4)
    assert (net.floats(values) == values).all()
    b = GraphBuilder()
    b.unfold(b.latent(8))
    net = IntegerGraph(b.build(), {"0.latent": 6, "1.unfold": 6}, {})
    assert (net.floats(values) == torch.pixel_shuffle(torch.from_numpy(values), 2).numpy()).all()


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


@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(1, 40), st.integers(0, 2**16))
@settings(max_examples=60, deadline=None)
def test_convolutions_are_pytorch_s(batch: int, height: int, width: int, positions: int, seed: int) -> None:
    """Two ways to the same bits: products of gathered rows here, and what trains networks."""
    rng = np.random.default_rng(seed)
    kernel, stride, threads = int(rng.choice((1, 3, 5, 7))), int(rng.integers(1, 3)), int(rng.integers(1, 4))
    x = rng.integers(-1023, 1024, (batch, 5, height, width)).astype(np.float32)
    weight, transposed = (rng.integers(-20, 21, (6, 5, k, k)).astype(np.float32) for k in (kernel, 4))
    channels_last = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    with running((threads, positions)):
        convolved = products.convolution(channels_last, weight.transpose(2, 3, 1, 0).copy(), stride, lambda sums: None)
        wider = products.deconvolution(channels_last, transposed.transpose(2, 3, 1, 0).copy(), lambda sums: None)
    tensors = [torch.from_numpy(values) for values in (x, weight, transposed.transpose(1, 0, 2, 3).copy())]
    expected = torch.nn.functional.conv2d(*tensors[:2], stride=stride, padding=kernel // 2)
    assert (convolved.transpose(0, 3, 1, 2) == expected.numpy()).all()
    expected = torch.nn.functional.conv_transpose2d(tensors[0], tensors[2], stride=2, padding=1)
    assert (wider.transpose(0, 3, 1, 2) == expected.numpy()).all()


@pytest.mark.parametrize("way", WAYS)
def test_every_sum_is_finished_once(way: tuple[int, int]) -> None:
    x = np.zeros((3, 5, 6, 2), dtype=np.float32)

    def count(sums: Float32) -> None:
        sums += 1

    with running(way):
        for found in (
            products.convolution(x, np.zeros((3, 3, 2, 4), dtype=np.float32), 2, count),
            products.deconvolution(x, np.zeros((4, 4, 2, 4), dtype=np.float32), count),
            products.combination(x, x, (1.0, 1.0), count),
        ):
            assert (found == 1).all()


def test_what_a_network_is_given_stays_as_it_is() -> None:
    net = IntegerGraph(GRAPHS["residual trunk"], *exported(trained(GRAPHS["residual trunk"], seed=4)))
    inputs = [x.astype(np.float32) for x in inputs_for(net.graph, 5)]
    before = [x.copy() for x in inputs]
    net.floats(*inputs)
    assert all((x == was).all() for x, was in zip(inputs, before, strict=True))


def test_a_process_that_multiplies_inexactly_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    net = trained(GRAPHS["residual head"], seed=4)
    integer = IntegerGraph(net.graph, *exported(net))
    multiply = np.matmul

    def half(x: Float32, matrix: Float32, out: Float32) -> Float32:
        return multiply(torch.from_numpy(x).bfloat16().float().numpy(), matrix, out=out)

    prove_exact.cache_clear()
    monkeypatch.setattr(np, "matmul", half)
    with pytest.raises(ModelError, match="not exact with"):
        run(integer, inputs_for(net.graph, 5))
    monkeypatch.undo()
    run(integer, inputs_for(net.graph, 5))
