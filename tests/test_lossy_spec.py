"""Specifications with planes: their versions, what is damaged, and what models make of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import tiny_lossy
from model_changes import LEFT_OUT, changed_at, with_contents
from test_spec import WRONG, places, spec_of

from selfcodec.errors import ModelError
from selfcodec.modes import MAX_QUALITY, Mode, sent_variables
from selfcodec.spec import PLANE_CENTRE, PLANE_UNIT, SPEC_VERSION, Spec, trade_of
from selfcodec.zoo import Model, pack_model, read_contents


def old(model: Model) -> dict[str, Any]:
    """The specification as version 2 had it, without planes."""
    values = spec_of(model)
    del values["planes"]
    return {**values, "version": 2}


def test_version_2_is_read_as_one_without_planes(tiny_model: Model) -> None:
    data = Path(tiny_model.where).read_bytes()
    contents = read_contents(data)
    assert contents["spec"]["version"] == SPEC_VERSION == 4
    again = Model(with_contents(data, {**contents, "spec": old(tiny_model)}))
    assert again.spec == tiny_model.spec
    assert again.spec.planes == ()
    assert again.plane(1) == again.plane(100) == 0


def test_versions_3_and_4_come_back() -> None:
    model = tiny_lossy.model()
    contents = read_contents(tiny_lossy.weights())
    assert contents["spec"]["version"] == 4
    assert Spec.from_json(contents["spec"]) == model.spec == Spec.from_json(spec_of(model))
    assert Spec.from_json({**contents["spec"], "version": 3}) == model.spec
    assert model.spec.planes == tiny_lossy.tables()[0]
    assert [model.plane(q) for q in (1, 50, 100)] == [model.spec.planes[i] for i in (0, 49, 99)]


@pytest.mark.parametrize("version", [0, 5, "3", None])
def test_other_versions_are_refused(version: Any) -> None:
    with pytest.raises(ModelError, match="another version of selfcodec"):
        Spec.from_json({**spec_of(tiny_lossy.model()), "version": version})


PLANES: dict[str, Any] = {
    "one too few": [0] * (MAX_QUALITY - 1),
    "one too many": [0] * (MAX_QUALITY + 1),
    "too large": [1024] * MAX_QUALITY,
    "too small": [-1024] * MAX_QUALITY,
    "fractions": [0.5] * MAX_QUALITY,
    "truth values": [True] * MAX_QUALITY,
    "texts": ["0"] * MAX_QUALITY,
    "a text": "0" * MAX_QUALITY,
    "nothing": None,
    "a number": 100,
    "lists": [[0]] * MAX_QUALITY,
}


@pytest.mark.parametrize("what", PLANES)
def test_planes_that_are_none_are_refused(what: str) -> None:
    with pytest.raises(ModelError, match="specification is damaged: ") as caught:
        Spec.from_json({**spec_of(tiny_lossy.model()), "planes": PLANES[what]})
    assert "\n" not in str(caught.value)


def test_planes_that_are_missing_are_refused_in_version_3() -> None:
    with pytest.raises(ModelError, match="planes"):
        Spec.from_json({**old(tiny_lossy.model()), "version": 3})


def test_any_wrong_setting_of_the_families_is_a_model_error() -> None:
    """Of values that stand for all of their kind."""
    data, contents = tiny_lossy.weights(), read_contents(tiny_lossy.weights())
    family = [path for path in places(contents["spec"]) if path[:2] in (("variables", "z1"), ("variables", "y1"))]
    errors = 0
    for path in family:
        for wrong in (LEFT_OUT, None, 1.5, 10**30, "three", [], {}):
            if wrong in ([], {}) and path[-2:] == ("y1", "log_scales"):  # a picture that is not sent has none
                continue
            damaged = with_contents(data, {**contents, "spec": changed_at(contents["spec"], path, wrong)})
            with pytest.raises(ModelError, match=r"^somewhere: ") as caught:
                Model(damaged, "somewhere")
            assert "\n" not in str(caught.value)
            errors += 1
    assert errors > 40
    assert len(WRONG) > errors / len(family)


def test_a_plane_stands_for_a_trade() -> None:
    for trade in (0.0003, math.exp(-PLANE_CENTRE), 0.25):
        plane = round(64 * PLANE_UNIT * (math.log(trade) + PLANE_CENTRE))
        assert trade_of(plane) == pytest.approx(trade, rel=1 / (2 * 64 * PLANE_UNIT) + 1e-3)
    assert trade_of(0) == pytest.approx(math.exp(-PLANE_CENTRE))


def test_where_networks_see_the_quality_it_tunes_z_alone(tiny_model: Model) -> None:
    for mode, tuned, usual in ((Mode.RS1, (), ("u",)), (Mode.RS2, ("z1",), ("u", "z1")), (Mode.CR, ("z1",), ("z1",))):
        sent = sent_variables(mode, 1, 1 if mode is Mode.CR else 0)
        assert tiny_lossy.model().tuned(sent) == tuned
        assert tiny_model.tuned(sent) == usual


def test_equal_contents_give_equal_bytes() -> None:
    from safetensors.numpy import load

    model, data = tiny_lossy.model(), tiny_lossy.weights()
    assert pack_model(model.spec, read_contents(data)["graphs"], load(data)) == data
