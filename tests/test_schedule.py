"""The schedule: its order, parents, scales and encoders against the paper's equations 9, 21 and 22."""

from __future__ import annotations

import pytest

from selfcodec.modes import schedule_order
from selfcodec.schedule import Shape, build_schedule, padding_multiple

GENERATIVE = {
    0: "x|u",
    1: "y1|u z1|y1,u x|y1,z1",
    2: "y2|u z2|y2,u y1|y2,z2 z1|y1,z2 x|y1,z1",
    3: "y3|u z3|y3,u y2|y3,z3 z2|y2,z3 y1|y2,z2 z1|y1,z2 x|y1,z1",
}
"""K: the factors after p(u), in the order of the paper's eq. 21."""

VARIATIONAL = {
    0: {"u": "x"},
    1: {"u": "y1", "z1": "x"},
    2: {"u": "y2", "z2": "y1", "z1": "x"},
    3: {"u": "y3", "z3": "y2", "z2": "y1", "z1": "x"},
}
"""K: what each latent is inferred from, eq. 22."""


def shape(levels: int, factor: int = 2) -> Shape:
    return Shape(levels, factor, y_channels=1, u_channels=5, u_down=3, z_channels=7, z_down=2)


@pytest.mark.parametrize("levels", GENERATIVE)
def test_factors_are_those_of_the_paper(levels: int) -> None:
    steps = build_schedule(shape(levels))
    assert steps[0].name == "u"
    assert steps[0].parents == ()
    written = [f"{step.name}|{','.join(parent.name for parent in step.parents)}" for step in steps[1:]]
    assert written == GENERATIVE[levels].split()


@pytest.mark.parametrize("levels", VARIATIONAL)
def test_encoders_are_those_of_the_paper(levels: int) -> None:
    inferred = {step.name: step.inferred_from for step in build_schedule(shape(levels))}
    assert {name: source for name, source in inferred.items() if source is not None} == VARIATIONAL[levels]


@pytest.mark.parametrize("levels", range(16))
def test_order_is_that_of_the_modes(levels: int) -> None:
    steps = build_schedule(shape(levels))
    assert tuple(step.name for step in steps) == schedule_order(levels)


@pytest.mark.parametrize("levels", range(16))
def test_parents_come_first_and_are_the_very_variables(levels: int) -> None:
    known = {}
    for step in build_schedule(shape(levels)):
        assert all(known[parent.name] == parent for parent in step.parents)
        known[step.name] = step.target


def test_scales_where_each_transformation_halves() -> None:
    scales = {step.name: step.target.halvings for step in build_schedule(shape(3))}
    assert scales == {"x": 0, "y1": 1, "y2": 2, "y3": 3, "u": 6, "z1": 2, "z2": 3, "z3": 4}
    assert padding_multiple(build_schedule(shape(3))) == 64


def test_scales_where_the_transformation_keeps_the_size() -> None:
    scales = {step.name: step.target.halvings for step in build_schedule(shape(3, factor=1))}
    assert scales == {"x": 0, "y1": 0, "y2": 0, "y3": 0, "u": 3, "z1": 2, "z2": 2, "z3": 2}
    assert padding_multiple(build_schedule(shape(3, factor=1))) == 8


def test_padding_is_one_where_nothing_shrinks() -> None:
    assert padding_multiple(build_schedule(Shape(2, 1, 3, 4, u_down=0, z_channels=4, z_down=0))) == 1


@pytest.mark.parametrize("levels", range(4))
def test_kinds_and_channels(levels: int) -> None:
    for step in build_schedule(shape(levels)):
        kind, channels = {"u": ("latent", 5), "z": ("latent", 7), "y": ("pixels", 1), "x": ("pixels", 3)}[step.name[0]]
        assert (step.target.kind, step.target.channels) == (kind, channels)
        assert (step.inferred_from is None) == (kind == "pixels")
