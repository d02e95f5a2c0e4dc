"""Recipes: found, extended, brought from their old form; every recipe in the box parses and builds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from recipe_changes import changed, to_toml

from selfcodec.errors import InputError
from selfcodec.models.config import ContextConfig, Recipe
from selfcodec.models.lifting import lifted
from selfcodec.models.recipe import load_recipe, merged, parse_recipe_dict, recipe_directory
from selfcodec.models.selfvae import SelfVAE
from selfcodec.models.starting import widens
from selfcodec.modes import schedule_order
from selfcodec.zoo import find_model

RECIPES = sorted(recipe_directory().glob("*.toml"))
MANIFESTS = sorted((recipe_directory().parent / "zoo").glob("*/manifest.json"))
TEXT = load_recipe("cifar10-downscale")


def test_a_recipe_comes_back_from_its_own_tables() -> None:
    assert parse_recipe_dict(asdict(TEXT)) == TEXT


@pytest.mark.parametrize("key", ["name", "model", "train"])
def test_a_missing_table_or_name_is_named(key: str) -> None:
    values = asdict(TEXT)
    del values[key]
    with pytest.raises(InputError, match=rf"^here: missing key '{key}'; known: model, name, train$"):
        parse_recipe_dict(values, "here")


@pytest.mark.parametrize("values", [3, {"name": "a", "model": 1, "train": {}}, {**asdict(TEXT), "train": [1]}])
def test_a_table_must_be_a_table(values: Any) -> None:
    with pytest.raises(InputError, match=r"^here(, \[\w+\])?: expected a table$"):
        parse_recipe_dict(values, "here")


@pytest.mark.parametrize("text", ["name = ", "[model", "name = 'a'\nname = 'b'"])
def test_text_that_is_not_toml_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(InputError, match=r"r\.toml: not valid TOML: "):
        load_recipe(str(tmp_path / "r.toml"))


def test_a_recipe_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(InputError, match="cannot be read as text"):
        load_recipe(str(tmp_path / "r.toml"))


def test_recipes_are_found_by_name_and_by_path(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(to_toml(asdict(TEXT)), encoding="utf-8")
    assert load_recipe(str(path)) == load_recipe("cifar10-downscale")


@pytest.mark.parametrize("name", ["cifar11", "none.toml"])
def test_a_recipe_that_is_not_there_is_named_with_those_that_are(name: str) -> None:
    with pytest.raises(InputError, match=rf"'{name}'.*cifar10-downscale"):
        load_recipe(name)


def test_a_transformation_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="mirror"):
        SelfVAE(changed(TEXT, model={"transformation": "mirror"}).model)


# Recipes that extend others.


def test_tables_are_merged_key_by_key_and_another_kind_replaces_its_table() -> None:
    parent = {"a": 1, "t": {"kind": "one", "x": 1, "y": {"z": 1}}, "s": {"b": 1, "c": 2}}
    assert merged(parent, {"s": {"c": 3}}) == {**parent, "s": {"b": 1, "c": 3}}
    assert merged(parent, {"t": {"y": {"w": 2}}})["t"] == {"kind": "one", "x": 1, "y": {"z": 1, "w": 2}}
    assert merged(parent, {"t": {"kind": "one", "x": 5}})["t"] == {"kind": "one", "x": 5, "y": {"z": 1}}
    assert merged(parent, {"t": {"kind": "two", "v": 5}})["t"] == {"kind": "two", "v": 5}
    assert merged(parent, {"a": {"b": 1}, "s": 4}) == {**parent, "a": {"b": 1}, "s": 4}
    assert parent["s"] == {"b": 1, "c": 2}


def test_a_recipe_extends_one_in_the_box_or_beside_it(tmp_path: Path) -> None:
    head = "[model.likelihood]\nkind = 'phases'\nphases = 1\nmixtures = 2\nhead_width = 3\nhead_blocks = 1\n"
    (tmp_path / "own.toml").write_text(f"name = 'own'\nextends = 'photo'\n[train]\nbatch = 3\n{head}")
    (tmp_path / "again.toml").write_text("name = 'again'\nextends = 'own.toml'\n[model.u]\nchannels = 6\n")
    own, photo = load_recipe(str(tmp_path / "own.toml")), load_recipe("photo")
    likelihood = {"kind": "phases", "phases": 1, "mixtures": 2, "head_width": 3, "head_blocks": 1}
    assert own == changed(photo, name="own", train={"batch": 3}, model={"likelihood": likelihood})
    assert isinstance(photo.model.likelihood, ContextConfig)
    assert load_recipe(str(tmp_path / "again.toml")) == changed(own, name="again", model={"u": {"channels": 6}})


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["extends = 'photo'"], r"0.toml: missing key 'name'"),
        (["name = 'a'\nextends = 'nothing'"], r"0.toml, extends: no recipe 'nothing'; .*photo"),
        (["name = 'a'\nextends = 3"], r"0.toml: extends must be str, not 3"),
        (["name = 'a'\nextends = '0.toml'"], r"0.toml: extends = '0.toml' makes a circle"),
        (
            ["name = 'a'\nextends = '1.toml'", "name = 'b'\nextends = '0.toml'"],
            r"1.toml: extends = '0.toml' makes a",
        ),
        (["name = 'a'\nextends = '1.toml'", "name = 'b'"], r"1.toml: missing key 'model'"),
        (
            ["name = 'a'\nextends = 'photo'\n[train]\nbtach = 1"],
            r"0.toml, \[train\]: unknown key 'btach'; known: .*b",
        ),
        (
            ["name = 'a'\nextends = 'photo'\n[model.prior]\nkind = 'mog'\nlayers = 2"],
            r"0.toml, \[model.prior\]: unknown key 'layers'; known: mixtures",
        ),
    ],
)
def test_mistakes_in_what_is_extended_are_named(texts: list[str], message: str, tmp_path: Path) -> None:
    for i, text in enumerate(texts):
        (tmp_path / f"{i}.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        load_recipe(str(tmp_path / "0.toml"))


# The old, flat form.

FLAT_DOWNSCALE: dict[str, Any] = json.loads(
    (recipe_directory().parent / "zoo/cifar10-downscale/manifest.json").read_text()
)["recipe"]


def flat(name: str, train: dict[str, Any], recipe: dict[str, Any] = FLAT_DOWNSCALE, **model: Any) -> dict[str, Any]:
    """A recipe of the zoo with changes, all in the old form."""
    return {"name": name, "model": {**recipe["model"], **model}, "train": {**recipe["train"], **train}}


FLAT = {"cifar10-downscale": flat("cifar10-downscale", {})}
"""What a recipe in the box said in the old form; the others came after it, or say more than it could."""


@pytest.mark.parametrize("name", FLAT)
def test_recipes_in_the_box_say_what_they_said_in_the_old_form(name: str) -> None:
    assert load_recipe(name) == parse_recipe_dict(FLAT[name])


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.parent.name)
def test_manifests_of_the_zoo_are_lifted(path: Path) -> None:
    """Every value has its place in today's form, and the model that it describes is the one beside it."""
    values = json.loads(path.read_text(encoding="utf-8"))["recipe"]
    before = json.dumps(values)
    recipe = parse_recipe_dict(values, str(path))
    assert json.dumps(values) == before
    assert parse_recipe_dict(asdict(recipe)) == recipe
    spec, model = find_model(str(path.parent)).spec, SelfVAE(recipe.model)
    assert spec.shape == model.shape
    measured = {"log_scales"}  # how wrong pictures are is no matter of the recipe
    for name, likelihood in model.pixels.items():
        own, theirs = likelihood.settings(), spec.variables[name]
        assert set(own) == set(theirs)
        assert all(own[key] == theirs[key] for key in set(own) - measured)
    source = find_model(str(path.parent))
    assert all(net.graph == source.nets[name].graph for name, net in model.graphs())


def test_the_oldest_flat_recipes_lack_keys() -> None:
    lacking = {"context", "finest", "folds_q", "blocks_head", "patch", "optimizer", "start", "networks", "augment"}
    assert not lacking & {*FLAT_DOWNSCALE["model"], *FLAT_DOWNSCALE["train"]}
    recipe = parse_recipe_dict(FLAT_DOWNSCALE)
    assert (recipe.train.optimizer.kind, recipe.train.networks, recipe.train.start) == ("adamax", "all", "")
    assert (recipe.model.blocks.finest, recipe.model.likelihood.kind) == (0, "phases")


def test_flat_values_of_kinds_that_do_not_read_them_are_dropped() -> None:
    recipe = parse_recipe_dict(
        flat("a", {}, prior="mog", prior_mixtures=2, network="densenet", growth=3, layers=4, posterior="gaussian")
    )
    assert asdict(recipe.model.prior) == {"kind": "mog", "mixtures": 2}
    assert asdict(recipe.model.posterior) == {"kind": "gaussian"}
    assert {"growth": 3, "layers": 4}.items() <= asdict(recipe.model.network).items()
    assert asdict(parse_recipe_dict(flat("a", {}, prior="gaussian")).model.prior) == {"kind": "gaussian"}


def _without_seed(values: dict[str, Any]) -> None:
    del values["train"]["seed"]


def _with_a_typo(values: dict[str, Any]) -> None:
    values["model"]["widht"] = 3


def _unknown_prior(values: dict[str, Any]) -> None:
    values["model"]["prior"] = "vampprior"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_without_seed, r"^here, \[train\]: missing key 'seed'"),
        (_with_a_typo, r"^here, \[model\]: unknown key 'widht'"),
        (_unknown_prior, r"^here, \[model.prior\]: unknown kind 'vampprior'"),
    ],
)
def test_mistakes_in_flat_recipes_are_named(spoil: Callable[[dict[str, Any]], None], message: str) -> None:
    values = flat("a", {})
    spoil(values)
    with pytest.raises(InputError, match=message):
        parse_recipe_dict(values, "here")


@pytest.mark.parametrize("values", [3, {}, {"model": 1, "train": {}}, asdict(TEXT)])
def test_what_is_not_flat_is_left_alone(values: Any) -> None:
    assert lifted(values) is values


# Recipes in the box.


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_in_the_box_parses_and_builds(path: Path) -> None:
    recipe = load_recipe(path.stem)
    assert recipe.name == path.stem
    model = SelfVAE(recipe.model)
    assert tuple(step.name for step in model.steps) == schedule_order(recipe.model.levels)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_fits_the_model_that_it_starts_from(path: Path) -> None:
    recipe: Recipe = load_recipe(path.stem)
    if recipe.train.start:
        source, model = find_model(recipe.train.start), SelfVAE(recipe.model)
        assert source.spec.shape == model.shape
        assert all(widens(net.graph, source.nets[name].graph) for name, net in model.graphs())


def test_every_recipe_says_which_command_runs_it() -> None:
    for path in RECIPES:
        assert path.read_text(encoding="utf-8").startswith(f"# selfcodec train {path.stem}\n")
