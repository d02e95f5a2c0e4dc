"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from selfcodec.errors import InputError
from selfcodec.modes import CHOICES, MAX_QUALITY, MAX_TRANSFORMS, MIN_QUALITY

MODES = [str(mode) for mode in CHOICES]
QUALITY = click.IntRange(MIN_QUALITY, MAX_QUALITY)
LARGEST_SIDE, MOST_DIGITS = 4096, 9
PATH = click.Path(readable=False)
"""A file that cannot be read is no wrong use of the command: of several it alone fails, when its turn comes."""

DATASET_HELP = (
    "cifar10, celeba, imagenette64, kodak, scikit-image, portraits, synthetic, a folder in ~/.cache/selfcodec/data or"
    " $SELFCODEC_DATA, where the first four are looked for, or any folder of images."
)

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def _finite(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number.")
    return value


def positive_option(name: str, text: str) -> Callable[[F], F]:
    """An option whose value is a finite number above 0."""
    kind = click.FloatRange(0, min_open=True)
    return click.option(f"--{name}", metavar="NUMBER", type=kind, callback=_finite, help=text)


def parse_size(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """WIDTHxHEIGHT in pixels, each 1..LARGEST_SIDE, as (width, height); None where it is not given."""
    if value is None:
        return None
    width, _, height = value.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise click.BadParameter(f"{value!r} is no size such as 32x32.")
    # Their number comes first, since Python refuses to read thousands of digits.
    if not all(len(side) <= MOST_DIGITS and 1 <= int(side) <= LARGEST_SIDE for side in (width, height)):
        raise click.BadParameter(f"{value!r} is not within 1x1 and {LARGEST_SIDE}x{LARGEST_SIDE}.")
    return int(width), int(height)


def parsed(text: str, kind: Callable[[str], T], what: str) -> tuple[T, ...]:
    """What stands between commas; click's error where one of them is no such thing."""
    try:
        return tuple(kind(part.strip()) for part in text.split(",") if part.strip())
    except (ValueError, InputError) as error:
        raise click.BadParameter(f"{text!r}: {what}, with commas between them") from error


def whole_numbers(what: str, low: int, high: int) -> Callable[[click.Context, click.Parameter, str], tuple[int, ...]]:
    """What parses whole numbers in low..high with commas between them; `what` they are stands in messages."""

    def parse(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
        numbers = parsed(value, int, f"{what} are whole numbers")
        if not numbers or not all(low <= number <= high for number in numbers):
            raise click.BadParameter(f"{value!r}: {what} go from {low} to {high}.")
        return numbers

    return parse


def parse_names(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    """Names with commas between them."""
    return parsed(value, str, "names")


def inputs_argument(command: F) -> F:
    """IN..., one or more."""
    return click.argument("inputs", metavar="IN...", nargs=-1, required=True, type=PATH)(command)


def output_option(*, required: bool = False) -> Callable[[F], F]:
    """-o OUT|DIR|-"""
    text = "File, folder (end it with a slash), or - for standard output."
    return click.option("-o", "--output", metavar="OUT|DIR|-", type=PATH, required=required, help=text)


def folder_option(name: str, text: str, *flags: str, required: bool = False) -> Callable[[F], F]:
    """An option that names a folder."""
    kind = click.Path(file_okay=False, path_type=Path)
    return click.option(*flags, f"--{name}", metavar="DIR", type=kind, required=required, help=text)


def level_option(command: F) -> F:
    """--level K"""
    text = "Of cg and cr: down to which y is sent."
    return click.option("--level", metavar="K", type=click.IntRange(1, MAX_TRANSFORMS), help=text)(command)


def force_option(command: F) -> F:
    """--force"""
    return click.option("--force", is_flag=True, help="Overwrite existing files.")(command)


def anew_option(command: F) -> F:
    """--force, where results are gone on with"""
    return click.option("--force", is_flag=True, help="Begin anew, whatever is in the folder.")(command)


def skip_existing_option(command: F) -> F:
    """--skip-existing"""
    text = "Leave alone what has its output already."
    return click.option("--skip-existing", is_flag=True, help=text)(command)


def preserve_option(command: F) -> F:
    """--preserve"""
    text = "Give each output its input's permissions and time."
    return click.option("--preserve", is_flag=True, help=text)(command)


def json_option(command: F) -> F:
    """--json"""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)
