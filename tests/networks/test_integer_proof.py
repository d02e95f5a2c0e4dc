"""The overflow proof of integer networks, and the malformed ones that they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from random_networks import exported, run, trained

from selfcodec.arrays import Integers
from selfcodec.errors import ModelError
from selfcodec.fixed_point import EXACT_LIMIT, PARAM_MAX
from selfcodec.networks.graph import Graph, GraphBuilder, Node
from selfcodec.networks.integer import IntegerGraph
from selfcodec.networks.windows import Windowed

# The proof.


def single_conv(weight: int, bias: int, channels: int = 64, limit_op: str = "latent") -> IntegerGraph:
    """A 3 x 3 convolution of `channels` whose integer weights are all the same."""
    builder = GraphBuilder()
    x = builder.latent(channels) if limit_op == "latent" else builder.pixels(channels)
    name = builder.conv(x, 1)
    tensors = {
        f"{name}.weight": np.full((1, channels, 3, 3), weight, dtype=np.int8),
        f"{name}.bias": np.full((1,), bias, dtype=np.int32),
        f"{name}.exponent": np.zeros(1, dtype=np.int8),
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
        f"{name}.weight": np.full((16, 2, 4, 4), 127, dtype=np.int8),
        f"{name}.bias": np.zeros(2, dtype=np.int32),
        f"{name}.exponent": np.zeros(2, dtype=np.int8),
    }
    with pytest.raises(ModelError, match=r"2\*\*24"):
        IntegerGraph(builder.build(), {x: 6, name: 10}, tensors)


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


# Malformed networks.

Change = Callable[[dict[str, Integers]], object]
BROKEN: dict[str, tuple[str, Change]] = {
    "a weight is missing": ("lacks tensor", lambda t: t.pop("1.conv.weight")),
    "a bias is missing": ("lacks tensor", lambda t: t.pop("1.conv.bias")),
    "an exponent is missing": ("lacks tensor", lambda t: t.pop("1.conv.exponent")),
    "a table is missing": ("lacks tensor", lambda t: t.pop("2.elu.table")),
    "too many input channels": ("weight", lambda t: t.update({"1.conv.weight": np.zeros((4, 3, 3, 3), dtype=np.int8)})),
    "too few output channels": ("weight", lambda t: t.update({"1.conv.weight": np.zeros((3, 2, 3, 3), dtype=np.int8)})),
    "another kernel": ("weight", lambda t: t.update({"1.conv.weight": np.zeros((4, 2, 5, 5), dtype=np.int8)})),
    "real weights": ("weight", lambda t: t.update({"1.conv.weight": np.full((4, 2, 3, 3), 0.5)})),
    "wide weights": ("weight", lambda t: t.update({"1.conv.weight": np.zeros((4, 2, 3, 3), dtype=np.int32)})),
    "a long bias": ("bias", lambda t: t.update({"1.conv.bias": np.zeros((5), dtype=np.int32)})),
    "a real bias": ("bias", lambda t: t.update({"1.conv.bias": np.full((4), 0.5)})),
    "a short exponent": ("exponent", lambda t: t.update({"1.conv.exponent": np.zeros((1), dtype=np.int8)})),
    "a real exponent": ("exponent", lambda t: t.update({"1.conv.exponent": np.full((4), 0.5)})),
    "a huge exponent": ("exponent", lambda t: t.update({"1.conv.exponent": np.full((4,), 127, dtype=np.int8)})),
    "a short table": ("table", lambda t: t.update({"2.elu.table": np.zeros((2046), dtype=np.int16)})),
    "a real table": ("table", lambda t: t.update({"2.elu.table": np.full((2047), 0.5)})),
    "values beyond the proof": ("table", lambda t: t.update({"2.elu.table": np.full((2047,), 1024, dtype=np.int16)})),
}


def elu_graph() -> tuple[Graph, dict[str, int], dict[str, Integers]]:
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


@pytest.mark.parametrize("op", ["concat", "fold", "unfold"])
def test_nodes_that_only_move_values_need_one_format(op: str) -> None:
    builder = GraphBuilder()
    a, b = builder.latent(4), builder.latent(1)
    name = builder.concat(a, b) if op == "concat" else builder.fold(a) if op == "fold" else builder.unfold(a)
    with pytest.raises(ModelError, match="different formats"):
        IntegerGraph(builder.build(), {a: 6, b: 5, name: 5}, {})


def test_a_plane_needs_the_format_of_what_it_is_joined_with() -> None:
    builder = GraphBuilder()
    a, b = builder.plane(1), builder.latent(1)
    name = builder.concat(a, b)
    with pytest.raises(ModelError, match="different formats"):
        IntegerGraph(builder.build(), {a: 5, b: 6, name: 6}, {})


@pytest.mark.parametrize("reader", ["conv", "add", "elu", "mean", "scale", "fold", "concat"])
def test_only_concat_reads_planes_and_not_planes_alone(reader: str) -> None:
    builder = GraphBuilder()
    x, plane = builder.latent(1), builder.plane(1)
    nodes = {
        "conv": lambda: builder.conv(plane, 1),
        "add": lambda: builder.add(x, plane),
        "elu": lambda: builder.elu(plane),
        "mean": lambda: builder.mean(plane),
        "scale": lambda: builder.scale(x, plane),
        "fold": lambda: builder.fold(plane),
        "concat": lambda: builder.concat(plane, plane),
    }
    nodes[reader]()
    with pytest.raises(ModelError, match="a plane may only"):
        builder.build()


@pytest.mark.parametrize("kind", ["plane", "latent", "pixels"])
def test_an_input_is_no_output(kind: str) -> None:
    builder = GraphBuilder()
    builder.conv(builder.latent(1), 1)
    getattr(builder, kind)(1)
    with pytest.raises(ModelError, match=f"output is an input, {kind}"):
        builder.build()


@pytest.mark.parametrize(("channels", "count"), [(3, 1), (2, 2), (2, 0)])
def test_inputs_are_those_that_a_network_takes(channels: int, count: int) -> None:
    builder = GraphBuilder()
    builder.conv(builder.latent(2), 1)
    graph = builder.build()
    net = IntegerGraph(graph, *exported(trained(graph, 0)))
    given = [np.zeros((1, channels, 4, 4), dtype=np.float32)] * count
    for executor in (net, Windowed(net, 4)):
        with pytest.raises(ModelError, match=r"takes inputs of \[2\] channels, not of"):
            executor(*given)


@pytest.mark.parametrize(
    ("op", "inputs"), [("conv", 0), ("conv", 2), ("add", 1), ("add", 3), ("scale", 1), ("elu", 2), ("concat", 0)]
)
def test_a_node_has_as_many_inputs_as_its_operation_takes(op: str, inputs: int) -> None:
    source = Node("0.latent", "latent", (), 6)
    with pytest.raises(ModelError, match=f"{op} has {inputs} inputs"):
        Graph((source, Node("1", op, (source.name,) * inputs, 6)))
    with pytest.raises(ModelError, match="latent has 1 inputs"):
        Graph((source, Node("1", "latent", (source.name,), 6)))


@pytest.mark.parametrize("op", ["add", "scale", "elu", "sigmoid", "mean"])
@pytest.mark.parametrize("channels", [5, 7])
def test_a_node_keeps_its_inputs_channels(op: str, channels: int) -> None:
    source = Node("0.latent", "latent", (), 6)
    count = 2 if op in ("add", "scale") else 1
    with pytest.raises(ModelError, match=f"{op} of other channels than its {channels}"):
        Graph((source, Node("1", op, (source.name,) * count, channels)))


@pytest.mark.parametrize("bits", [25, -25, 300, 6.0, True])
def test_fraction_bits_are_few_whole_numbers(bits: Any) -> None:
    builder = GraphBuilder()
    source = builder.latent(1)
    total = builder.add(source, source)
    with pytest.raises(ModelError, match="not whole numbers of at most 24 bits"):
        IntegerGraph(builder.build(), {source: bits, total: 10}, {})


@pytest.mark.parametrize(
    ("op", "channels"), [("concat", 5), ("concat", 7), ("fold", 4), ("fold", 5), ("unfold", 2), ("unfold", 1)]
)
def test_folding_conserves_the_number_of_values(op: str, channels: int) -> None:
    source = Node("0.latent", "latent", (), 6)
    with pytest.raises(ModelError, match=f"6 channels do not {op} to {channels}"):
        Graph((source, Node("1", op, (source.name,), channels)))
