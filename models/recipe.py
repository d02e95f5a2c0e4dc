"""Reads recipes: TOML files, in the box or a user's own, and the tables that checkpoints and manifests keep.

A file may begin with `extends = "NAME"`, or with the path of a .toml file, seen from its own folder: it then keeps the
values of that recipe, but for its name and for what it gives itself.
"""

from __future__ import annotations

import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from selfcodec.errors import InputError
from selfcodec.models.config import Recipe
from selfcodec.models.lifting import lifted
from selfcodec.models.parsing import parse

EXTENDS = "extends"


def merged(parent: dict[str, Any], child: dict[str, Any]) -> dict[str, Any]:
    """The parent's values with the child's in their place, table by table and key by key.

    A table of the child whose `kind` is another than the parent's replaces it whole, since keys of one kind mean
    nothing to another.
    """
    out = dict(parent)
    for key, value in child.items():
        old = parent.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and value.get("kind", old.get("kind")) == old.get("kind"):
            value = merged(old, value)
        out[key] = value
    return out


def recipe_directory() -> Path:
    """Where the recipes of the box are."""
    return Path(__file__).parent / "recipes"


def _find(name_or_path: str, folder: Path = Path()) -> Path:
    """The file of a recipe by its name or, seen from a folder, by its path; InputError where there is none."""
    path = folder / name_or_path
    if path.suffix != ".toml":
        path = recipe_directory() / f"{name_or_path}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in recipe_directory().glob("*.toml")))
        raise InputError(f"no recipe {name_or_path!r}; give a .toml file or one of: {known}")
    return path


def _extended(values: dict[str, Any], where: str, folder: Path, above: tuple[Path, ...]) -> Recipe:
    """The recipe of a file's values; `above` are the files that extend it, the first one first, and itself."""
    own = {key: value for key, value in values.items() if key != EXTENDS}
    if EXTENDS not in values:
        return parse_recipe_dict(own, where)
    name = values[EXTENDS]
    if not isinstance(name, str):
        raise InputError(f"{where}: {EXTENDS} must be str, not {name!r}")
    try:
        path = _find(name, folder)
    except InputError as error:
        raise InputError(f"{where}, {EXTENDS}: {error}") from error
    if path.resolve() in above:
        raise InputError(f"{where}: {EXTENDS} = {name!r} makes a circle, and no recipe is complete")
    parent = asdict(_load(path, above))
    del parent["name"]
    return parse_recipe_dict(merged(parent, own), where)


def _load(path: Path, above: tuple[Path, ...] = ()) -> Recipe:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({type(error).__name__})") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not valid TOML: {error}") from error
    return _extended(values, str(path), path.parent, (*above, path.resolve()))


def parse_recipe_dict(values: Any, where: str = "recipe") -> Recipe:
    """A recipe from tables of values, as a checkpoint or a manifest holds them; also in their old, flat form.

    Raises:
        InputError: names an unknown, missing, ill-typed or impossible value; keys with defaults may be missing.
    """
    recipe: Recipe = parse(Recipe, lifted(values), where)
    return recipe


def load_recipe(name_or_path: str) -> Recipe:
    """A recipe in the box by its name, or a file by its path."""
    return _load(_find(name_or_path))
