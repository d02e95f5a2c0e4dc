"""Arguments and options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from selfcodec.cli.options import DATASET_HELP, MODES, folder_option, parsed
from selfcodec.errors import InputError

F = TypeVar("F", bound=Callable[..., Any])


def image_argument(command: F) -> F:
    """Take [IMAGE]."""
    kind = click.Path(exists=True, dir_okay=False, path_type=Path)
    return click.argument("image", required=False, type=kind)(command)


def model_option(command: F) -> F:
    """Take --model NAME."""
    text = "Name or folder of a model; the default one if not given."
    return click.option("--model", "model_name", metavar="NAME", help=text)(command)


def mode_option(command: F) -> F:
    """Take --mode MODE."""
    kind, text = click.Choice(MODES), "What is sent."
    return click.option("-m", "--mode", "mode_name", type=kind, default="lossless", show_default=True, help=text)(
        command
    )


def dataset_option_with(default: str) -> Callable[[F], F]:
    """Return an option that takes --dataset NAME."""
    return click.option("--dataset", metavar="NAME|DIR", default=default, show_default=True, help=DATASET_HELP)


def numbers_option(name: str, default: str, kind: type[float], text: str) -> Callable[[F], F]:
    """Return an option that takes numbers above 0, float or int, with commas between them."""

    def parse(context: click.Context, parameter: click.Parameter, value: str) -> tuple[Any, ...]:
        numbers = parsed(value, kind, "numbers")
        if not numbers or not all(0 < number < math.inf for number in numbers):
            raise click.BadParameter(f"{value!r}: every number must be above 0")
        return numbers

    return click.option(name, metavar="N,...", default=default, show_default=True, callback=parse, help=text)


def _in_a_folder(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and not value.parent.is_dir():
        raise InputError(f"{value}: cannot be written: there is no folder {value.parent}; make it first")
    return value


def report_option(command: F) -> F:
    """Take -o FILE; a folder that is not there fails here, rather than after all the measuring."""
    kind, text = click.Path(dir_okay=False, path_type=Path), "Write the figures as JSON."
    return click.option("-o", "--output", metavar="FILE", type=kind, callback=_in_a_folder, help=text)(command)


dataset_option = dataset_option_with("cifar10")
output_folder_option = folder_option("output", "Folder for the files.", "-o", required=True)
