"""selfcodec decode."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from selfcodec.cli.decoding import Wanted, decoded, warn_of_truncation
from selfcodec.cli.files import Job, plan
from selfcodec.cli.inputs import CODED_OR_SHARDS, is_piped, read_coded
from selfcodec.cli.names import TAR, is_shard, named
from selfcodec.cli.options import (
    MODES,
    force_option,
    inputs_argument,
    output_option,
    preserve_option,
    skip_existing_option,
)
from selfcodec.cli.output import complain, each, finish, progress, tell_skipped
from selfcodec.cli.outputs import check_target, image_format, split_done, write_image
from selfcodec.cli.shards import decode_shard
from selfcodec.errors import SelfcodecError
from selfcodec.modes import Mode
from selfcodec.together import MOST_FILES, MOST_PIXELS, done_ahead

if TYPE_CHECKING:
    from selfcodec.images import AnyImage

SMALL = 1 << 17
"""Files of fewer bytes and fewer pixels are small."""


def image_suffix(path: str) -> str:
    """The suffix of the image that an .sv file is decoded to, by its header, or of a shard's."""
    if is_shard(path):
        return TAR
    from selfcodec.images import usual_suffix
    from selfcodec.pillow import SelfcodecImageFile

    try:
        with SelfcodecImageFile(path) as image:
            return usual_suffix(image.mode)
    except (OSError, SyntaxError):  # what is wrong is told when the file's turn comes
        return ".png"


def _groups(jobs: Sequence[Job], wanted: Wanted) -> Iterator[tuple[list[Job], dict[Job, bytes]]]:
    """Jobs one after another, and the bytes of those that are worth decoding together, which are small."""
    from selfcodec.format.header import peek

    group: list[Job] = []
    small: dict[Job, bytes] = {}
    pixels = 0
    for job in jobs:
        group.append(job)
        with contextlib.suppress(SelfcodecError, OSError):  # what is wrong is told when the file's turn comes
            path = job.source.path
            apart = wanted.allow_truncated or is_piped(path) or is_shard(path)
            if not apart and os.path.getsize(path) < SMALL:
                check_target(job, force=wanted.force)
                data = read_coded(job.source)
                header = peek(data)
                if header.pixels < SMALL:
                    small[job] = data
                    pixels += header.pixels
        if len(group) == MOST_FILES or pixels >= MOST_PIXELS or job not in small:
            yield group, small
            group, small, pixels = [], {}, 0
    if group:
        yield group, small


def _decoded_together(files: dict[Job, bytes], wanted: Wanted) -> dict[Job, AnyImage | None]:
    """The images of several files, see `done_ahead`."""
    from selfcodec.decoding import decode_files

    together = partial(decode_files, upto=wanted.upto)
    return dict(zip(files, done_ahead(list(files.values()), together), strict=True))


def decode_job(job: Job, wanted: Wanted, data: bytes | None = None, ahead: AnyImage | None = None) -> None:
    """Decodes one file, unless it was read or decoded ahead."""
    from selfcodec.decoding import open_file

    data = read_coded(job.source) if data is None else data
    check_target(job, force=wanted.force)
    format = image_format(job.target)
    image = decoded(data, wanted) if ahead is None else ahead
    if wanted.allow_truncated:
        warn_of_truncation(open_file(data, allow_truncated=True), named(job.source.path), wanted.upto)
    for line in write_image(job, image, format, preserve=wanted.preserve):
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

    IN are .sv files, tar files of such, folders (all of them below that are not hidden), or - for standard input. Tar
    files become tar files of images or, if -o says so, arrays (.npy) of pictures of one size. Without -o, each image
    goes beside its file as .png (.tif where it has printing inks); otherwise the suffix of OUT names the format. Inputs
    that would share an output, such as a.sv and a without suffix, keep their whole names in it. No output can be read
    by more people than its input or the file that it replaces, unless --preserve gives it its input's permissions.

    \b
    Examples:
      selfcodec decode photo.sv -o photo.png
      selfcodec decode coded/ -o images/
    """
    if force and skip_existing:
        raise click.UsageError("--force and --skip-existing exclude each other")
    planned = plan(inputs, output, CODED_OR_SHARDS, image_suffix)
    jobs, done = split_done(planned.jobs) if skip_existing else (planned.jobs, ())
    tell_skipped(planned.skipped + done, verbose=verbose)
    wanted = Wanted(None if upto is None else Mode.parse(upto), allow_truncated, force, preserve)
    failures = 0
    shards = any(is_shard(job.source.path) for job in jobs)
    with progress(len(jobs), "decoding", parts=shards) as advance:
        for group, small in _groups(jobs, wanted):
            images = _decoded_together(small, wanted)

            def action(job: Job, small: dict[Job, bytes] = small, images: dict[Job, AnyImage | None] = images) -> None:
                try:
                    if is_shard(job.source.path):
                        decode_shard(job, wanted, advance.part)
                    else:
                        decode_job(job, wanted, small.get(job), images.get(job))
                finally:
                    advance()

            failures += each(group, lambda job: job.source.path, action)
    finish(failures)
