"""Runs a convolutional network on images of any size in bounded memory: window by window, with the whole's bits.

Every output depends on inputs within a certain distance only. So an output can be computed in parts, each from boxes
of the inputs that are larger than its *window* by a *halo*, and what is computed of the nodes between shrinks towards
the output:

    image       |                                                                    |
    input       |        [     halo     |      window      |     halo     ]          |
    between     |               [ halo  |      window      |  halo ]                 |
    output      |                       [      window      ]                         |

Convolutions pad whatever they are given with zeros. At a box's edge inside the image this is wrong, and the wrong
values spread inwards by as much as a box is larger than what is used of its result. At the image's border it is right,
and so boxes are cropped there, never padded: they end exactly where the image does, at every node's resolution.

A network has several resolutions, of which the finest counts here: at level l a position is 2**l of its *pixels* wide.
The coarsest level's 2**l is the network's *stride*. Windows begin and end at multiples of it, and boxes of what is
halved at even positions, for otherwise a convolution of stride 2 would start at another phase, and folds would cut
cells.

Boxes are found backwards from the output. What is needed of a node, [low, high), needs of its input

    convolution, kernel k              [low - k // 2,  high + k // 2)
    the same, stride 2                 [2 low - k // 2, rounded down to even,  2 (high - 1) + k // 2 + 1)
    deconvolution, 4 x 4               [ceil((low - 2) / 2),  floor(high / 2) + 1)
    fold                               [2 low,  2 high)
    unfold                             [floor(low / 2),  ceil(high / 2))
    all else                           [low, high)

and since windows are aligned, how far these go beyond a window does not depend on where it is, or how large.
All values are exact integers (`selfcodec.fixed_point`), so the bits do not depend on the shapes of what is computed.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

import numpy as np

from selfcodec.arrays import Float32, Int64
from selfcodec.errors import InputError, ModelError
from selfcodec.networks.fields import Field, Input, Span, as_array
from selfcodec.networks.graph import CONVOLUTIONS, Graph, Node
from selfcodec.networks.integer import IntegerGraph, Runtime

Part = tuple[Span, Span, Float32]
"""It is a window of a network's output: its rows, its columns, and its values."""


def _halvings(node: Node) -> int:
    """How many levels coarser a node is than its inputs; ModelError where it does not just halve, double or keep."""
    if node.op == "mean":
        raise ModelError(f"network node {node.name!r} is a mean over the whole image, which has no windows")
    usual = node.kernel == 4 and node.stride == 2 if node.op == "deconv" else node.kernel % 2 == 1
    if node.op in CONVOLUTIONS and not usual:
        raise ModelError(f"network node {node.name!r}: {node.op} of kernel {node.kernel} does not keep to a grid")
    return {"conv": node.stride - 1, "deconv": -1, "fold": 1, "unfold": -1}.get(node.op, 0)


def _needed(node: Node, span: Span) -> Span:
    """What a span of a node needs of its inputs."""
    low, high = span
    if node.op == "conv":
        first = node.stride * low - node.kernel // 2
        return first - first % node.stride, node.stride * (high - 1) + node.kernel // 2 + 1
    if node.op == "deconv":
        return -((2 - low) // 2), high // 2 + 1
    if node.op == "fold":
        return 2 * low, 2 * high
    return (low // 2, -(-high // 2)) if node.op == "unfold" else span


def _check_all(names: Iterable[str], found: Container[str]) -> None:
    if lost := sorted(name for name in names if name not in found):
        raise ModelError(f"network nodes {lost} have nothing to do with the output")


def levels(graph: Graph) -> dict[str, int]:
    """Of every node but the planes its halvings from the finest of them, which is 0.

    Raises:
        ModelError: a node pools over the image, nodes of different resolutions are joined, or a node has nothing to do
            with the output, so that its resolution is not known.
    """
    planes = {node.name for node in graph.inputs if node.op == "plane"}
    edges: dict[str, list[tuple[str, int]]] = {node.name: [] for node in graph.nodes if node.name not in planes}
    for node in graph.nodes:
        for source in (name for name in node.inputs if name not in planes):
            edges[node.name].append((source, -_halvings(node)))
            edges[source].append((node.name, _halvings(node)))
    found, waiting = {graph.output.name: 0}, [graph.output.name]
    while waiting:
        name = waiting.pop()
        for other, halvings in edges[name]:
            level = found[name] + halvings
            if other not in found:
                waiting.append(other)
            if found.setdefault(other, level) != level:
                raise ModelError(f"network node {other!r} has two resolutions")
    _check_all(edges, found)
    finest = min(found.values())
    return {name: level - finest for name, level in found.items()}


def margins_of(graph: Graph) -> dict[str, Span]:
    """How far beyond an aligned window each node needs its inputs, in positions of theirs, below and above.

    Of an input node it is how far it is needed itself. Planes have none.

    Raises:
        ModelError: as of `levels`, and where the output does not need a node.
    """
    at, margins = levels(graph), dict[str, Span]()
    wanted: dict[str, Span] = {graph.output.name: (0, 0)}
    for node in reversed(graph.nodes):
        if node.name in wanted:
            low, high = margins[node.name] = _needed(node, wanted[node.name])
            for source in (name for name in node.inputs if name in at):
                lowest, highest = wanted.get(source, (low, high))
                wanted[source] = min(lowest, low), max(highest, high)
    _check_all(at, margins)
    return margins


class Windowed:
    """A network that is run window by window, one after another.

    Args:
        net: the network.
        side: of a window, in pixels of the network's finest resolution; rounded up to a multiple of `stride`. No more
            than (side + 2 halo)**2 pixels go through the network at once.

    Attributes:
        stride: pixels between two positions of the coarsest resolution; extents of inputs are multiples of it.
        halo: how far beyond a window nodes are computed, in pixels, at most; a multiple of the stride.

    Raises:
        ModelError: the network pools over the whole image, or its nodes' resolutions do not fit together.
        InputError: `side` is below 1.
    """

    def __init__(self, net: IntegerGraph, side: int) -> None:
        if side < 1:
            raise InputError(f"windows of side {side}")
        self.net = net
        self._levels = levels(net.graph)
        self._margins = margins_of(net.graph)
        nodes = [node for node in net.graph.nodes if node.name in self._margins]
        self._sources = {node.name: self._levels[node.name] - _halvings(node) for node in nodes}
        self._edges = [(node.name, name) for node in nodes for name in node.inputs if name in self._margins]
        self.stride = 1 << max(self._levels.values())
        beyond = max(max(-low, high, 0) << self._sources[name] for name, (low, high) in self._margins.items())
        self.halo, self.side = (-(-extent // self.stride) * self.stride for extent in (beyond, side))

    def level(self, node: Node) -> int:
        """How many halvings a node, which is no plane, is away from the finest one."""
        return self._levels[node.name]

    def parts(self, *inputs: Input, rows: Span | None = None) -> Iterator[Part]:
        """The output's windows, which together have the same bits as `IntegerGraph.floats` of the whole inputs.

        Args:
            inputs: one for each input node, float32 integers in units of 2**-6: (B, C, h, w), or (B, C, 1, 1) for a
                plane.
            rows: those of the output that are wanted, from and up to multiples of the stride or the image's end; all
                by default.

        Yields:
            rows and columns of the output, and float32 (B, C', rows, columns), in units of 2**-10.

        Raises:
            InputError: inputs' heights or widths do not belong to one image, or not to one whose height and width are
                multiples of the stride.
        """
        height, width = self._extents(inputs)
        level = self.level(self.net.graph.output)
        wanted = (0, height) if rows is None else (rows[0] << level, rows[1] << level)
        for down in self._windows(wanted):
            for across in self._windows((0, width)):
                yield _coarser(down, level), _coarser(across, level), self._window(inputs, down, across)

    def _window(self, inputs: tuple[Input, ...], down: Span, across: Span) -> Float32:
        """A window of the output, float32 (B, C', rows, columns)."""
        output = self.net.graph.output
        level = self.level(output)
        if (constant := self.net.constant) is not None:
            extents = (high - low >> level for low, high in (down, across))
            return np.broadcast_to(constant[:, None, None], (inputs[0].shape[0], len(constant), *extents)).copy()
        height, width = self._extents(inputs)
        rows, columns = self._boxes(down, height), self._boxes(across, width)
        crops = {
            (node, source): (self._slice(source, rows[node], rows), self._slice(source, columns[node], columns))
            for node, source in self._edges
        }
        part = self.net.floats(*self._cut(inputs, rows, columns), crops=crops)
        kept_rows = self._slice(output.name, _coarser(down, level), rows)
        return part[:, :, kept_rows, self._slice(output.name, _coarser(across, level), columns)]

    def _boxes(self, window: Span, extent: int) -> dict[str, Span]:
        """Along height or width, from which positions of its inputs each node is computed; of an input, its own."""
        return {
            name: (
                max(0, (window[0] >> self._sources[name]) + low),
                min(extent >> self._sources[name], (window[1] >> self._sources[name]) + high),
            )
            for name, (low, high) in self._margins.items()
        }

    def _slice(self, name: str, span: Span, boxes: dict[str, Span]) -> slice:
        """Where a span of a node's positions is in what is computed of it."""
        halvings = self._levels[name] - self._sources[name]
        first = boxes[name][0] >> halvings if halvings >= 0 else boxes[name][0] << -halvings
        return slice(span[0] - first, span[1] - first)

    def __call__(self, *inputs: Input) -> Float32:
        """The windows put together, float32 (B, C', h', w'); see `parts`."""
        height, width = self._extents(inputs)
        level = self.level(self.net.graph.output)
        out: Float32 | None = None
        for rows, columns, part in self.parts(*inputs):
            if out is None:
                if part.shape[2:] == (height >> level, width >> level):
                    return part
                out = np.empty((*part.shape[:2], height >> level, width >> level), dtype=np.float32)
            out[:, :, slice(*rows), slice(*columns)] = part
        assert out is not None
        return out

    def _extents(self, inputs: tuple[Input, ...]) -> tuple[int, int]:
        """The image's height and width at the finest resolution."""
        self.net.check_inputs([x.shape[1] for x in inputs])
        sizes = {
            (x.shape[2] << self.level(node), x.shape[3] << self.level(node))
            for node, x in zip(self.net.graph.inputs, inputs, strict=True)
            if node.op != "plane"
        }
        if len(sizes) != 1:
            raise InputError(f"a network's inputs are of images of different sizes: {sorted(sizes)}")
        height, width = sizes.pop()
        if not height or not width or height % self.stride or width % self.stride:
            raise InputError(f"a network's input is {height} x {width}, no multiple of {self.stride}")
        return height, width

    def _windows(self, wanted: Span) -> Iterator[Span]:
        """Windows along height or width."""
        low, high = wanted
        if high - low <= self.side + 2 * self.halo:  # no larger than a window with its halos is
            yield wanted
        else:
            yield from ((start, min(start + self.side, high)) for start in range(low, high, self.side))

    def _cut(self, inputs: tuple[Input, ...], rows: dict[str, Span], columns: dict[str, Span]) -> Iterator[Float32]:
        """Every input's own box; planes as they are."""
        for node, x in zip(self.net.graph.inputs, inputs, strict=True):
            if node.op == "plane":
                yield as_array(x)
            elif isinstance(x, Field):
                yield x.box(rows[node.name], columns[node.name])
            else:
                yield x[:, :, slice(*rows[node.name]), slice(*columns[node.name])]


def _coarser(span: Span, level: int) -> Span:
    return span[0] >> level, span[1] >> level


class Network:
    """A network as the families run it, on images of any size.

    It runs in windows of the runtime's side. One that pools over the whole image has no windows and runs on all of it;
    models with such networks have tiles, which are small.
    """

    def __init__(self, net: IntegerGraph) -> None:
        self.net = net
        self._pools = any(node.op == "mean" for node in net.graph.nodes)
        self._windowed: dict[int, Windowed] = {}

    def parts(self, *inputs: Input, runtime: Runtime, rows: Span | None = None) -> Iterator[Part]:
        """As of `Windowed.parts`."""
        if self._pools:
            whole = self.net.floats(*map(as_array, inputs))
            low, high = rows or (0, whole.shape[2])
            yield (low, high), (0, whole.shape[3]), whole[:, :, low:high]
        else:
            yield from self._in_windows(runtime.window).parts(*inputs, rows=rows)

    @property
    def planes(self) -> bool:
        """Whether the network takes a plane."""
        return any(node.op == "plane" for node in self.net.graph.inputs)

    def plane_inputs(self, value: int, count: int) -> tuple[Float32, ...]:
        """A value in 2**-6, the same for `count` images, as the network's input (count, 1, 1, 1), if it takes one."""
        return (np.full((count, 1, 1, 1), value, dtype=np.float32),) if self.planes else ()

    def floats(self, *inputs: Input, runtime: Runtime) -> Float32:
        """As of `IntegerGraph.floats`."""
        if self._pools:
            return self.net.floats(*map(as_array, inputs))
        return self._in_windows(runtime.window)(*inputs)

    def _in_windows(self, side: int) -> Windowed:
        return self._windowed.get(side) or self._windowed.setdefault(side, Windowed(self.net, side))

    def __call__(self, *inputs: Input, runtime: Runtime) -> Int64:
        """The same as int64."""
        return self.floats(*inputs, runtime=runtime).astype(np.int64)
