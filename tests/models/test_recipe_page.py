"""docs/recipes.md: every table of a recipe and its keys, as the classes say that read them.

`python tests/models/test_recipe_page.py` writes the page anew.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from selfcodec.models.config import Recipe
from selfcodec.models.parsing import kinds

PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"
HEAD = """# Recipes

A recipe is a TOML file that describes a model and its training completely: `selfcodec train FILE`. Those in the box are
in [models/recipes](../models/recipes); `selfcodec train NAME` takes one by its name. A file may begin with
`extends = "NAME"`, or with the path of a .toml file seen from its own folder: it then keeps the values of that recipe,
but for its name and for what it gives itself.

Some tables come in kinds: their key `kind` says which, and they hold that kind's keys alone. Keys without a default
must be there, in the recipe or in one that it extends; unknown keys are refused. `python
tests/models/test_recipe_page.py` makes this page of the classes that read recipes.
"""
NUMBERS = {int: "whole number", float: "number", str: "text", bool: "true or false"}
ARGUMENT = re.compile(r"^ {4}(\w[\w, ]*): ")
"""The first line of what an "Attributes:" section says of one or several keys."""
TABLE_AND_KIND = re.compile(r"^\[.*?(: |(?=\.$))")
"""Docstrings begin with their tables' names and their kind, which stand elsewhere on the page."""


def meanings(table: Any) -> dict[tuple[str, ...], str]:
    """What the docstrings of a class and of those that it extends say of its keys, of which some are told together."""
    found: dict[tuple[str, ...], str] = {}
    for own in reversed(table.__mro__):
        section = (inspect.cleandoc(own.__dict__.get("__doc__") or "") + "\n").partition("Attributes:\n")[2]
        keys: tuple[str, ...] = ()
        for line in section.splitlines():
            if begun := ARGUMENT.match(line):
                keys = tuple(begun[1].split(", "))
                found[keys] = line[begun.end() :]
            elif keys:
                found[keys] = f"{found[keys]} {line.strip()}".rstrip()
    return found


def takes(hint: Any) -> str:
    """A plain type in words."""
    if get_origin(hint) is tuple:
        return f"list, each {takes(get_args(hint)[0])}"
    if get_origin(hint) is Annotated:
        plain, allowed = get_args(hint)
        return f"{NUMBERS[plain]}, {allowed}"
    if get_origin(hint) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(hint))
    return NUMBERS[hint]


def default(field: Field[Any]) -> str:
    if field.default is MISSING:
        return ""
    if is_dataclass(field.default):
        return f"`{field.default.kind}`"  # type: ignore[attr-defined]
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def inner_tables(table: Any, name: str) -> dict[str, Any]:
    """The tables in a table, by name."""
    hints = get_type_hints(table, include_extras=True)
    inner = (field.name for field in fields(table) if field.init)
    return {f"{name}.{key}".lstrip("."): hints[key] for key in inner if is_dataclass(hints[key]) or kinds(hints[key])}


def rows(table: Any, name: str) -> Iterator[str]:
    """A table's keys."""
    hints, own = get_type_hints(table, include_extras=True), {field.name: field for field in fields(table)}
    inner = inner_tables(table, name)
    for keys, meaning in meanings(table).items():
        names = [f"{name}.{key}".lstrip(".") for key in keys]
        types = [f"table `[{at}]`" if at in inner else takes(hints[key]) for at, key in zip(names, keys, strict=True)]
        defaults = (default(own[key]) for key in keys)
        columns = (", ".join(f"`{key}`" for key in keys), *("; ".join(dict.fromkeys(x)) for x in (types, defaults)))
        yield f"| {' | '.join(columns)} | {meaning} |"


def sections(table: Any, name: str, seen: dict[Any, str]) -> Iterator[str]:
    """A table, each of its kinds with its keys, and the tables in it; what was shown before is referred to."""
    yield f"## `[{name}]`" if name else "## The file itself"
    members = kinds(table) or {"": table}
    for kind, member in members.items():
        title = f"`{kind}`: " if kind else ""
        if member in seen:
            yield f"{title}as in `[{seen[member]}]`." if kind else f"As `[{seen[member]}]`."
            continue
        seen[member] = name
        about = inspect.cleandoc(member.__doc__).partition("\n\nAttributes:")[0]
        about = TABLE_AND_KIND.sub("", " ".join(about.split()))
        yield f"{title}{about}".replace(": .", ".") if kind else about[0].upper() + about[1:]
        if keys := list(rows(member, name)):
            yield "\n".join(["| key | takes | default | meaning |", "|---|---|---|---|", *keys])
    for member in members.values():
        if seen[member] == name:
            for inner, hint in inner_tables(member, name).items():
                yield from sections(hint, inner, seen)


def page() -> str:
    return HEAD + "\n" + "\n\n".join(sections(Recipe, "", {})) + "\n"


def test_the_page_is_up_to_date() -> None:
    current = PAGE.read_text(encoding="utf-8")
    assert page().splitlines() == current.splitlines(), "python tests/models/test_recipe_page.py writes it anew"


def test_every_key_is_told_once() -> None:
    """A key that its class does not describe would not stand on the page."""

    def check(table: Any) -> None:
        told = [key for keys in meanings(table) for key in keys]
        assert sorted(told) == sorted(field.name for field in fields(table) if field.init), table
        for hint in inner_tables(table, "").values():
            for member in (kinds(hint) or {"": hint}).values():
                check(member)

    check(Recipe)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
