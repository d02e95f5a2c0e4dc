"""Networks as data: a list of nodes that the trainer runs in floating point and the codec in integers.

A network is written once, as a `Graph`. `selfcodec.models.layers.FloatGraph` gives its nodes real weights and trains
them; `IntegerGraph` runs the same nodes on integers. There is no tracing and no second definition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

from selfcodec.errors import ModelError
from selfcodec.fixed_point import ACTIVATION_MAX, PARAM_MAX, PIXEL_MAX

OPS = (
    "pixels",  # input: (value - 128) / 64
    "latent",  # input: a latent's own value
    "plane",  # input: a constant for each image, (B, C, 1, 1), such as the quality; only `concat` reads it
    "conv",  # kernel x kernel convolution, zero padding, stride 1 or 2, then activation
    "deconv",  # transposed 4 x 4 convolution of stride 2: doubles height and width
    "add",  # sum of two nodes, then activation
    "concat",  # channels one after another; a plane's value is spread over all positions
    "elu",  # exponential linear unit, by table
    "sigmoid",  # logistic sigmoid, by table
    "mean",  # mean over positions: (B, C, H, W) -> (B, C, 1, 1)
    "scale",  # product of (B, C, H, W) and (B, C, 1, 1)
    "fold",  # 2 x 2 positions to channels: (B, C, H, W) -> (B, 4C, H/2, W/2)
    "unfold",  # the inverse of `fold`: (B, 4C, H, W) -> (B, C, 2H, 2W)
)
INPUTS = ("pixels", "latent", "plane")
ACTIVATIONS = ("none", "relu", "leaky")
CONVOLUTIONS = ("conv", "deconv")
TABLED = ("elu", "sigmoid")
TWO = ("add", "scale")
"""These have two inputs, `concat` any number, all others but inputs one."""
KEEPING = ("add", "scale", "elu", "sigmoid", "mean")
"""These have as many channels as each of their inputs."""
PASS_THROUGH = ("concat", "fold", "unfold")
"""These nodes only move values: they share the fixed-point format of their inputs.

`fold` and `unfold` are PyTorch's `pixel_unshuffle` and `pixel_shuffle` by 2: of what is not folded, channel c at row
2 y + i and column 2 x + j is, of what is, channel 4 c + 2 i + j at row y and column x.
"""


@dataclass(frozen=True)
class Node:
    """One operation. `inputs` name earlier nodes; `channels` counts the output's."""

    name: str
    op: str
    inputs: tuple[str, ...]
    channels: int
    kernel: int = 1
    stride: int = 1
    activation: str = "none"


_KINDS = {"str": str, "int": int, "tuple[str, ...]": list}
"""A node's types and those of JSON."""


@dataclass(frozen=True)
class Graph:
    """Nodes in order of execution; the last one is the output."""

    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for node in self.nodes:
            if node.op not in OPS or node.activation not in ACTIVATIONS:
                raise ModelError(f"network node {node.name!r}: unknown operation {node.op!r} or {node.activation!r}")
            if node.name in seen or not seen.issuperset(node.inputs):
                raise ModelError(f"network node {node.name!r}: name repeated, or an input that is not before it")
            count = 0 if node.op in INPUTS else 2 if node.op in TWO else 1
            if len(node.inputs) != count and not (node.op == "concat" and node.inputs):
                raise ModelError(f"network node {node.name!r}: {node.op} has {len(node.inputs)} inputs")
            if node.channels < 1 or node.kernel not in (1, 3, 4, 5, 7) or node.stride not in (1, 2):
                raise ModelError(f"network node {node.name!r}: channels, kernel or stride out of range")
            seen.add(node.name)
        if not self.nodes:
            raise ModelError("a network has no nodes")
        self._check_channels()

    def _check_channels(self) -> None:
        """ModelError where a plane is read by more than `concat`, or channels are not what comes of a node's inputs."""
        channels = {node.name: node.channels for node in self.nodes}
        planes = {node.name for node in self.nodes if node.op == "plane"}
        for node in self.nodes:
            spread = planes.intersection(node.inputs)
            if spread and (node.op != "concat" or planes.issuperset(node.inputs)):
                raise ModelError(f"network node {node.name!r}: a plane may only be joined by concat with other nodes")
            given = sum(channels[name] for name in node.inputs)
            made = {"fold": 4 * given, "unfold": given / 4, "concat": given}.get(node.op, node.channels)
            if node.channels != made:
                raise ModelError(f"network node {node.name!r}: {given} channels do not {node.op} to {node.channels}")
            if node.op in KEEPING and any(channels[name] != node.channels for name in node.inputs):
                raise ModelError(f"network node {node.name!r}: {node.op} of other channels than its {node.channels}")
        if self.output.op in INPUTS:
            raise ModelError(f"a network's output is an input, {self.output.op}")

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The input nodes, in the order in which the executors take their tensors."""
        return tuple(node for node in self.nodes if node.op in INPUTS)

    @property
    def output(self) -> Node:
        return self.nodes[-1]

    @property
    def results(self) -> frozenset[str]:
        """Names of the output and of all nodes whose values it only moves: they are as large and as fine as its own."""
        names = {self.output.name}
        for node in reversed(self.nodes):
            if node.name in names and node.op in PASS_THROUGH:
                names.update(node.inputs)
        return frozenset(names)

    def limits(self) -> dict[str, int]:
        """Largest integer magnitude of every node's values, inclusive."""
        limits: dict[str, int] = {}
        results = self.results
        for node in self.nodes:
            if node.op == "pixels":
                limits[node.name] = PIXEL_MAX
            elif node.op in INPUTS:
                limits[node.name] = ACTIVATION_MAX
            elif node.op in PASS_THROUGH:
                limits[node.name] = max(limits[name] for name in node.inputs)
            else:
                limits[node.name] = PARAM_MAX if node.name in results else ACTIVATION_MAX
        return limits

    def to_json(self) -> list[dict[str, object]]:
        return [asdict(node) for node in self.nodes]

    @staticmethod
    def from_json(nodes: Sequence[Mapping[str, object]]) -> Graph:
        """The inverse of `to_json`; ModelError where a key is unknown or missing, or a value of the wrong type."""
        known = {field.name: _KINDS[str(field.type)] for field in fields(Node)}
        built = []
        for node in nodes:
            values = dict(node)
            if set(values) != set(known):
                raise ModelError(f"network node with keys {sorted(values)}, expected {sorted(known)}")
            wrong = [name for name, kind in known.items() if type(values[name]) is not kind]
            if wrong or not all(isinstance(source, str) for source in values["inputs"]):  # type: ignore[attr-defined]
                wrong = wrong or ["inputs"]
                raise ModelError(f"network node {values['name']!r:.40}: {' '.join(wrong)} of the wrong type")
            values["inputs"] = tuple(values["inputs"])  # type: ignore[arg-type]
            built.append(Node(**values))  # type: ignore[arg-type]
        return Graph(tuple(built))


class GraphBuilder:
    """Writes a `Graph` line by line; every method is an operation of `OPS`, and returns the new node's name."""

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._by_name: dict[str, Node] = {}

    def channels(self, name: str) -> int:
        """How many a node has."""
        return self._by_name[name].channels

    def _add(self, op: str, inputs: tuple[str, ...], channels: int, **attributes: int | str) -> str:
        node = Node(f"{len(self._nodes)}.{op}", op, inputs, channels, **attributes)  # type: ignore[arg-type]
        self._nodes.append(node)
        self._by_name[node.name] = node
        return node.name

    def pixels(self, channels: int) -> str:
        return self._add("pixels", (), channels)

    def latent(self, channels: int) -> str:
        return self._add("latent", (), channels)

    def plane(self, channels: int) -> str:
        return self._add("plane", (), channels)

    def conv(self, x: str, channels: int, kernel: int = 3, stride: int = 1, activation: str = "none") -> str:
        return self._add("conv", (x,), channels, kernel=kernel, stride=stride, activation=activation)

    def deconv(self, x: str, channels: int, activation: str = "none") -> str:
        return self._add("deconv", (x,), channels, kernel=4, stride=2, activation=activation)

    def add(self, a: str, b: str, activation: str = "none") -> str:
        return self._add("add", (a, b), self.channels(a), activation=activation)

    def concat(self, *xs: str) -> str:
        return xs[0] if len(xs) == 1 else self._add("concat", xs, sum(map(self.channels, xs)))

    def elu(self, x: str) -> str:
        return self._add("elu", (x,), self.channels(x))

    def sigmoid(self, x: str) -> str:
        return self._add("sigmoid", (x,), self.channels(x))

    def mean(self, x: str) -> str:
        return self._add("mean", (x,), self.channels(x))

    def scale(self, x: str, gate: str) -> str:
        return self._add("scale", (x, gate), self.channels(x))

    def fold(self, x: str) -> str:
        return self._add("fold", (x,), 4 * self.channels(x))

    def unfold(self, x: str) -> str:
        return self._add("unfold", (x,), self.channels(x) // 4)

    def build(self) -> Graph:
        """The graph of all nodes so far; ModelError where it is none."""
        return Graph(tuple(self._nodes))
