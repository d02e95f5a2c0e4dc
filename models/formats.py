"""Which fixed-point formats a network's values have: those whose errors are least on what it computes of images."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from selfcodec.fixed_point import INPUT_FRACTION, PARAM_FRACTION
from selfcodec.networks.graph import INPUTS, PASS_THROUGH, Graph, Node

MAX_FRACTION = 10
"""A hidden activation has at most so many fraction bits."""
CLAMP_WEIGHT = 0.03
"""Squared errors by clamping have this weight against those by rounding where networks compute distributions of pixels:
a rare outlier costs fewer bits than its error suggests (docs/decisions/0003-context.md)."""
GATE_FRACTION = 8
"""A sigmoid's result has so many fraction bits."""


def _sharing(graph: Graph) -> list[list[Node]]:
    """Nodes in groups that have one format, since values are only moved within them."""
    above: dict[str, str] = {}

    def find(name: str) -> str:
        while above.get(name, name) != name:
            name = above[name]
        return name

    for node in graph.nodes:
        for name in node.inputs if node.op in PASS_THROUGH else ():
            above[find(name)] = find(node.name)
    members: dict[str, list[Node]] = {}
    for node in graph.nodes:
        members.setdefault(find(node.name), []).append(node)
    return list(members.values())


def _given_fraction(graph: Graph, nodes: list[Node]) -> int | None:
    """The fraction bits of a group for which they are not chosen; None for others."""
    if any(node.op in INPUTS for node in nodes):
        return INPUT_FRACTION
    if any(node is graph.output for node in nodes):
        return PARAM_FRACTION
    if any(node.op == "sigmoid" for node in nodes):
        return GATE_FRACTION
    return None


def chosen_groups(graph: Graph) -> list[list[str]]:
    """Names of the nodes that have one format, in groups, of those whose format is chosen."""
    return [[node.name for node in nodes] for nodes in _sharing(graph) if _given_fraction(graph, nodes) is None]


def seen(x: Tensor, limit: int) -> Tensor:
    """What choosing needs of a node's values, (MAX_FRACTION + 2,), to be added up.

    By fraction bits the sum of the squared errors that clamping to `limit` would make; and how many values there are.
    """
    magnitude = x.abs().float()
    beyond = [(magnitude - limit * 2.0**-f).clamp_min(0).square().sum() for f in range(MAX_FRACTION + 1)]
    return torch.stack([*beyond, torch.tensor(float(x.numel()), device=x.device)]).double().cpu()


def least_errors(graph: Graph, observed: Mapping[str, Tensor], clamp_weight: float) -> dict[str, int]:
    """Every node's fraction bits, for the least weighted error on what was observed (`seen`).

    A few outliers may be clamped, so that all other values are rounded less.

    Args:
        graph: the network.
        observed: by node.
        clamp_weight: what squared errors by clamping count against those by rounding.
    """
    rounding = torch.tensor([2.0 ** (-2 * f) / 12 for f in range(MAX_FRACTION + 1)], dtype=torch.double)
    formats = {}
    for nodes in _sharing(graph):
        fraction = _given_fraction(graph, nodes)
        if fraction is None:
            total = sum((observed[node.name] for node in nodes), torch.zeros(MAX_FRACTION + 2, dtype=torch.double))
            fraction = int((clamp_weight * total[:-1] / total[-1] + rounding).argmin())
        formats.update({node.name: fraction for node in nodes})
    return formats
