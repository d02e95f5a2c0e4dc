"""Weights files that say something else of themselves than they did."""

from __future__ import annotations

import copy
import json
from typing import Any

from safetensors.torch import load, save

from selfcodec.zoo import METADATA_KEY

LEFT_OUT = object()


def with_contents(data: bytes, contents: Any) -> bytes:
    """A weights file that says something else of itself."""
    return bytes(save(load(data), {METADATA_KEY: json.dumps(contents)}))


def at(values: Any, path: tuple[Any, ...]) -> Any:
    """What stands at a path."""
    for key in path:
        values = values[key]
    return values


def changed_at(values: Any, path: tuple[Any, ...], wrong: Any) -> Any:
    """A copy with another value at a path, or none."""
    whole = copy.deepcopy(values)
    inner = at(whole, path[:-1])
    if wrong is LEFT_OUT:
        del inner[path[-1]]
    else:
        inner[path[-1]] = wrong
    return whole
