"""Modes: names, numbers and the variables that each one sends."""

from __future__ import annotations

import pytest

from selfcodec.errors import InputError
from selfcodec.modes import MAX_TRANSFORMS, Mode, default_level, schedule_order, sent_variables

LADDER = {
    (Mode.RS1, 0): "u",
    (Mode.RS2, 0): "u z3 z2 z1",
    (Mode.CG, 3): "u y3",
    (Mode.CG, 2): "u y3 z3 y2",
    (Mode.CG, 1): "u y3 z3 y2 z2 y1",
    (Mode.CR, 3): "u y3 z3 z2 z1",
    (Mode.CR, 2): "u y3 z3 y2 z2 z1",
    (Mode.CR, 1): "u y3 z3 y2 z2 y1 z1",
    (Mode.LOSSLESS, 0): "u y3 z3 y2 z2 y1 z1 x",
    (Mode.STORED, 0): "",
}


def test_numbers_are_those_of_the_file_format() -> None:
    assert {mode.name: mode.value for mode in Mode} == {
        "RS1": 0,
        "RS2": 1,
        "CG": 2,
        "CR": 3,
        "LOSSLESS": 4,
        "STORED": 5,
    }


@pytest.mark.parametrize("mode", list(Mode))
def test_text_is_the_lower_case_name(mode: Mode) -> None:
    assert str(mode) == f"{mode}" == mode.name.lower()
    assert f"{mode:>9}" == mode.name.lower().rjust(9)


@pytest.mark.parametrize("mode", [mode for mode in Mode if mode is not Mode.STORED])
def test_parse_inverts_str(mode: Mode) -> None:
    assert Mode.parse(str(mode)) is mode


@pytest.mark.parametrize("text", ["", "stored", "RS1", "lossy", " cg"])
def test_parse_refuses_other_names_and_lists_the_right_ones(text: str) -> None:
    with pytest.raises(InputError, match=r"rs1, rs2, cg, cr, lossless$"):
        Mode.parse(text)


def test_schedule_order() -> None:
    assert schedule_order(0) == ("u", "x")
    assert schedule_order(1) == ("u", "y1", "z1", "x")
    assert schedule_order(2) == ("u", "y2", "z2", "y1", "z1", "x")
    assert len(schedule_order(MAX_TRANSFORMS)) == 2 * MAX_TRANSFORMS + 2


@pytest.mark.parametrize("transforms", [-1, MAX_TRANSFORMS + 1])
def test_schedule_order_refuses_other_depths(transforms: int) -> None:
    with pytest.raises(InputError, match=str(transforms)):
        schedule_order(transforms)


@pytest.mark.parametrize(("mode", "level"), LADDER)
def test_sent_variables_of_three_transformations(mode: Mode, level: int) -> None:
    assert sent_variables(mode, 3, level) == tuple(LADDER[mode, level].split())


@pytest.mark.parametrize("transforms", range(1, MAX_TRANSFORMS + 1))
def test_sent_variables_are_a_subsequence_and_mostly_a_prefix(transforms: int) -> None:
    order = schedule_order(transforms)
    for mode in (Mode.RS1, Mode.RS2, Mode.LOSSLESS):
        sent = sent_variables(mode, transforms, 0)
        assert sent == tuple(name for name in order if name in sent)
    for level in range(1, transforms + 1):
        cg, cr = (sent_variables(mode, transforms, level) for mode in (Mode.CG, Mode.CR))
        assert cg == order[: len(cg)]
        assert cg[-1] == f"y{level}"
        assert cr == tuple(name for name in order if name in cr)
        assert cr[len(cg) :] == tuple(f"z{k}" for k in range(level, 0, -1))
    assert sent_variables(Mode.CR, transforms, 1) == order[:-1]


def test_a_model_without_transformations() -> None:
    assert sent_variables(Mode.RS1, 0, 0) == sent_variables(Mode.RS2, 0, 0) == ("u",)
    assert sent_variables(Mode.LOSSLESS, 0, 0) == ("u", "x")
    for mode in (Mode.CG, Mode.CR):
        with pytest.raises(InputError, match="no y to send"):
            sent_variables(mode, 0, 1)
        with pytest.raises(InputError, match="no y to send"):
            default_level(mode, 0)


def test_default_level() -> None:
    assert [default_level(mode, 3) for mode in Mode] == [0, 0, 3, 1, 0, 0]
    for mode in Mode:
        sent_variables(mode, 3, default_level(mode, 3))


@pytest.mark.parametrize(
    ("mode", "level"),
    [
        (Mode.CG, 0),
        (Mode.CG, 3),
        (Mode.CR, -1),
        (Mode.RS1, 1),
        (Mode.RS2, 1),
        (Mode.LOSSLESS, 2),
        (Mode.STORED, 1),
    ],
)
def test_bad_levels(mode: Mode, level: int) -> None:
    with pytest.raises(InputError, match=str(level)):
        sent_variables(mode, 2, level)
