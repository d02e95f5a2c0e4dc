"""selfcodec models."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from selfcodec.cli.names import shown
from selfcodec.cli.options import json_option
from selfcodec.cli.output import complain, describe, finish, print_json, table
from selfcodec.errors import InputError, SelfcodecError

ID_DIGITS = 8
"""A coded file carries so many hexadecimal digits of a model's SHA-256."""
_TRAINED_ON = re.compile(r"^Trained on (.+)\. Terms of the data: ", re.MULTILINE)
"""Cards say so of each data set."""


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


def _summary(name: str, folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A model in one row, from its manifest; InputError where that is none."""
    from selfcodec.models.datasets import ALIASES
    from selfcodec.zoo import MANIFEST

    try:
        recipe, training = manifest["recipe"]["model"], manifest["recipe"]["train"]
        lossy_only = training.get("objective", {}).get("kind") == "rate_distortion"
        return {
            "name": name,
            "id": manifest["sha256"][:ID_DIGITS],
            "levels": recipe["levels"],
            "transformation": recipe["transformation"] if recipe["levels"] else "none",
            "parameters": manifest["parameters"],
            "trained_on": ALIASES.get(training["dataset"], training["dataset"]),
            "lossy_only": lossy_only,
            "default_for": _default_for(name),
            "path": str(folder),
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / MANIFEST}: is not a model's manifest: install the model again") from error


def _purpose(row: Mapping[str, Any]) -> str:
    """Which images a model is for, and which files."""
    return f"{row['trained_on']}, lossy only" if row["lossy_only"] else str(row["trained_on"])


def _list(as_json: bool) -> None:
    from selfcodec.zoo import available_models, model_folders, read_manifest

    rows, failures = [], 0
    for name, folder in available_models().items():
        try:
            rows.append(_summary(name, folder, read_manifest(folder)))
        except SelfcodecError as error:
            complain(describe(error))
            failures += 1
    if as_json:
        print_json(rows)
    elif rows:
        head = ("name", "id", "K", "transformation", "parameters", "for images like", "default for")
        keys = ("name", "id", "levels", "transformation", "parameters")
        cells = [[*(row[key] for key in keys), _purpose(row), row["default_for"]] for row in rows]
        click.echo(table([head, *cells], right=(2, 4)))
    elif not failures:
        click.echo(f"no models in {', '.join(map(str, model_folders()))}")
    finish(failures)


def _details(name: str) -> dict[str, Any]:
    """Everything about one model, its weights loaded and checked."""
    from dataclasses import asdict

    from selfcodec.zoo import find_model, read_manifest

    model = find_model(name)
    weights = Path(model.where)
    manifest = read_manifest(weights.parent)
    return {
        **_summary(weights.parent.name, weights.parent, manifest),
        "name": model.spec.name,
        "sha256": model.digest,
        "modes": list(map(str, model.modes)),
        "parameters": model.parameters,
        "bytes": weights.stat().st_size,
        "spec": asdict(model.spec),
        **{key: manifest.get(key, {}) for key in ("largest_sum", "recipe", "training", "measured")},
    }


def _data(card: Path) -> list[str]:
    """What a model was trained on, by its card; nothing where that does not tell."""
    try:
        return _TRAINED_ON.findall(card.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []


def _text(details: Mapping[str, Any]) -> str:
    """What a reader wants to know of a model; --json and the card have the rest."""
    from selfcodec.zoo import CARD

    card = Path(details["path"]) / CARD
    rows = [
        ("name", details["name"]),
        ("for", f"images like {_purpose(details)}"),
        ("default for", details["default_for"] or "nothing: name it with --model"),
        ("modes", ", ".join(details["modes"])),
        *(("trained on", shown(data)) for data in _data(card) or [details["trained_on"]]),
        ("K", f"{details['levels']}, transformation {details['transformation']}"),
        ("parameters", f"{details['parameters']:,}"),
        ("size", f"{details['bytes']:,} bytes"),
        ("id", details["id"]),
        ("sha256", details["sha256"]),
        ("folder", details["path"]),
        ("card", card if card.is_file() else "none"),
    ]
    return table(rows)


@click.command()
@click.argument("name", required=False)
@json_option
def models(name: str | None, as_json: bool) -> None:
    """List the installed models, or tell about one: --json has all that its manifest has, its card what it means.

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
    else:
        click.echo(_text(details))
