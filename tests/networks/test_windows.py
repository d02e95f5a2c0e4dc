"""Networks run window by window: the whole image's bits, in bounded memory, with a halo no larger than needed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import GRAPHS, Convolutional, convolutional, exported, inputs_of, trained

from selfcodec.arrays import Float32
from selfcodec.errors import InputError, ModelError
from selfcodec.models.layers import FloatGraph
from selfcodec.networks.graph import Graph, GraphBuilder, Node
from selfcodec.networks.integer import Crops, IntegerGraph
from selfcodec.networks.windows import Windowed


class Recording(IntegerGraph):
    """Remembers the most positions that an input had."""

    largest = 0

    def floats(self, *inputs: Float32, crops: Crops | None = None) -> Float32:
        self.largest = max(self.largest, *(x.shape[2] * x.shape[3] for x in inputs))
        return super().floats(*inputs, crops=crops)


def integer(case: Convolutional, seed: int) -> Recording:
    """The case's graph with random integers."""
    inputs = inputs_of(case.graph, case.sizes(16, 16), np.random.default_rng(seed + 1))
    return Recording(case.graph, *exported(trained(case.graph, seed, inputs=inputs)))


def in_windows(net: IntegerGraph, side: int) -> Windowed:
    """A network in windows of some side, or larger ones where there would be thousands of them."""
    return Windowed(net, max(side, Windowed(net, 1).halo // 4))


def arrays(windowed: Windowed, h: int, w: int, seed: int, batch: int = 1) -> list[Float32]:
    """Random inputs of an image of h x w pixels at the network's finest resolution."""
    levels = (0 if node.op == "plane" else windowed.level(node) for node in windowed.net.graph.inputs)
    found = inputs_of(windowed.net.graph, [(h >> n, w >> n) for n in levels], np.random.default_rng(seed), batch)
    return [x.astype(np.float32) for x in found]


def same_bits(a: Float32, b: Float32) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def wide_enough(windowed: Windowed, windows: int) -> int:
    """An extent that is cut into some windows, the last of them smaller where the stride allows that."""
    return windowed.side * (windows - 1) + 2 * windowed.halo + windowed.stride


@given(convolutional(), st.integers(1, 40), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2**16))
@settings(max_examples=50, deadline=None)
def test_windows_have_the_whole_s_bits(case: Convolutional, side: int, rows: int, columns: int, seed: int) -> None:
    net = integer(case, seed)
    windowed = in_windows(net, side)
    h, w = wide_enough(windowed, rows), wide_enough(windowed, columns)
    inputs = arrays(windowed, h, w, seed, batch=1 + seed % 2)
    expected = IntegerGraph.floats(net, *inputs)
    assert same_bits(windowed(*inputs), expected)
    assert net.largest <= (windowed.side + 2 * windowed.halo) ** 2


@pytest.mark.parametrize("name", ["residual encoder", "residual trunk", "residual head"])
def test_an_output_of_nothing_but_zeros_is_not_computed(name: str) -> None:
    graph = GRAPHS[name]
    formats, tensors = exported(trained(graph, 3))
    weight = f"{graph.output.name}.weight"
    net = Recording(graph, formats, {**tensors, weight: np.zeros_like(tensors[weight])})
    windowed = in_windows(net, 8)
    inputs = arrays(windowed, *[wide_enough(windowed, 2)] * 2, seed=5, batch=2)
    found = windowed(*inputs)
    assert net.largest == 0
    assert same_bits(found, np.ascontiguousarray(net.floats(*inputs)))
    assert (found[0] == found[:1, :, :1, :1]).all()
    assert found.flags.writeable
    assert IntegerGraph(graph, formats, tensors).constant is None


@given(convolutional(), st.integers(0, 2**16))
@settings(max_examples=80, deadline=None)
def test_the_halo_is_where_gradients_end(case: Convolutional, seed: int) -> None:
    """In a network of positive weights every input that a window can depend on has a gradient.

    The halo is larger by what begins at even positions.
    """
    windowed = Windowed(integer(case, seed), 1)
    net = FloatGraph(case.graph).double()
    for node in case.graph.nodes:
        if node.op in ("conv", "deconv"):
            weight = torch.ones_like(net.weight(node))
            net.set_weights(node, weight / weight[0].numel(), torch.zeros(node.channels))
    start = windowed.halo + windowed.stride
    stop = start + windowed.stride
    inputs = [
        torch.ones(x.shape, dtype=torch.float64).requires_grad_()
        for x in arrays(windowed, windowed.stride, start + stop, seed)
    ]
    level = windowed.level(case.graph.output)
    net(*inputs)[..., start >> level : stop >> level].sum().backward()
    beyond = 0
    for node, x in zip(case.graph.inputs, inputs, strict=True):
        if node.op != "plane":
            assert x.grad is not None
            touched = x.grad.abs().amax((0, 1, 2)).nonzero()
            first, last = int(touched.min()) << windowed.level(node), int(touched.max() + 1) << windowed.level(node)
            beyond = max(beyond, start - first, last - stop)
    halved = sum(node.stride == 2 for node in case.graph.nodes if node.op == "conv")
    assert beyond <= windowed.halo < beyond + (halved + 2) * windowed.stride // 2


SMALL: dict[str, tuple[Callable[[GraphBuilder], str], int, int]] = {  # a network, its stride, its halo
    "position by position": (lambda b: b.elu(b.conv(b.latent(2), 3, 1)), 1, 0),
    "3": (lambda b: b.conv(b.latent(2), 3), 1, 1),
    "7 after 5": (lambda b: b.conv(b.conv(b.latent(2), 3, 5), 3, 7), 1, 5),
    "stride 2": (lambda b: b.conv(b.latent(2), 3, 3, stride=2), 2, 2),
    "down and up": (lambda b: b.deconv(b.conv(b.latent(2), 3, 3, stride=2), 3), 2, 4),
    "deconv": (lambda b: b.deconv(b.latent(2), 3), 2, 2),
    "fold": (lambda b: b.conv(b.fold(b.latent(1)), 3), 2, 2),
    "unfold": (lambda b: b.conv(b.unfold(b.conv(b.latent(4), 4, 3)), 3), 2, 4),
    "plane": (lambda b: b.conv(b.concat(b.conv(b.latent(2), 3), b.plane(1)), 3), 1, 2),
    "two resolutions": (lambda b: b.add(b.conv(b.latent(2), 3, 5), b.unfold(b.conv(b.latent(2), 12))), 2, 2),
    "pooled by strides": (
        lambda b: b.conv(b.conv(b.conv(b.pixels(3), 4, 3, stride=2), 4, 3, stride=2), 4, 3, stride=2),
        8,
        16,
    ),
}


def small(name: str, side: int) -> tuple[Windowed, int, int]:
    builder = GraphBuilder()
    write, stride, halo = SMALL[name]
    builder.conv(write(builder), 2, 1)
    graph = builder.build()
    fine = any(node.op in ("deconv", "unfold") for node in graph.nodes) and len(graph.inputs) == 1
    levels = (0, 1) if name == "two resolutions" else (int(fine),) * len(graph.inputs)
    return Windowed(integer(Convolutional(graph, levels), seed=1), side), stride, halo


@pytest.mark.parametrize("name", SMALL)
def test_stride_and_halo_of_small_networks(name: str) -> None:
    windowed, stride, halo = small(name, 5)
    assert (windowed.stride, windowed.halo) == (stride, halo)
    assert windowed.side % stride == 0
    assert 0 <= windowed.side - 5 < stride


@pytest.mark.parametrize("name", [name for name, (_, _, halo) in SMALL.items() if halo])
def test_a_halo_that_is_one_step_too_small_is_seen(name: str) -> None:
    windowed, stride, _ = small(name, 8)
    inputs = arrays(windowed, 64, 80, seed=3)
    expected = windowed.net.floats(*inputs)
    assert same_bits(windowed(*inputs), expected)
    steps = {name: stride >> level for name, level in windowed._sources.items()}
    margins = windowed._margins.items()
    windowed._margins = {name: (min(0, low + steps[name]), high) for name, (low, high) in margins}
    assert not same_bits(windowed(*inputs), expected)


def test_memory_does_not_grow_with_the_image() -> None:
    windowed, _, _ = small("7 after 5", 16)
    net = windowed.net
    assert isinstance(net, Recording)
    for side in (16, 64, 128):
        inputs = arrays(windowed, side, side, seed=0)
        windowed(*inputs)
        assert net.largest <= (16 + 2 * 5) ** 2


def test_an_image_of_one_window_goes_through_the_network_once() -> None:
    windowed, _, _ = small("7 after 5", 16)
    net = windowed.net
    assert isinstance(net, Recording)
    windowed(*arrays(windowed, 26, 26, seed=0))
    assert net.largest == 26 * 26


def test_images_keep_their_own_planes() -> None:
    windowed, _, _ = small("plane", 8)
    x, plane = arrays(windowed, 30, 20, seed=4, batch=3)
    together = windowed(x, plane)
    for i in range(3):
        alone = windowed(x[i : i + 1], plane[i : i + 1])
        assert same_bits(together[i : i + 1], alone)
    assert not same_bits(together, windowed(x, plane + 64))


def refused(graph: Graph) -> IntegerGraph:
    """Integers for a graph that has no windows; all its inputs are equally large."""
    return integer(Convolutional(graph, (0,) * len(graph.inputs)), seed=0)


@pytest.mark.parametrize("name", ["densenet encoder", "densenet trunk"])
def test_pooling_over_the_image_is_refused(name: str) -> None:
    graph = GRAPHS[name]
    levels = (1, 2) if "trunk" in name else (0,)
    with pytest.raises(ModelError, match="mean over the whole image"):
        Windowed(integer(Convolutional(graph, levels), seed=0), 16)


def test_resolutions_must_fit_together() -> None:
    b = GraphBuilder()
    x = b.latent(1)
    y = b.concat(x, b.latent(1))
    b.conv(b.concat(y, b.conv(x, 1, 3)), 1)
    nodes = list(b.build().nodes)
    graph = Graph((*nodes[:3], Node(nodes[3].name, "conv", (x,), 1, 3, stride=2), *nodes[4:]))
    net = IntegerGraph(b.build(), *exported(trained(b.build(), seed=0)))
    net.graph = graph
    with pytest.raises(ModelError, match="two resolutions"):
        Windowed(net, 16)


def test_nodes_beside_the_output_s_are_refused() -> None:
    b = GraphBuilder()
    b.conv(b.latent(1), 1)
    b.conv(b.latent(1), 1)
    with pytest.raises(ModelError, match="nothing to do with the output"):
        Windowed(refused(b.build()), 16)


def test_nodes_that_the_output_does_not_need_are_refused() -> None:
    b = GraphBuilder()
    x = b.latent(1)
    b.conv(x, 1)
    b.conv(x, 1)
    with pytest.raises(ModelError, match="nothing to do with the output"):
        Windowed(refused(b.build()), 16)


def test_halos_shrink_towards_the_output() -> None:
    """Deep coarse layers need a wide halo; the finest layers, which cost most, have one of a few pixels."""
    b = GraphBuilder()
    x = b.latent(2)
    for _ in range(3):
        x = b.conv(x, 2)
    for _ in range(3):
        x = b.deconv(x, 2)
    b.conv(x, 2)
    windowed, most = Windowed(integer(Convolutional(b.build(), (3,)), seed=1), 64), dict[int, int]()
    run = windowed.net._run

    def recorded(node: Node, xs: list[Float32]) -> Float32:
        out, level = run(node, xs), windowed.level(node)
        most[level] = max(most.get(level, 0), out.shape[1])
        return out

    windowed.net._run = recorded  # type: ignore[method-assign]
    list(windowed.parts(*arrays(windowed, 256, 256, seed=2)))
    assert windowed.halo == 8 * 4
    assert most == {3: 8 + 2 * 4, 2: 16 + 4, 1: 32 + 4, 0: 64 + 4}


def test_even_kernels_are_refused() -> None:
    b = GraphBuilder()
    b.conv(b.latent(1), 1, 4)
    with pytest.raises(ModelError, match="kernel 4 does not keep to a grid"):
        Windowed(refused(b.build()), 16)


@pytest.mark.parametrize(("h", "w"), [(64, 60), (60, 64), (4, 8), (0, 8)])
def test_extents_must_be_multiples_of_the_stride(h: int, w: int) -> None:
    windowed, _, _ = small("pooled by strides", 8)
    with pytest.raises(InputError, match=f"{h} x {w}, no multiple of 8"):
        windowed(np.zeros((1, 3, h, w), dtype=np.float32))


def test_inputs_must_be_of_one_image() -> None:
    windowed, _, _ = small("two resolutions", 8)
    with pytest.raises(InputError, match="different sizes"):
        windowed(*[np.zeros((1, 2, 64, 64), dtype=np.float32)] * 2)


def test_a_window_has_a_side() -> None:
    net = small("3", 8)[0].net
    with pytest.raises(InputError, match="side 0"):
        Windowed(net, 0)
