"""Tables of values to dataclasses, strictly: every mistake is one line that names the file, the table and the key.

A dataclass describes a table: its fields are the keys, their annotations the types. An annotation is `int`, `float`,
`str` or `bool`, a `Literal` of the values that there are, an `Annotated` one with a `Range`, a `tuple` of any number of
these, or another table: a dataclass, or a union of dataclasses that each have a field `kind`. Such a union is a
registry: the table's key `kind` chooses one of its members, so that a table holds only what its kind reads.

A key with a default may be missing, one without may not. So a key that is added to a table later gets a default, which
is what was done before there was the key: files from before then stay readable.
"""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from selfcodec.errors import InputError


@dataclass(frozen=True)
class Range:
    """The numbers that a value may be: from `low` to `high`, without these two where `open` is set."""

    low: float
    high: float = math.inf
    open: bool = False

    def __contains__(self, value: float) -> bool:
        return self.low < value < self.high if self.open else self.low <= value <= self.high

    def __str__(self) -> str:
        if self.high < math.inf:
            return f"{'between' if self.open else 'from'} {self.low:g} {'and' if self.open else 'to'} {self.high:g}"
        return f"above {self.low:g} and finite" if self.open else f"at least {self.low:g}"


Count = Annotated[int, Range(1)]
Size = Annotated[int, Range(0)]
Share = Annotated[float, Range(0, 1)]
Weight = Annotated[float, Range(0)]
Positive = Annotated[float, Range(0, open=True)]


def kinds(table: Any) -> dict[str, Any]:
    """The members of a union of tables by their `kind`; of a single dataclass with that field, it alone; else none."""
    members: tuple[Any, ...] = get_args(table) if get_origin(table) in (Union, UnionType) else (table,)
    return {str(member.kind): member for member in members if is_dataclass(member) and hasattr(member, "kind")}


def _is_table(hint: Any) -> bool:
    return bool(kinds(hint)) or is_dataclass(hint)


def _names(names: Any) -> str:
    return ", ".join(sorted(map(str, names)))


def _chosen(table: Any, values: dict[str, Any], at: str) -> tuple[Any, dict[str, Any]]:
    """The dataclass that a table's `kind` names, and the table's other keys."""
    known = kinds(table)
    if not known:
        return table, values
    if "kind" not in values:
        raise InputError(f"{at}: missing key 'kind'; known kinds: {_names(known)}")
    kind = values["kind"]
    if not isinstance(kind, str) or kind not in known:
        raise InputError(f"{at}: unknown kind {kind!r}; known: {_names(known)}")
    return known[kind], {key: value for key, value in values.items() if key != "kind"}


def _value(hint: Any, name: str, value: Any, at: str) -> Any:
    """One value of a plain type, or a list of them; whole numbers will do for real ones."""
    allowed = None
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise InputError(f"{at}: {name} must be a list, not {value!r}")
        return tuple(_value(get_args(hint)[0], f"every one of {name}", item, at) for item in value)
    if get_origin(hint) is Annotated:
        hint, allowed = get_args(hint)
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            raise InputError(f"{at}: {name} must be one of {', '.join(map(repr, choices))}, not {value!r}")
        return value
    if hint is float and type(value) is int:
        value = float(value)
    if type(value) is not hint:
        raise InputError(f"{at}: {name} must be {hint.__name__}, not {value!r}")
    if allowed is not None and value not in allowed:
        raise InputError(f"{at}: {name} must be {allowed}, not {value}")
    return value


def parse(table: Any, values: Any, where: str, name: str = "") -> Any:
    """A dataclass from a table of values.

    Args:
        table: the dataclass, or the union of them that `kind` chooses from.
        values: what a TOML or JSON file or a checkpoint holds.
        where: the file, for messages.
        name: the table's name in it, with dots; empty for the file itself.

    Raises:
        InputError: a key is unknown or missing, or a value of another type or out of its range.
    """
    at = f"{where}, [{name}]" if name else where
    if not isinstance(values, dict):
        raise InputError(f"{at}: expected a table")
    chosen, values = _chosen(table, values, at)
    own = {field.name: field for field in fields(chosen) if field.init}
    if unknown := sorted(set(values) - set(own), key=str):
        raise InputError(f"{at}: unknown key {unknown[0]!r}; known: {_names(own)}")
    needed = {key for key, field in own.items() if field.default is MISSING and field.default_factory is MISSING}
    if missing := sorted(needed - set(values)):
        raise InputError(f"{at}: missing key {missing[0]!r}; known: {_names(own)}")
    hints, parsed = get_type_hints(chosen, include_extras=True), {}
    for key, value in values.items():
        if _is_table(hints[key]):
            parsed[key] = parse(hints[key], value, where, f"{name}.{key}" if name else key)
        else:
            parsed[key] = _value(hints[key], key, value, at)
    try:
        return chosen(**parsed)
    except InputError as error:  # values that do not go together
        raise InputError(f"{at}: {error}") from error
