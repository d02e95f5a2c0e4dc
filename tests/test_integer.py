"""Integer networks against a direct int64 evaluation and the float network that trains them; the overflow proof."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import slow_network
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from selfcodec.errors import ModelError
from selfcodec.exact import EXACT_LIMIT, PARAM_MAX, WEIGHT_MAX, power_of_two, requantise_
from selfcodec.graph import Graph, GraphBuilder
from selfcodec.integer import IntegerGraph, Runtime, prove_exact
from selfcodec.models.export import export_network
from selfcodec.models.layers import FloatGraph, integer_weights
from selfcodec.models.networks import Style, coupling, encoder, phase_head, trunk
from selfcodec.schedule import Variable

IntArray = npt.NDArray[np.int64]
RUNTIMES = [Runtime(channels_last=True), Runtime(channels_last=False)]

RESIDUAL = Style("residual", width=6, blocks=1)
DENSENET = Style("densenet", width=8, blocks=1, growth=3, layers=2)
X, Y, U, Z = (
    Variable("x", "pixels", 3, 0),
    Variable("y1", "pixels", 3, 1),
    Variable("u", "latent", 2, 2),
    Variable("z1", "latent", 2, 1),
)


def graphs(style: Style) -> dict[str, Graph]:
    """One of every kind of network that models have."""
    return {
        "trunk": trunk(style, (Y, U), 1, 7),
        "upscaling trunk": trunk(style, (U,), 0, 5),
        "folding trunk": trunk(style, (X, Z), 1, 5),
        "encoder": encoder(style, X, 2, 4),
        "head": phase_head(style, 4, 0, 9),
        "head in context": phase_head(style, 4, 7, 9),
        "coupling": coupling(style, 3),
    }


GRAPHS = {f"{style.name} {name}": graph for style in (RESIDUAL, DENSENET) for name, graph in graphs(style).items()}


def inputs_for(graph: Graph, seed: int, side: int = 8) -> list[IntArray]:
    """Random network inputs, (2, C, h, w): a pixel variable of `side`, latents to match its scale."""
    rng = np.random.default_rng(seed)
    names = {"trunk": (side, side // 2), "upscaling trunk": (side // 4,), "folding trunk": (side, side // 2)}
    kind = next((n for n, g in GRAPHS.items() if g is graph), "").split(" ", 1)[-1]
    sides = names.get(kind, (side,) * len(graph.inputs))
    out = []
    for node, n in zip(graph.inputs, sides, strict=True):
        limit = 128 if node.op == "pixels" else 400
        out.append(rng.integers(-limit, limit, (2, node.channels, n, n)))
    return out


def trained(graph: Graph, seed: int, side: int = 8) -> FloatGraph:
    """A network with random weights and biases, and formats from what it computes."""
    torch.manual_seed(seed)
    net = FloatGraph(graph, weight_norm=False, output_scale=1.0)
    with torch.no_grad():
        for bias in net.biases.values():
            bias.normal_(0, 0.3)
        net.observe(True)
        net(*(torch.from_numpy(x).float() / 64 for x in inputs_for(graph, seed + 1000, side)))
        net.observe(False)
    net.calibrate()
    return net


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


def exported(net: FloatGraph) -> tuple[dict[str, int], dict[str, Tensor]]:
    _, tensors = export_network("n", net)
    return net.formats, {key.removeprefix("n/"): tensor for key, tensor in tensors.items()}


def run(net: IntegerGraph, inputs: list[IntArray], runtime: Runtime = RUNTIMES[0]) -> IntArray:
    return net(*(torch.from_numpy(x).float() for x in inputs), runtime=runtime).numpy()


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
    yield "fold", lambda b: b.fold(b.latent(3))
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
    inputs = [rng.integers(-1200, 1201, (2, node.channels, *size)) for node in graph.inputs]
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


# The proof.


def single_conv(weight: int, bias: int, channels: int = 64, limit_op: str = "latent") -> IntegerGraph:
    """A 3 x 3 convolution of `channels` whose integer weights are all the same."""
    builder = GraphBuilder()
    x = builder.latent(channels) if limit_op == "latent" else builder.pixels(channels)
    name = builder.conv(x, 1)
    tensors = {
        f"{name}.weight": torch.full((1, channels, 3, 3), weight, dtype=torch.int8),
        f"{name}.bias": torch.full((1,), bias, dtype=torch.int32),
        f"{name}.exponent": torch.zeros(1, dtype=torch.int8),
    }
    return IntegerGraph(builder.build(), {x: 6, name: 10}, tensors)


def test_the_proof_s_figure_is_the_largest_sum() -> None:
    net = single_conv(-20, -5)
    assert net.bounds == {"1.conv": 20 * 64 * 9 * 1023 + 5}
    worst = run(net, [np.full((1, 64, 3, 3), -1023)])
    assert worst.max() == PARAM_MAX
    assert single_conv(20, 0, limit_op="pixels").bounds == {"1.conv": 20 * 64 * 9 * 128}


def test_sums_that_could_reach_2_to_the_24_are_refused() -> None:
    exact = (EXACT_LIMIT - 1) - 28 * 64 * 9 * 1023
    assert single_conv(28, exact).bounds["1.conv"] == EXACT_LIMIT - 1
    for weight, bias in ((28, exact + 1), (-28, -exact - 1), (29, 0), (0, EXACT_LIMIT), (0, -EXACT_LIMIT)):
        with pytest.raises(ModelError, match=r"2\*\*24"):
            single_conv(weight, bias)


def test_deconvolutions_are_proven_too() -> None:
    builder = GraphBuilder()
    x = builder.latent(16)
    name = builder.deconv(x, 2)
    tensors = {
        f"{name}.weight": torch.full((16, 2, 4, 4), 127, dtype=torch.int8),
        f"{name}.bias": torch.zeros(2, dtype=torch.int32),
        f"{name}.exponent": torch.zeros(2, dtype=torch.int8),
    }
    with pytest.raises(ModelError, match=r"2\*\*24"):
        IntegerGraph(builder.build(), {x: 6, name: 10}, tensors)


Change = Callable[[dict[str, Tensor]], object]
BROKEN: dict[str, tuple[str, Change]] = {
    "a weight is missing": ("lacks tensor", lambda t: t.pop("1.conv.weight")),
    "a bias is missing": ("lacks tensor", lambda t: t.pop("1.conv.bias")),
    "an exponent is missing": ("lacks tensor", lambda t: t.pop("1.conv.exponent")),
    "a table is missing": ("lacks tensor", lambda t: t.pop("2.elu.table")),
    "too many input channels": ("weight", lambda t: t.update({"1.conv.weight": torch.zeros(4, 3, 3, 3).char()})),
    "too few output channels": ("weight", lambda t: t.update({"1.conv.weight": torch.zeros(3, 2, 3, 3).char()})),
    "another kernel": ("weight", lambda t: t.update({"1.conv.weight": torch.zeros(4, 2, 5, 5).char()})),
    "real weights": ("weight", lambda t: t.update({"1.conv.weight": torch.rand(4, 2, 3, 3)})),
    "wide weights": ("weight", lambda t: t.update({"1.conv.weight": torch.zeros(4, 2, 3, 3).int()})),
    "a long bias": ("bias", lambda t: t.update({"1.conv.bias": torch.zeros(5).int()})),
    "a real bias": ("bias", lambda t: t.update({"1.conv.bias": torch.rand(4)})),
    "a short exponent": ("exponent", lambda t: t.update({"1.conv.exponent": torch.zeros(1).char()})),
    "a real exponent": ("exponent", lambda t: t.update({"1.conv.exponent": torch.rand(4)})),
    "a huge exponent": ("exponent", lambda t: t.update({"1.conv.exponent": torch.full((4,), 127).char()})),
    "a short table": ("table", lambda t: t.update({"2.elu.table": torch.zeros(2046).short()})),
    "a real table": ("table", lambda t: t.update({"2.elu.table": torch.rand(2047)})),
    "values beyond the proof": ("table", lambda t: t.update({"2.elu.table": torch.full((2047,), 1024).short()})),
}


def elu_graph() -> tuple[Graph, dict[str, int], dict[str, Tensor]]:
    builder = GraphBuilder()
    builder.conv(builder.elu(builder.conv(builder.latent(2), 4)), 3, 1)
    graph = builder.build()
    return graph, *exported(trained(graph, seed=1))


@pytest.mark.parametrize("what", BROKEN)
def test_malformed_tensors_are_refused(what: str) -> None:
    graph, formats, tensors = elu_graph()
    IntegerGraph(graph, formats, tensors)
    match, change = BROKEN[what]
    change(tensors)
    with pytest.raises(ModelError, match=match):
        IntegerGraph(graph, formats, tensors)


def test_formats_must_be_those_of_the_nodes() -> None:
    graph, formats, tensors = elu_graph()
    for wrong in ({**formats, "9.conv": 3}, {key: formats[key] for key in list(formats)[1:]}):
        with pytest.raises(ModelError, match="formats"):
            IntegerGraph(graph, wrong, tensors)


@pytest.mark.parametrize("op", ["concat", "fold"])
def test_nodes_that_only_move_values_need_one_format(op: str) -> None:
    builder = GraphBuilder()
    a, b = builder.latent(1), builder.latent(1)
    name = builder.concat(a, b) if op == "concat" else builder.fold(a)
    with pytest.raises(ModelError, match="different formats"):
        IntegerGraph(builder.build(), {a: 6, b: 5, name: 5}, {})


def test_tables_of_the_exporter_stay_within_the_proof() -> None:
    """An ELU finer than its input would pass the limit at large inputs."""
    builder = GraphBuilder()
    x = builder.conv(builder.latent(1), 1, 1)
    middle = builder.elu(x)
    builder.conv(middle, 1, 1)
    net = trained(builder.build(), seed=0)
    net.formats.update({x: 5, middle: 8})
    formats, tensors = exported(net)
    assert tensors[f"{middle}.table"].max() == 1023
    integer = IntegerGraph(net.graph, formats, tensors)
    inputs = [np.arange(-1023, 1024).reshape(1, 1, 1, -1)]
    with torch.no_grad():
        found = net(torch.from_numpy(inputs[0]).float() / 64).double().numpy() * 1024
    assert (found == run(integer, inputs)).all()


# Its parts.


def test_power_of_two_over_its_whole_range() -> None:
    exponents = torch.arange(-126, 128)
    assert power_of_two(exponents).dtype == torch.float32
    assert power_of_two(exponents).tolist() == [2.0**e for e in range(-126, 128)]
    assert power_of_two(exponents.float()).tolist() == [2.0**e for e in range(-126, 128)]


@given(st.integers(-(2**23), 2**23), st.integers(-4, 16))
@settings(max_examples=200, deadline=None)
def test_requantise_rounds_half_up(value: int, shift: int) -> None:
    expected = math.floor(value / 2.0**shift + 0.5)
    assert requantise_(torch.tensor([float(value)]), shift, 2**30).item() == expected
    assert requantise_(torch.tensor([float(value)]), shift, 100).item() == max(-100, min(100, expected))


@given(
    st.integers(0, 2**32),
    st.floats(-12, 12),
    st.floats(-12, 12),
    st.sampled_from([1, 3]),
    st.booleans(),
    st.integers(-2, 10),
)
@settings(max_examples=80, deadline=None)
def test_integer_weights_are_proven_and_close(
    seed: int, log_weight: float, log_bias: float, kernel: int, transposed: bool, fraction: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    spread = torch.exp(torch.randn(5, generator=generator))
    weight = torch.randn(5, 7, kernel, kernel, generator=generator) * spread[:, None, None, None] * 2.0**log_weight
    bias = torch.randn(5, generator=generator) * 2.0**log_bias
    given_weight = weight.transpose(0, 1).contiguous() if transposed else weight
    integers, integer_bias, exponent, bound = integer_weights(given_weight, bias, 1023, fraction, transposed=transposed)
    rows = integers.transpose(0, 1) if transposed else integers
    assert integers.shape == given_weight.shape
    assert (integers == integers.round()).all()
    assert (integer_bias == integer_bias.round()).all()
    assert rows.abs().max() <= WEIGHT_MAX
    assert bound < EXACT_LIMIT
    assert bound == (rows.double().flatten(1).abs().sum(1) * 1023 + integer_bias.double().abs()).max()
    assert (exponent == exponent.round()).all()
    scale = 2.0 ** exponent.double()
    largest = rows.abs().flatten(1).amax(1)
    fine = (largest <= WEIGHT_MAX - 1) & (exponent < 20)
    error = (rows.double() / scale[:, None, None, None] - weight.double()).abs().flatten(1).amax(1)
    assert (error[fine] <= 0.5 / scale[fine]).all()
    bias_error = (integer_bias.double() / (scale * 2.0**fraction) - bias.double()).abs()
    assert (bias_error <= 0.5 / (scale * 2.0**fraction) + 1e-6 * bias.double().abs()).all()


def test_a_large_bias_coarsens_only_its_channel() -> None:
    weight, bias = torch.full((2, 1, 1, 1), 1.0), torch.tensor([0.0, 1e5])
    _, integer_bias, exponent, bound = integer_weights(weight, bias, 1023, 6, transposed=False)
    assert exponent[0] == 10
    assert exponent[1] < 10
    assert bound < EXACT_LIMIT
    assert integer_bias[1] / 2.0 ** (exponent[1] + 6) == pytest.approx(1e5, rel=1e-6)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    weight, bias = torch.ones(2, 1, 1, 1), torch.zeros(2)
    for broken in ((torch.full_like(weight, value), bias), (weight, torch.tensor([0.0, value]))):
        with pytest.raises(ModelError, match="finite"):
            integer_weights(*broken, 1023, 6, transposed=False)
