"""Specifications of models: older ones are lifted, damaged ones end in one clear ModelError."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from model_changes import LEFT_OUT, at, changed_at, with_contents

from selfcodec.errors import ModelError
from selfcodec.spec import SPEC_VERSION, Spec
from selfcodec.zoo import Model, find_model, read_contents

WRONG: list[Any] = [LEFT_OUT, None, -1, 0, SPEC_VERSION, 1.5, 10**30, "three", [], {}, [None], {"kind": "phases"}, True]


def spec_of(model: Model) -> dict[str, Any]:
    """A specification of the present version, as JSON has it."""
    values: dict[str, Any] = json.loads(json.dumps({**vars(model.spec), "shape": vars(model.spec.shape)}))
    return values


def places(values: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to every value, and to the first of each list of numbers."""
    found = [path] if path else []
    if isinstance(values, dict):
        for key, inner in values.items():
            found += places(inner, (*path, key))
    elif isinstance(values, list) and values:
        found += places(values[0], (*path, 0))
    return found


def test_version_1_is_lifted_to_what_the_present_one_says() -> None:
    model = find_model("cifar10-downscale")
    assert model.spec.version == SPEC_VERSION
    data = Path(model.where).read_bytes()
    contents = read_contents(data)
    assert contents["spec"]["version"] == 1
    again = Model(with_contents(data, {**contents, "spec": spec_of(model)}))
    assert again.spec == model.spec


@pytest.mark.parametrize("version", [1, 2, 3])
def test_models_whose_values_in_context_were_coded_as_two_symbols_are_refused(version: int) -> None:
    values = spec_of(find_model("photo"))
    assert Spec.from_json(values).variables["x"]["kind"] == "context"
    if version < 3:
        del values["planes"]
    if version < 2:
        steps = {name: own["widths"] for name, own in values["variables"].items() if "widths" in own}
        u, x = values["variables"]["u"], values.pop("variables")["x"]
        own = {"steps": steps, "base": u["density"], "couplings": u["couplings"], "mixtures": x["mixtures"]}
        values |= own | {"phases": 1, "known_sum": False, "block": x["block"]}
    with pytest.raises(ModelError, match="another version of selfcodec: export it again"):
        Spec.from_json({**values, "version": version})


def test_any_wrong_value_of_a_specification_is_a_model_error_or_no_matter(tiny_model: Model) -> None:
    """Where a value does not matter, as the name, or planes of no quality, the model loads; nothing else is raised."""
    data = Path(tiny_model.where).read_bytes()
    contents = read_contents(data)
    errors, loaded = list[str](), set()
    for path in places(contents["spec"]):
        for wrong in WRONG:
            if type(wrong) is int and wrong == at(contents["spec"], path):
                continue
            damaged = with_contents(data, {**contents, "spec": changed_at(contents["spec"], path, wrong)})
            try:
                Model(damaged, "somewhere")
            except ModelError as error:
                errors.append(str(error))
            else:
                loaded.add(path[-1])
    assert len(errors) > 300
    assert all(error.startswith("somewhere: ") and "\n" not in error for error in errors)
    assert loaded <= {"name", "known_sum", 0, "tile", "block", "u_down", "z_down", "logits", "planes"}


@pytest.mark.parametrize("graphs", [[], None, {"p_x": {}}, {"p_x": {"nodes": 3}}, 7])
def test_graphs_that_are_none_are_model_errors(tiny_model: Model, graphs: Any) -> None:
    data = Path(tiny_model.where).read_bytes()
    with pytest.raises(ModelError, match="somewhere"):
        Model(with_contents(data, {**read_contents(data), "graphs": graphs}), "somewhere")
