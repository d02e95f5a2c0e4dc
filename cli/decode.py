"""selfcodec decode."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from selfcodec.cli.files import Job, plan
from selfcodec.cli.inputs import CODED_FILES, is_piped, read_coded
from selfcodec.cli.names import SUFFIX, named, shown
from selfcodec.cli.options import (
    MODES,
    force_option,
    inputs_argument,
    output_option,
    preserve_option,
    skip_existing_option,
)
from selfcodec.cli.output import complain, each, finish, progress, tell_skipped
from selfcodec.cli.outputs import check_target, split_done, write_image
from selfcodec.errors import FormatError, InputError, SelfcodecError
from selfcodec.modes import Mode

if TYPE_CHECKING:
    from selfcodec.format.container import Container


def image_format(target: str) -> str:
    """Pillow's name of the format that an output's suffix asks for; InputError where there is none."""
    from PIL import Image

    if is_piped(target):
        return "PNG"
    suffix = Path(target).suffix.lower()
    Image.init()
    format = Image.registered_extensions().get(suffix)
    if format is None or format not in Image.SAVE or suffix == SUFFIX:
        raise InputError(f"{shown(target)}: no image format has the suffix {suffix!r}; .png always works")
    return format


def image_suffix(path: str) -> str:
    """The suffix of the image that an .sv file is decoded to, by its header."""
    from selfcodec.images import usual_suffix
    from selfcodec.pillow import SelfcodecImageFile

    try:
        with SelfcodecImageFile(path) as image:
            return usual_suffix(image)
    except (OSError, SyntaxError):  # what is wrong is told when the file's turn comes
        return ".png"


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


def decode_job(job: Job, upto: Mode | None, *, allow_truncated: bool, force: bool, preserve: bool) -> None:
    """Decodes one file."""
    from selfcodec.codec import decode_file, open_file

    data = read_coded(job.source)
    check_target(job, force=force)
    format = image_format(job.target)
    try:
        image = decode_file(data, upto=upto, allow_truncated=allow_truncated)
    except FormatError as error:
        if allow_truncated or not _partly_whole(data):
            raise
        raise FormatError(f"{error}; --allow-truncated decodes what is whole") from error
    if allow_truncated:
        warn_of_truncation(open_file(data, allow_truncated=True), named(job.source.path), upto)
    for line in write_image(job, image, format, preserve=preserve):
        complain(f"{job.target}: {line}", "warning")


@click.command()
@inputs_argument
@output_option()
@click.option("--upto", type=click.Choice(MODES), help="Decode as if the file had been cut to this mode.")
@click.option("--allow-truncated", is_flag=True, help="Decode what is whole of a file that was cut short.")
@force_option
@skip_existing_option
@preserve_option
@click.option("-v", "--verbose", is_flag=True, help="Name the files that are skipped.")
def decode(
    inputs: tuple[str, ...],
    output: str | None,
    upto: str | None,
    allow_truncated: bool,
    force: bool,
    skip_existing: bool,
    preserve: bool,
    verbose: bool,
) -> None:
    """Decode .sv files to images.

    IN are .sv files, folders (every .sv file below them that is not hidden), or - for standard input. Without -o,
    each image goes beside its file as .png (.tif where it has printing inks); otherwise the suffix of OUT names the
    format. Inputs that would share an output, such as a.sv and a without suffix, keep their whole names in it. No
    output can be read by more people than its input or the file that it replaces, unless --preserve gives it its
    input's permissions.

    \b
    Examples:
      selfcodec decode photo.sv -o photo.png
      selfcodec decode coded/ -o images/
    """
    if force and skip_existing:
        raise click.UsageError("--force and --skip-existing exclude each other")
    planned = plan(inputs, output, CODED_FILES, image_suffix)
    jobs, done = split_done(planned.jobs) if skip_existing else (planned.jobs, ())
    tell_skipped(planned.skipped + done, verbose=verbose)
    mode = None if upto is None else Mode.parse(upto)
    with progress(len(jobs), "decoding") as advance:

        def action(job: Job) -> None:
            advance()
            decode_job(job, mode, allow_truncated=allow_truncated, force=force, preserve=preserve)

        failures = each(jobs, lambda job: job.source.path, action)
    finish(failures)
