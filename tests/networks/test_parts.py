"""Networks' outputs part by part: each position once, with the whole's bits; of fields, and of some rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import GRAPHS, Convolutional, convolutional, exported, inputs_for, inputs_of, trained

from selfcodec.arrays import Float32
from selfcodec.networks.fields import Field, Input
from selfcodec.networks.graph import GraphBuilder
from selfcodec.networks.integer import Crops, IntegerGraph, Runtime
from selfcodec.networks.windows import Network, Windowed


def windowed(case: Convolutional, seed: int, side: int) -> Windowed:
    inputs = inputs_of(case.graph, case.sizes(16, 16), np.random.default_rng(seed))
    net = IntegerGraph(case.graph, *exported(trained(case.graph, seed, inputs=inputs)))
    return Windowed(net, max(side, Windowed(net, 1).halo // 4))


def given_inputs(net: Windowed, h: int, w: int, seed: int, edges: bool) -> tuple[list[Input], list[Float32]]:
    """Fields whose values end before the image does, and the same as whole arrays; planes are arrays."""
    rng = np.random.default_rng(seed)
    fields: list[Input] = []
    for node in net.net.graph.inputs:
        if node.op == "plane":
            fields.append(rng.integers(-400, 400, (1, node.channels, 1, 1)).astype(np.float32))
        else:
            height, width = h >> net.level(node), w >> net.level(node)
            kept = max(1, height - int(rng.integers(0, 6))), max(1, width - int(rng.integers(0, 6)))
            values = rng.integers(0, 256, (1, node.channels, *kept)).astype(np.int32)
            fields.append(Field(values, (height, width), lambda x: (x - 128).astype(np.float32), edges=edges))
    return fields, [x.whole() if isinstance(x, Field) else x for x in fields]


@given(convolutional(), st.integers(1, 40), st.integers(0, 2**16), st.booleans(), st.data())
@settings(max_examples=40, deadline=None)
def test_parts_cover_the_wanted_rows_once_with_the_whole_s_bits(
    case: Convolutional, side: int, seed: int, edges: bool, data: st.DataObject
) -> None:
    net = windowed(case, seed, side)
    h, w = (net.stride * data.draw(st.integers(1, 3)) + 2 * net.side + 2 * net.halo for _ in range(2))
    fields, arrays = given_inputs(net, h, w, seed, edges)
    whole = net.net.floats(*arrays)
    level = net.level(net.net.graph.output)
    step = net.stride >> level
    low = step * data.draw(st.integers(0, whole.shape[2] // step - 1))
    high = low + step * data.draw(st.integers(1, (whole.shape[2] - low) // step))
    for rows, wanted in (((low, high), (low, high)), (None, (0, whole.shape[2]))):
        times, found = np.zeros(whole.shape[2:]), np.zeros_like(whole)
        for (top, bottom), (left, right), part in net.parts(*fields, rows=rows):
            times[top:bottom, left:right] += 1
            found[:, :, top:bottom, left:right] = part
        assert (times[slice(*wanted)] == 1).all()
        assert times.sum() == (wanted[1] - wanted[0]) * whole.shape[3]
        assert np.array_equal(found[:, :, slice(*wanted)], whole[:, :, slice(*wanted)])
    assert np.array_equal(net(*fields), whole)


def test_rows_need_no_more_than_their_windows() -> None:
    """Of a large image a few rows are computed from what they depend on."""
    b = GraphBuilder()
    b.conv(b.conv(b.latent(2), 3, 3), 3, 3)
    net = windowed(Convolutional(b.build(), (0,)), 1, 16)
    seen: list[int] = []
    floats = net.net.floats

    def counted(*inputs: Float32, crops: Crops | None = None) -> Float32:
        seen.append(inputs[0].shape[2])
        return floats(*inputs, crops=crops)

    net.net.floats = counted  # type: ignore[method-assign]
    list(net.parts(np.zeros((1, 2, 400, 8), dtype=np.float32), rows=(100, 110)))
    assert seen == [10 + 2 * net.halo]


@pytest.mark.parametrize("name", ["densenet encoder", "residual encoder"])
def test_networks_that_pool_give_rows_of_the_whole(name: str) -> None:
    graph = GRAPHS[name]
    inputs = inputs_for(graph, 3)
    net = Network(IntegerGraph(graph, *exported(trained(graph, 2))))
    arrays = [x.astype(np.float32) for x in inputs]
    whole = net.floats(*arrays, runtime=Runtime())
    ((rows, columns, part),) = net.parts(*arrays, runtime=Runtime(), rows=(1, 3))
    assert (rows, columns) == ((1, 3), (0, whole.shape[3]))
    assert np.array_equal(part, whole[:, :, 1:3])


def test_whether_a_network_takes_a_plane() -> None:
    found = []
    for planes in (0, 1):
        b = GraphBuilder()
        b.conv(b.concat(b.latent(2), *(b.plane(1) for _ in range(planes))), 2, 1)
        graph = b.build()
        found.append(Network(IntegerGraph(graph, *exported(trained(graph, 1)))).planes)
    assert found == [False, True]
