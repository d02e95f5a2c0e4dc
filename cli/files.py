"""Which files a command reads and writes: inputs, folders, outputs, and what it refuses to overwrite."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from selfcodec.errors import InputError

if TYPE_CHECKING:
    from selfcodec.images import AnyImage

STDIO = "-"
SUFFIX = ".sv"
IMAGE_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        "bmp",
        "gif",
        "jpeg",
        "jpg",
        "jxl",
        "pbm",
        "pgm",
        "png",
        "pnm",
        "ppm",
        "qoi",
        "tga",
        "tif",
        "tiff",
        "webp",
    )
)
"""`encode` takes such files of a folder; files named one by one may have any name."""


@dataclass(frozen=True)
class Source:
    """An input; `relative` is its path below the folder that it was found in, else its name."""

    path: str
    relative: Path


@dataclass(frozen=True)
class Job:
    """One input and where its result goes; either may be `-`. `below` marks a target in a folder to be made."""

    source: str
    target: str
    below: bool = False


def shown(path: str) -> str:
    """A path as it can be printed."""
    return "standard input" if path == STDIO else click.format_filename(path)


def expand(inputs: Sequence[str], suffixes: frozenset[str]) -> list[Source]:
    """Files as they are, and of every folder the files below it that end in one of the suffixes, in order.

    Raises:
        InputError: a folder has none.
    """
    sources = []
    for name in inputs:
        if name == STDIO or not os.path.isdir(name):
            sources.append(Source(name, Path(os.path.basename(name))))
            continue
        found = []
        for folder, _, files in os.walk(name):
            found += [Path(folder, file) for file in files if Path(file).suffix.lower() in suffixes]
        if not found:
            raise InputError(f"{shown(name)}: no files of a known kind below this folder")
        sources += [Source(str(path), path.relative_to(name)) for path in sorted(found)]
    return sources


def _is_folder(output: str, inputs: Sequence[str]) -> bool:
    several = len(inputs) > 1 or os.path.isdir(inputs[0])
    separators = (os.sep, os.altsep or os.sep)
    if os.path.isdir(output) or output.endswith(separators):
        return True
    if several and os.path.exists(output):
        raise InputError(f"{shown(output)}: is a file; several inputs need a folder")
    return several


def plan(inputs: Sequence[str], output: str | None, suffixes: frozenset[str], new_suffix: str) -> list[Job]:
    """Every input with its output, before anything is read or written.

    Args:
        inputs: files, folders or `-`.
        output: a file, a folder (made so by a slash at its end, by being there, or by several inputs), `-`, or None
            for outputs beside their inputs.
        suffixes: what to take of folders.
        new_suffix: of outputs that are not named.

    Raises:
        InputError: two inputs have one output.
        click.UsageError: the combination has no meaning.
    """
    sources = expand(inputs, suffixes)
    piped = any(source.path == STDIO for source in sources)
    if output is None and piped:
        output = STDIO
    if (output == STDIO or piped) and len(sources) > 1:
        raise click.UsageError("standard input and output go with one input only")
    if output == STDIO:
        return [Job(sources[0].path, STDIO)]
    if output is None:
        jobs = [Job(s.path, str(Path(s.path).with_suffix(new_suffix))) for s in sources]
    elif not _is_folder(output, inputs):
        jobs = [Job(sources[0].path, output)]
    elif piped:
        raise click.UsageError("standard input has no name: give -o a file, not a folder")
    else:
        jobs = [Job(s.path, str(Path(output) / s.relative.with_suffix(new_suffix)), True) for s in sources]
    taken: dict[str, str] = {}
    for job in jobs:
        key = os.path.realpath(job.target)
        if key in taken:
            raise InputError(f"{shown(taken[key])} and {shown(job.source)} would both become {shown(job.target)}")
        taken[key] = job.source
    return jobs


def check_target(job: Job, *, force: bool) -> None:
    """InputError where the output is the input, is there already, or has no folder and none is to be made."""
    if job.target == STDIO:
        if sys.stdout.isatty():
            raise InputError("a terminal cannot show the output: redirect it, or name a file with -o")
        return
    both = job.source != STDIO and os.path.exists(job.target) and os.path.exists(job.source)
    if both and os.path.samefile(job.source, job.target):
        raise InputError(f"output {shown(job.target)} is the input itself")
    check_new(job.target, force=force)
    folder = os.path.dirname(job.target) or os.curdir
    if not (job.below or os.path.isdir(folder)):
        raise InputError(f"output {shown(job.target)} cannot be written: there is no folder {shown(folder)}")


def check_new(target: str, *, force: bool) -> None:
    """InputError where a file is there and must not be replaced, or where there is a folder."""
    if os.path.isdir(target):
        raise InputError(f"output {shown(target)} is a folder")
    if os.path.isfile(target) and not force:
        raise InputError(f"output {shown(target)} exists; --force overwrites it")


def read_input(path: str) -> bytes:
    """A file's bytes, or standard input's; InputError where it cannot be read."""
    if path == STDIO:
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be read: {error.strerror or error}") from error


def make_folder(job: Job) -> None:
    """Makes the folder of an output that goes below a named one; InputError where that cannot be."""
    if job.below:
        try:
            Path(job.target).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"output {shown(job.target)} cannot be written: {reason}") from error


def write_output(job: Job, data: bytes) -> None:
    """Writes a job's output: a file whole or not at all, or standard output."""
    from selfcodec.files import write_atomically

    if job.target == STDIO:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        make_folder(job)
        write_atomically(job.target, data)


def write_image(job: Job, image: AnyImage, format: str) -> tuple[str, ...]:
    """Writes a job's output as an image; returns what the format cannot hold of it, one line each."""
    from selfcodec.images import save_image

    buffer = io.BytesIO()
    left_out = save_image(image, buffer, format)
    write_output(job, buffer.getvalue())
    return left_out
