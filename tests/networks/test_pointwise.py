"""Networks on rows of a matrix against the same networks on images, whatever their channels, integers and rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfcodec.arrays import Integers
from selfcodec.errors import ModelError
from selfcodec.fixed_point import EXACT_LIMIT
from selfcodec.networks.graph import ACTIVATIONS, Graph, GraphBuilder
from selfcodec.networks.integer import IntegerGraph
from selfcodec.networks.nodes import TILE_COLUMNS, TILE_ROWS, filled_up
from selfcodec.networks.pointwise import PointwiseNetwork
from selfcodec.networks.pointwise_loops import run

CHANNELS = st.integers(1, 2 * TILE_COLUMNS + 1)
GUARD = 4096
"""So many numbers before and after what loops may write are looked at."""


def ran(head: PointwiseNetwork, rows: npt.NDArray[np.float32], more: int = 0) -> npt.NDArray[np.float32]:
    """What comes of rows in room for `more` others, which holds large numbers, as does what lies around it."""
    outputs = np.empty((len(rows), head.outputs), dtype=np.float32)
    shape = head.nodes.room(len(rows) + more).shape
    around = np.where(np.arange(np.prod(shape) + 2 * GUARD) % 2, 32767, -32767).astype(np.int16)
    before, slots = around.copy(), around[GUARD:-GUARD].reshape(shape)
    run(head.nodes, slots, rows, outputs)
    written = np.zeros(shape, dtype=np.bool_)
    written[:, : filled_up(len(rows), TILE_ROWS) * head.nodes.width] = True
    kept = ~np.pad(written.ravel(), GUARD)
    assert (around[kept] == before[kept]).all()
    return outputs


@st.composite
def heads(draw: st.DrawFn) -> Graph:
    """Two inputs, convolutions of them, their sum, and a convolution of it."""
    b, activations, hidden = GraphBuilder(), st.sampled_from(ACTIVATIONS), draw(CHANNELS)
    inputs = [b.pixels(draw(CHANNELS)), b.latent(draw(CHANNELS))]
    first, second = (b.conv(x, hidden, 1, activation=draw(activations)) for x in inputs)
    b.conv(b.add(first, second, draw(activations)), draw(CHANNELS), 1)
    return b.build()


def integers_of(graph: Graph, rng: np.random.Generator) -> tuple[dict[str, int], dict[str, Integers]]:
    """Formats and tensors whose sums come near 2**24 here and there."""
    tensors, limits = dict[str, Integers](), graph.limits()
    channels = {node.name: node.channels for node in graph.nodes}
    for node in graph.nodes:
        if node.op == "conv":
            source = node.inputs[0]
            most = min(2047, (EXACT_LIMIT // 2) // (channels[source] * node.kernel**2 * limits[source]))
            weight = rng.integers(-most, most + 1, (node.channels, channels[source], node.kernel, node.kernel))
            tensors[f"{node.name}.weight"] = weight.astype(np.int16)
            tensors[f"{node.name}.bias"] = rng.integers(-(2**22), 2**22, node.channels).astype(np.int32)
            tensors[f"{node.name}.exponent"] = rng.integers(-2, 14, node.channels).astype(np.int8)
    return {node.name: int(rng.integers(2, 9)) for node in graph.nodes}, tensors


@given(heads(), st.integers(0, 3 * TILE_ROWS), st.integers(0, 2 * TILE_ROWS), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_rows_give_what_images_give(graph: Graph, count: int, more: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    net = IntegerGraph(graph, *integers_of(graph, rng))
    head = PointwiseNetwork(net)
    rows = [rng.integers(-1500, 1501, (count, node.channels)).astype(np.float32) for node in graph.inputs]  # and beyond
    found = ran(head, np.concatenate(rows, 1), more)
    assert found.shape == (count, head.outputs)
    if count:
        assert (found == net(*(x.T[None, :, :, None] for x in rows))[0, :, :, 0].T).all()


@pytest.mark.parametrize("channels", [1, TILE_COLUMNS])
def test_the_largest_numbers_come_out_whole(channels: int) -> None:
    """Inputs and outputs at their limits, the sums just below 2**24."""
    b = GraphBuilder()
    source = b.latent(1)
    b.conv(source, channels, 1)
    graph = b.build()
    name = graph.output.name
    for sign in (1, -1):
        tensors: dict[str, Integers] = {
            f"{name}.weight": np.full((channels, 1, 1, 1), sign * 16383, np.int16),
            f"{name}.bias": np.full(channels, sign * 17000, np.int32),
            f"{name}.exponent": np.full(channels, 6, np.int8),
        }
        net = IntegerGraph(graph, {source: 6, name: 10}, tensors)
        row = np.full((1, 1), 1023, np.float32)
        assert (ran(PointwiseNetwork(net), row) == sign * 16383).all()
        assert (net(row[:, :, None, None]) == sign * 16383).all()
    with pytest.raises(ModelError, match="sums can reach"):
        IntegerGraph(graph, {source: 6, name: 10}, tensors | {f"{name}.bias": np.full(channels, 40000, np.int32)})


def test_a_network_that_looks_around_runs_on_no_rows() -> None:
    b = GraphBuilder()
    b.conv(b.pixels(3), 4, 3)
    net = IntegerGraph(graph := b.build(), *integers_of(graph, np.random.default_rng(0)))
    with pytest.raises(ModelError, match="looks beyond its own position"):
        PointwiseNetwork(net)


def test_a_network_without_convolutions_runs_on_no_rows() -> None:
    b = GraphBuilder()
    source = b.latent(2)
    total = b.add(source, source)
    with pytest.raises(ModelError, match="has no convolution"):
        PointwiseNetwork(IntegerGraph(b.build(), {source: 6, total: 10}, {}))
