"""Recipes of tests: another recipe with some of its values changed, and as the text of a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from selfcodec.models.config import Recipe
from selfcodec.models.recipe import merged, parse_recipe_dict


def changed(recipe: Recipe, **changes: Any) -> Recipe:
    """The recipe with other values, as a file that extends it would give them: tables are merged key by key."""
    return parse_recipe_dict(merged(asdict(recipe), changes))


def with_optimizer(recipe: Recipe, kind: str, **changes: Any) -> Recipe:
    """The recipe with another optimizer at the same rates, but for those that are given."""
    return changed(recipe, train={"optimizer": {**asdict(recipe.train.optimizer), "kind": kind, **changes}})


def _lines(values: dict[str, Any], name: str) -> Iterator[str]:
    if name:
        yield f"[{name}]"
    yield from (f"{key} = {json.dumps(value)}" for key, value in values.items() if not isinstance(value, dict))
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _lines(value, f"{name}.{key}" if name else key)


def to_toml(values: dict[str, Any]) -> str:
    """Tables as TOML; JSON's strings, numbers and truth values are TOML's."""
    return "\n".join(_lines(values, ""))
