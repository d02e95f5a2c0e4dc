"""Recipes: strictly parsed, each mistake named; every recipe in the box parses and builds."""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from pathlib import Path

import pytest

from selfcodec.errors import InputError
from selfcodec.models.config import (
    ModelConfig,
    Recipe,
    TrainConfig,
    load_recipe,
    parse_recipe,
    parse_recipe_dict,
    recipe_directory,
)
from selfcodec.models.selfvae import SelfVAE
from selfcodec.models.train import widens
from selfcodec.modes import schedule_order
from selfcodec.zoo import find_model

RECIPES = sorted(recipe_directory().glob("*.toml"))
TEXT = load_recipe("cifar10-downscale")
TABLES = (("model", ModelConfig), ("train", TrainConfig))
KEYS = [(table, field.name) for table, kind in TABLES for field in fields(kind)]


def to_toml(values: dict[str, object]) -> str:
    """TOML of a parsed recipe: strings, numbers, booleans and one level of tables."""

    def literal(value: object) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        return f'"{value}"' if isinstance(value, str) else repr(value)

    plain = [f"{key} = {literal(value)}" for key, value in values.items() if not isinstance(value, dict)]
    tables = []
    for name, table in values.items():
        if isinstance(table, dict):
            tables += [f"[{name}]", *(f"{key} = {literal(value)}" for key, value in table.items())]
    return "\n".join([*plain, *tables])


def changed(table: str, key: str, value: object) -> dict[str, dict[str, object]]:
    values = asdict(TEXT)
    values[table] = {**values[table], key: value}
    return values


def test_the_released_recipe_comes_back_from_its_own_text() -> None:
    assert parse_recipe(to_toml(asdict(TEXT))) == TEXT
    assert parse_recipe_dict(asdict(TEXT)) == TEXT


@pytest.mark.parametrize(("table", "key"), KEYS)
def test_a_missing_key_is_named(table: str, key: str) -> None:
    values = asdict(TEXT)
    del values[table][key]
    with pytest.raises(InputError, match=rf"^here, \[{table}\]: missing key '{key}'$"):
        parse_recipe(to_toml(values), "here")


@pytest.mark.parametrize("key", ["name", "model", "train"])
def test_a_missing_table_or_name_is_named(key: str) -> None:
    values = asdict(TEXT)
    del values[key]
    with pytest.raises(InputError, match=rf"^here: missing key '{key}'$"):
        parse_recipe(to_toml(values), "here")


@pytest.mark.parametrize("table", ["model", "train"])
def test_an_unknown_key_is_named_and_the_known_ones_are_listed(table: str) -> None:
    with pytest.raises(InputError, match=rf"^here, \[{table}\]: unknown key 'widht'; known: .*\w, \w"):
        parse_recipe(to_toml(changed(table, "widht", 3)), "here")


def test_an_unknown_table_is_named() -> None:
    with pytest.raises(InputError, match=r"^here: unknown key 'extra'; known: model, name, train$"):
        parse_recipe(to_toml({**asdict(TEXT), "extra": {"a": 1}}), "here")


WRONG = {int: (1.5, "1", True), float: ("1", True), str: (1, False), bool: (1, "true")}


@pytest.mark.parametrize(("table", "key"), KEYS)
def test_an_ill_typed_value_is_named(table: str, key: str) -> None:
    kind = type(asdict(TEXT)[table][key])
    for wrong in WRONG[kind]:
        with pytest.raises(InputError, match=rf"^here, \[{table}\]: {key} must be {kind.__name__}, not "):
            parse_recipe(to_toml(changed(table, key, wrong)), "here")


def test_a_whole_number_will_do_for_a_real_one() -> None:
    parsed = parse_recipe_dict(changed("train", "minutes", 3))
    assert parsed.train.minutes == 3.0
    assert type(parsed.train.minutes) is float


@pytest.mark.parametrize("value", [1, "model", [1]])
def test_a_table_must_be_a_table(value: object) -> None:
    with pytest.raises(InputError, match=r"^here, \[model\]: expected a table$"):
        parse_recipe_dict({**asdict(TEXT), "model": value}, "here")


@pytest.mark.parametrize("text", ["name = ", "[model", "name = 'a'\nname = 'b'"])
def test_text_that_is_not_toml_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^here: not valid TOML: "):
        parse_recipe(text, "here")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("minutes", 0),
        ("minutes", -1.0),
        ("minutes", math.inf),
        ("learning_rate", 0.0),
        ("batch", 0),
        ("warmup", -1),
        ("clip", 0.0),
        ("free_weight", -1.0),
        ("latent_weight", -0.1),
        ("free_share", 1.5),
        ("ema", math.nan),
        ("quantise_share", -0.5),
    ],
)
def test_values_that_no_training_can_go_by_are_refused(key: str, value: float) -> None:
    values = asdict(TEXT)
    values["train"][key] = value
    with pytest.raises(InputError, match=rf"\[train\]: {key} must be"):
        parse_recipe_dict(values)


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


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_in_the_box_parses_and_builds(path: Path) -> None:
    recipe = load_recipe(path.stem)
    assert recipe.name == path.stem
    model = SelfVAE(recipe.model)
    assert tuple(step.name for step in model.steps) == schedule_order(recipe.model.levels)
    check_training(recipe)


def check_training(recipe: Recipe) -> None:
    """Values that training divides by or takes shares of."""
    t = recipe.train
    assert t.batch > 0
    assert t.learning_rate > 0
    assert t.minutes > 0
    for share in (t.final_rate, t.free_share, t.generated_share, t.latent_warmup, t.quantise_share, t.ema):
        assert 0 <= share <= 1


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_fits_the_model_that_it_starts_from(path: Path) -> None:
    recipe = load_recipe(path.stem)
    if recipe.train.start:
        source, model = find_model(recipe.train.start), SelfVAE(recipe.model)
        assert source.spec.shape == model.shape
        assert all(widens(net.graph, source.nets[name].graph) for name, net in model.graphs())


def test_every_recipe_says_which_command_runs_it() -> None:
    for path in RECIPES:
        assert path.read_text(encoding="utf-8").startswith(f"# selfcodec train {path.stem}\n")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("transformation", "mirror"),
        ("levels", -1),
        ("levels", 16),
        ("phases", 2),
        ("posterior", "laplace"),
        ("prior", "vampprior"),
        ("network", "transformer"),
        ("mixtures", 0),
        ("u_channels", 0),
        ("u_down", -1),
        ("width", 0),
        ("blocks", -1),
        ("prior_layers", -1),
        ("growth", 0),
    ],
)
def test_values_that_no_model_has_are_refused(key: str, value: object) -> None:
    recipe = parse_recipe_dict(changed("model", key, value))
    with pytest.raises(InputError, match=rf"{key}.*{value}"):
        SelfVAE(recipe.model)


def test_a_realnvp_prior_halves_its_channels() -> None:
    with pytest.raises(InputError, match="u_channels must be even"):
        SelfVAE(parse_recipe_dict(changed("model", "u_channels", 3)).model)
