"""Fixed-point formats by what was observed."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from selfcodec.fixed_point import ACTIVATION_MAX, INPUT_FRACTION, PARAM_FRACTION
from selfcodec.models.formats import MAX_FRACTION, least_errors, seen
from selfcodec.networks.graph import Graph, GraphBuilder


def network() -> Graph:
    b = GraphBuilder()
    b.conv(b.unfold(b.conv(b.latent(4), 8, 3, activation="leaky")), 4, 1)
    return b.build()


def chosen(graph: Graph, hidden: torch.Tensor, clamp_weight: float) -> dict[str, int]:
    limits = graph.limits()
    return least_errors(graph, {node.name: seen(hidden, limits[node.name]) for node in graph.nodes}, clamp_weight)


@given(st.integers(0, 2**31), st.floats(-3, 5))
def test_nothing_is_clamped_where_clamping_counts_most(seed: int, size: float) -> None:
    graph = network()
    hidden = torch.randn(2, 8, 5, 5, generator=torch.Generator().manual_seed(seed)) * 2.0**size
    fraction = chosen(graph, hidden, 1e12)[graph.nodes[1].name]
    largest = float(hidden.abs().max()) * 2.0**fraction
    assert largest <= ACTIVATION_MAX
    assert fraction == MAX_FRACTION or 2 * largest > ACTIVATION_MAX


def test_inputs_and_outputs_have_their_own_and_values_that_are_moved_keep_theirs() -> None:
    graph = network()
    source, conv, unfold, output = (node.name for node in graph.nodes)
    formats = chosen(graph, torch.randn(2, 8, 5, 5), 0.03)
    assert formats[source] == INPUT_FRACTION
    assert formats[output] == PARAM_FRACTION
    assert formats[conv] == formats[unfold]


@pytest.mark.parametrize(("clamp_weight", "spoilt"), [(0.0, True), (0.003, True), (0.6, False), (1e12, False)])
def test_the_weight_decides_whether_a_rare_value_costs_the_others_their_precision(
    clamp_weight: float, spoilt: bool
) -> None:
    hidden = torch.rand(2, 8, 64, 64)
    hidden[0, 0, 0, 0] = 6.0
    graph = network()
    fraction = chosen(graph, hidden, clamp_weight)[graph.nodes[1].name]
    assert (6.0 * 2.0**fraction > ACTIVATION_MAX) == spoilt
