"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from selfcodec.cli.options import folder_option

F = TypeVar("F", bound=Callable[..., Any])


def image_argument(command: F) -> F:
    """Take [IMAGE]."""
    kind = click.Path(exists=True, dir_okay=False, path_type=Path)
    return click.argument("image", required=False, type=kind)(command)


def model_option(command: F) -> F:
    """Take --model NAME."""
    text = "Name or folder of a model; the default one if not given."
    return click.option("--model", "model_name", metavar="NAME", help=text)(command)


def dataset_option(command: F) -> F:
    """Take --dataset NAME."""
    text = "Data set, folder, scikit-image or synthetic."
    return click.option("--dataset", metavar="NAME|DIR", default="cifar10", show_default=True, help=text)(command)


def report_option(command: F) -> F:
    """Take -o FILE."""
    kind = click.Path(dir_okay=False, path_type=Path)
    return click.option("-o", "--output", metavar="FILE", type=kind, help="Write the figures as JSON.")(command)


output_folder_option = folder_option("output", "Folder for the files.", "-o", required=True)
