"""How a command writes: what it refuses or leaves alone, and files whole or not at all."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from selfcodec.cli.files import Job
from selfcodec.cli.inputs import Reason, Skipped, is_piped
from selfcodec.cli.names import STDIO, SUFFIX, shown
from selfcodec.errors import InputError
from selfcodec.files import write_atomically, writing

if TYPE_CHECKING:
    from selfcodec.images import AnyImage

DONE = Reason("with an output already", "with an output already")


def split_done(jobs: Sequence[Job]) -> tuple[tuple[Job, ...], Skipped]:
    """Jobs whose output is not there yet, and the sources of the others as what is skipped."""
    done = {job for job in jobs if not (job.source.problem or is_piped(job.target)) and os.path.isfile(job.target)}
    return tuple(job for job in jobs if job not in done), tuple((job.source.path, DONE) for job in jobs if job in done)


def check_target(job: Job, *, force: bool) -> None:
    """InputError where an output cannot be written, is its input, or is there already and must not be replaced."""
    if job.target == STDIO:
        if sys.stdout is None:
            raise InputError("standard output is closed: name a file with -o")
        if sys.stdout.isatty():
            raise InputError("a terminal cannot show the output: redirect it, or name a file with -o")
    if is_piped(job.target):
        return
    for source in job.sources if os.path.exists(job.target) else ():
        if os.path.exists(source) and os.path.samefile(source, job.target):
            raise InputError(f"output {shown(job.target)} is the input itself")
    if os.path.isdir(job.target):
        raise InputError(f"output {shown(job.target)} is a folder")
    if os.path.isfile(job.target) and not force:
        raise InputError(f"output {shown(job.target)} exists; --force overwrites it")
    folder = os.path.dirname(job.target) or os.curdir
    if not (job.below or os.path.isdir(folder)):
        raise InputError(f"output {shown(job.target)} cannot be written: there is no folder {shown(folder)}")


def _make_folder(job: Job) -> None:
    try:
        Path(job.target).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"output {shown(job.target)} cannot be written: {reason}") from error


def _write_stdout(data: bytes | memoryview) -> None:
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(f"standard output cannot be written: {error.strerror or error}") from error


def write_output(job: Job, data: bytes | memoryview, *, preserve: bool = False) -> None:
    """Writes a job's output: a file whole or not at all, for nobody's eyes but those that may see its sources, or
    a stream. With `preserve` it gets its sources' permissions and time."""
    if job.target == STDIO:
        _write_stdout(data)
        return
    if job.below:
        _make_folder(job)
    sources = [path for path in job.sources if not is_piped(path)]
    write_atomically(job.target, data, sources=sources, preserve=preserve)


@contextmanager
def open_output(job: Job, *, preserve: bool = False) -> Iterator[BinaryIO]:
    """A job's output, written piece by piece: the file is there when the block ends, as from `write_output`.

    Raises:
        InputError: it is no file, or cannot be written.
    """
    if is_piped(job.target):
        raise InputError("several pictures go into a file: name one with -o")
    if job.below:
        _make_folder(job)
    with writing(job.target, sources=job.sources, preserve=preserve) as file:
        yield file


def image_format(target: str) -> str:
    """The name of the format that an output's suffix asks for, for `write_image`; InputError where there is none."""
    from PIL import Image

    from selfcodec.images.targets import NETPBM

    if is_piped(target):
        return "PNG"
    suffix = Path(target).suffix.lower()
    Image.init()
    format = Image.registered_extensions().get(suffix)
    if format is None or format not in Image.SAVE or suffix in (SUFFIX, ".pfm"):  # of fractions
        raise InputError(
            f"{shown(target)}: no image format that is written has the suffix {suffix!r}; .png always works"
        )
    return NETPBM.get(suffix, format)


def write_image(job: Job, image: AnyImage, format: str, *, preserve: bool = False) -> tuple[str, ...]:
    """Writes a job's output as an image; returns what the format cannot hold of it, one line each."""
    from selfcodec.images import save_image

    buffer = io.BytesIO()
    left_out = save_image(image, buffer, format)
    write_output(job, buffer.getbuffer(), preserve=preserve)  # without a copy, since images may be large
    return left_out
