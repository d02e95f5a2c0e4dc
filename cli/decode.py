"""selfcodec decode."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from selfcodec.cli.files import STDIO, SUFFIX, Job, check_target, plan, read_input, shown, write_image
from selfcodec.cli.options import MODES, force_option, inputs_argument, output_option
from selfcodec.cli.output import complain, each, finish, progress
from selfcodec.errors import FormatError, InputError, SelfcodecError
from selfcodec.modes import Mode

if TYPE_CHECKING:
    from selfcodec.format.container import Container


def image_format(target: str) -> str:
    """Pillow's name of the format that an output's suffix asks for; InputError where there is none."""
    from PIL import Image

    if target == STDIO:
        return "PNG"
    suffix = Path(target).suffix.lower()
    Image.init()
    format = Image.registered_extensions().get(suffix)
    if format is None or format not in Image.SAVE or suffix == SUFFIX:
        raise InputError(f"{shown(target)}: no image format has the suffix {suffix!r}; .png always works")
    return format


def warn_of_truncation(container: Container, name: str, upto: Mode | None = None) -> None:
    """Prints one line if a file was cut short, saying what is left and what that is worth."""
    if container.truncated:
        left = " ".join(container.variables)
        shallower = "" if upto is None else f", decoded up to {upto}"
        complain(
            f"{name}: cut short or damaged: only ({left}) is there{shallower}; no checksum vouches for it", "warning"
        )


def _partly_whole(data: bytes) -> bool:
    """Whether `--allow-truncated` would find something in a damaged file."""
    from selfcodec.codec import open_file

    try:
        open_file(data, allow_truncated=True)
    except SelfcodecError:
        return False
    return True


def decode_job(job: Job, upto: Mode | None, *, allow_truncated: bool, force: bool) -> None:
    """Decodes one file."""
    from selfcodec.codec import decode_file, open_file

    check_target(job, force=force)
    format = image_format(job.target)
    data = read_input(job.source)
    try:
        image = decode_file(data, upto=upto, allow_truncated=allow_truncated)
    except FormatError as error:
        if allow_truncated or not _partly_whole(data):
            raise
        raise FormatError(f"{error}; --allow-truncated decodes what is whole") from error
    if allow_truncated:
        warn_of_truncation(open_file(data, allow_truncated=True), shown(job.source), upto)
    for line in write_image(job, image, format):
        complain(f"{shown(job.target)}: {line}", "warning")


@click.command()
@inputs_argument
@output_option()
@click.option("--upto", type=click.Choice(MODES), help="Decode as if the file had been cut to this mode.")
@click.option("--allow-truncated", is_flag=True, help="Decode what is whole of a file that was cut short.")
@force_option
def decode(inputs: tuple[str, ...], output: str | None, upto: str | None, allow_truncated: bool, force: bool) -> None:
    """Decode .sv files to images.

    IN are .sv files, folders (every .sv file below them), or - for standard input. Without -o, each image goes
    beside its file as .png; otherwise the suffix of OUT names the format.

    \b
    Examples:
      selfcodec decode photo.sv -o photo.png
      selfcodec decode coded/ -o images/
    """
    jobs = plan(inputs, output, frozenset((SUFFIX,)), ".png")
    mode = None if upto is None else Mode.parse(upto)
    with progress(len(jobs), "decoding") as advance:

        def action(job: Job) -> None:
            advance()
            decode_job(job, mode, allow_truncated=allow_truncated, force=force)

        failures = each(jobs, lambda job: shown(job.source), action)
    finish(failures)
