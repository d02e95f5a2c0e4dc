"""selfcodec models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from selfcodec.cli.options import json_option
from selfcodec.cli.output import complain, describe, finish, print_json, table
from selfcodec.errors import InputError, SelfcodecError

ID_DIGITS = 8
"""A coded file carries so many hexadecimal digits of a model's SHA-256."""


def _default_for(name: str) -> str:
    from selfcodec.settings import usual_effort
    from selfcodec.zoo import DEFAULT_MODELS, default_model

    found = []
    for mode, models in DEFAULT_MODELS.items():
        if name == default_model(mode, usual_effort(mode)):
            found.append(str(mode))
        elif name in models:
            found.append(f"{mode} with less effort")
    return ", ".join(found)


def _summary(name: str, folder: Path) -> dict[str, Any]:
    """A model in one row, from its manifest; SelfcodecError where that is damaged."""
    from selfcodec.zoo import read_manifest

    manifest = read_manifest(folder)
    try:
        recipe = manifest["recipe"]["model"]
        return {
            "name": name,
            "id": manifest["sha256"][:ID_DIGITS],
            "levels": recipe["levels"],
            "transformation": recipe["transformation"] if recipe["levels"] else "none",
            "parameters": manifest["parameters"],
            "default_for": _default_for(name),
            "path": str(folder),
        }
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder}: its manifest has no {error}") from error


def _list(as_json: bool) -> None:
    from selfcodec.zoo import available_models, model_folders

    rows, failures = [], 0
    for name, folder in available_models().items():
        try:
            rows.append(_summary(name, folder))
        except SelfcodecError as error:
            complain(describe(error))
            failures += 1
    if as_json:
        print_json(rows)
    elif rows:
        head = ("name", "id", "K", "transformation", "parameters", "default for")
        keys = ("name", "id", "levels", "transformation", "parameters", "default_for")
        click.echo(table([head, *([row[key] for key in keys] for row in rows)], right=(2, 4)))
    elif not failures:
        click.echo(f"no models in {', '.join(map(str, model_folders()))}")
    finish(failures)


def _details(name: str) -> dict[str, Any]:
    """Everything about one model, its weights loaded and checked."""
    from dataclasses import asdict

    from selfcodec.zoo import find_model, read_manifest

    model = find_model(name)
    folder = Path(model.where).parent
    manifest = read_manifest(folder)
    return {
        "name": model.spec.name,
        "id": model.id.hex(),
        "sha256": model.digest,
        "path": str(folder),
        "default_for": _default_for(folder.name),
        "parameters": model.parameters,
        "spec": asdict(model.spec),
        **{key: manifest.get(key, {}) for key in ("largest_sum", "recipe", "training", "measured")},
    }


def _lines(value: Any, indent: int) -> list[str]:
    """Nested tables as indented `key: value` lines."""
    lines = []
    for key, inner in value.items():
        if isinstance(inner, dict):
            lines += [f"{' ' * indent}{key}:" + ("" if inner else " none"), *_lines(inner, indent + 2)]
        else:
            lines.append(f"{' ' * indent}{key}: {inner}")
    return lines


@click.command()
@click.argument("name", required=False)
@json_option
def models(name: str | None, as_json: bool) -> None:
    """List the installed models, or show all about one.

    Models are looked for in the folders that $SELFCODEC_MODELS names, then in the box.

    \b
    Example:
      selfcodec models cifar10-downscale
    """
    if name is None:
        _list(as_json)
        return
    details = _details(name)
    if as_json:
        print_json(details)
        return
    for settings in details["spec"]["variables"].values():  # without long lists of integers
        settings.pop("widths", None)
        settings.pop("density", None)
    click.echo("\n".join(_lines(details, 0)))
