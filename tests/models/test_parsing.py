"""Tables are parsed strictly: each mistake is a line that names the file, the table, the key, and the known ones."""

from __future__ import annotations

import math
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from typing import Annotated, Any, Literal

import pytest
import torch

from selfcodec.errors import InputError
from selfcodec.models.config import Recipe
from selfcodec.models.parsing import Range, kinds, parse
from selfcodec.models.recipe import load_recipe, merged, parse_recipe_dict

NAMES = ("cifar10-downscale", "photo")
"""Recipes that between them have every kind of table that takes keys, but for densenet's and mog's."""


@dataclass(frozen=True, kw_only=True)
class Square:
    kind: Literal["square"] = field(default="square", init=False)
    side: Annotated[float, Range(0, open=True)]


@dataclass(frozen=True, kw_only=True)
class Circle:
    kind: Literal["circle"] = field(default="circle", init=False)
    radius: float
    filled: bool = True


@dataclass(frozen=True, kw_only=True)
class Drawing:
    title: str
    copies: Annotated[int, Range(1, 9)]
    colour: Literal["black", "red"]
    shape: Square | Circle


DRAWING = {"title": "a", "copies": 2, "colour": "red", "shape": {"kind": "square", "side": 2}}


def test_a_table_becomes_a_dataclass_and_comes_back() -> None:
    drawing = parse(Drawing, DRAWING, "here")
    assert drawing == Drawing(title="a", copies=2, colour="red", shape=Square(side=2.0))
    assert type(drawing.shape.side) is float  # a whole number will do for a real one
    assert asdict(drawing) == DRAWING
    assert parse(Drawing, asdict(drawing), "here") == drawing


def test_kinds_are_the_members_of_a_union() -> None:
    assert kinds(Square | Circle) == {"square": Square, "circle": Circle}
    assert kinds(Circle) == {"circle": Circle}
    assert kinds(Drawing) == kinds(int) == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extra": 1}, "here: unknown key 'extra'; known: colour, copies, shape, title"),
        ({"title": 1}, "here: title must be str, not 1"),
        ({"title": {}}, "here: title must be str, not {}"),
        ({"copies": 1.0}, "here: copies must be int, not 1.0"),
        ({"copies": True}, "here: copies must be int, not True"),
        ({"copies": 0}, "here: copies must be from 1 to 9, not 0"),
        ({"colour": "green"}, "here: colour must be one of 'black', 'red', not 'green'"),
        ({"shape": "square"}, "here, [shape]: expected a table"),
        ({"shape": {"side": 1}}, "here, [shape]: missing key 'kind'; known kinds: circle, square"),
        ({"shape": {"kind": "oval"}}, "here, [shape]: unknown kind 'oval'; known: circle, square"),
        ({"shape": {"kind": [1]}}, r"here, [shape]: unknown kind [1]; known: circle, square"),
        ({"shape": {"kind": "square"}}, "here, [shape]: missing key 'side'; known: side"),
        ({"shape": {"kind": "circle", "side": 1}}, "here, [shape]: unknown key 'side'; known: filled, radius"),
        ({"shape": {"kind": "square", "side": 0}}, "here, [shape]: side must be above 0 and finite, not 0.0"),
        ({"shape": {"kind": "square", "side": "1"}}, "here, [shape]: side must be float, not '1'"),
        ({"shape": {"kind": "circle", "radius": 1, "filled": 1}}, "here, [shape]: filled must be bool, not 1"),
    ],
)
def test_mistakes_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(Drawing, {**DRAWING, **changes}, "here")
    assert str(caught.value) == message


def test_a_new_key_breaks_no_older_file() -> None:
    """What was written before a key was there is read with its default; what has the key is read with its value."""

    @dataclass(frozen=True, kw_only=True)
    class Before:
        width: int

    @dataclass(frozen=True, kw_only=True)
    class After(Before):
        depth: int = 3

    old = asdict(parse(Before, {"width": 5}, "old"))
    assert parse(After, old, "old") == After(width=5, depth=3)
    assert parse(After, {**old, "depth": 4}, "new") == After(width=5, depth=4)


# The tables of recipes.


def tables(config: Any, path: tuple[str, ...] = ()) -> Any:
    """Every table of a recipe below its top: its path and its dataclass."""
    for f in fields(config):
        value = getattr(config, f.name)
        if is_dataclass(value):
            yield (*path, f.name), value
            yield from tables(value, (*path, f.name))


KEYS = [
    (name, path, f.name)
    for name in NAMES
    for path, table in tables(load_recipe(name))
    for f in fields(table)
    if f.init and f.default is MISSING and not is_dataclass(getattr(table, f.name))
]


def with_value(recipe: Recipe, path: tuple[str, ...], key: str, value: object) -> dict[str, Any]:
    changes: dict[str, Any] = {key: value}
    for name in reversed(path):
        changes = {name: changes}
    return merged(asdict(recipe), changes)


def test_only_uniform_posteriors_have_grids_to_round_to() -> None:
    rounded = merged(asdict(load_recipe("cifar10-vae-paper")), {"train": {"objective": {"rounded_share": 0.5}}})
    with pytest.raises(InputError, match="rounded_share needs posteriors of kind 'uniform', not 'gaussian'"):
        parse_recipe_dict(rounded, "here")


@pytest.mark.parametrize(("name", "path", "key"), KEYS)
def test_a_missing_key_of_a_recipe_is_named(name: str, path: tuple[str, ...], key: str) -> None:
    values = asdict(load_recipe(name))
    table = values
    for part in path:
        table = table[part]
    del table[key]
    with pytest.raises(InputError, match=rf"^here, \[{'.'.join(path)}\]: missing key '{key}'; known: .*{key}"):
        parse_recipe_dict(values, "here")


WRONG: dict[type, tuple[object, ...]] = {int: (1.5, "1", True), float: ("1", True), str: (1, False), bool: (1, "true")}


@pytest.mark.parametrize(("name", "path", "key"), KEYS)
def test_an_ill_typed_value_of_a_recipe_is_named(name: str, path: tuple[str, ...], key: str) -> None:
    recipe = load_recipe(name)
    table = dict(tables(recipe))[path]
    for wrong in WRONG[type(getattr(table, key))]:
        with pytest.raises(InputError, match=rf"^here, \[{'.'.join(path)}\]: {key} must be "):
            parse_recipe_dict(with_value(recipe, path, key, wrong), "here")


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        ("train", "minutes", 0),
        ("train", "minutes", -1.0),
        ("train", "minutes", math.inf),
        ("train", "batch", 0),
        ("train", "patch", 0),
        ("train", "clip", 0.0),
        ("train", "ema", math.nan),
        ("train", "quantise_share", -0.5),
        ("train", "networks", "latents"),
        ("train", "seed", 2**64),
        ("train", "seed", -(2**63) - 1),
        ("train.optimizer", "learning_rate", 0.0),
        ("train.optimizer", "final_rate", 1.1),
        ("train.optimizer", "warmup", -1),
        ("train.objective", "free_weight", -1.0),
        ("train.objective", "latent_weight", -0.1),
        ("train.objective", "free_share", 1.5),
        ("model", "levels", -1),
        ("model", "levels", 16),
        ("model.u", "channels", 0),
        ("model.u", "down", -1),
        ("model.prior", "layers", -1),
        ("model.network", "width", 0),
        ("model.network", "blocks", -1),
        ("model.likelihood", "phases", 2),
        ("model.likelihood", "mixtures", 0),
    ],
)
def test_values_that_nothing_can_go_by_are_refused(path: str, key: str, value: object) -> None:
    values = with_value(load_recipe("cifar10-downscale"), tuple(path.split(".")), key, value)
    with pytest.raises(InputError, match=rf"^here, \[{path}\]: {key} must be .*, not {value!r}"):
        parse_recipe_dict(values, "here")


@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_decays_lie_between_0_and_1(decay: float) -> None:
    values = with_value(load_recipe("photo-lossy"), ("train", "optimizer"), "second_decay", decay)
    with pytest.raises(InputError, match=rf"second_decay must be between 0 and 1, not {decay}$"):
        parse_recipe_dict(values, "here")


@pytest.mark.parametrize("seed", [-(2**63), 2**64 - 1])
def test_seeds_are_those_that_torch_takes(seed: int) -> None:
    recipe = parse_recipe_dict(with_value(load_recipe("photo"), ("train",), "seed", seed))
    assert torch.Generator().manual_seed(recipe.train.seed).initial_seed() == seed % 2**64


@pytest.mark.parametrize(
    "path", ["model.posterior", "model.prior", "model.network", "model.likelihood", "model.x_likelihood"]
)
def test_unknown_kinds_are_named_with_the_known_ones(path: str) -> None:
    values = with_value(load_recipe("photo"), tuple(path.split(".")), "kind", "transformer")
    with pytest.raises(InputError, match=rf"^here, \[{path}\]: unknown kind 'transformer'; known: \w+, \w+"):
        parse_recipe_dict(values, "here")


def test_a_realnvp_prior_halves_its_channels() -> None:
    values = with_value(load_recipe("photo"), ("model", "u"), "channels", 3)
    with pytest.raises(InputError, match=r"^here, \[model\]: u.channels must be even"):
        parse_recipe_dict(values, "here")


@pytest.mark.parametrize("chosen", [("context", "same"), ("phases", "context")])
def test_a_context_likelihood_quarters_its_features(chosen: tuple[str, str]) -> None:
    of_head = {"mixtures": 2, "head_width": 8, "head_blocks": 1}
    keys: dict[str, dict[str, int]] = {"same": {}, "context": of_head, "phases": {**of_head, "phases": 1}}
    likelihood, x_likelihood = ({"kind": kind, **keys[kind]} for kind in chosen)
    model = {"likelihood": likelihood, "x_likelihood": x_likelihood}
    photo = asdict(load_recipe("photo"))
    parse_recipe_dict(merged(photo, {"model": {**model, "network": {"width": 36}}}), "here")
    with pytest.raises(InputError, match=r"^here, \[model\]: network.width must be a multiple of 4 .*, not 30$"):
        parse_recipe_dict(merged(photo, {"model": {**model, "network": {"width": 30}}}), "here")
