"""Which files a command makes of its inputs, before anything is read or written."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from selfcodec.cli.inputs import Kind, Skipped, Source, expand, is_piped
from selfcodec.cli.names import CODED_SHARD, STDIO, SUFFIX, distinct, is_shard, shown
from selfcodec.errors import InputError
from selfcodec.files import IMAGE_SUFFIXES, descriptor


@dataclass(frozen=True)
class Job:
    """One input and where its result goes; either may be `-` or another stream.

    Attributes:
        target: `-` for standard output, under whatever name that was given.
        below: the target is in a folder that is to be made.
        others: inputs that the result shows as well.
    """

    source: Source
    target: str
    below: bool = False
    others: tuple[Source, ...] = ()

    def __post_init__(self) -> None:
        if descriptor(self.target) == 1:
            object.__setattr__(self, "target", STDIO)  # frozen

    @property
    def sources(self) -> tuple[str, ...]:
        """The paths of all inputs."""
        return tuple(source.path for source in (self.source, *self.others))


@dataclass(frozen=True)
class Plan:
    """What is to be done, and what of folders is left alone."""

    jobs: tuple[Job, ...]
    skipped: Skipped = ()


def _is_folder(output: str, inputs: Sequence[str]) -> bool:
    """Whether outputs go below the path that `-o` gives; InputError where they would have to and it is no folder."""
    separators = (os.sep, os.altsep or os.sep)
    if os.path.isdir(output) or output.endswith(separators):
        return True
    if len(inputs) == 1 and not os.path.isdir(inputs[0]):
        return False
    if os.path.exists(output):
        raise InputError(f"{shown(output)}: is a file; several inputs need a folder")
    if Path(output).suffix:
        raise InputError(f"{shown(output)}: looks like a file; several inputs need a folder: end its name with a slash")
    return True


def _targets(sources: Sequence[Source], folder: str | None, suffix: Callable[[str], str]) -> list[str]:
    """Names of outputs, beside their sources or below a folder, no two alike where that can be told; see `distinct`."""
    places = [str(Path(s.path) if folder is None else Path(folder) / s.relative) for s in sources]
    return distinct(places, [suffix(source.path) for source in sources], os.path.realpath)


def _without_doubles(jobs: Sequence[Job]) -> tuple[Job, ...]:
    """Sources of jobs that still share an output have that as their problem."""
    keys = [os.path.realpath(job.target) for job in jobs]
    count = Counter(keys)
    problem = "another input would become {} as well: give them in two calls, or their folder"
    return tuple(
        replace(job, source=replace(job.source, problem=problem.format(shown(job.target)))) if count[key] > 1 else job
        for job, key in zip(jobs, keys, strict=True)
    )


def plan(inputs: Sequence[str], output: str | None, kind: Kind, suffix: Callable[[str], str]) -> Plan:
    """Every input with its output.

    Args:
        inputs: files, folders or `-`.
        output: a file, a folder (made so by a slash at its end, by being there, or by several inputs), a stream, or
            None for outputs beside their inputs.
        kind: what to take of folders.
        suffix: gives the suffix of an output that is not named, from its input's path.

    Raises:
        InputError: several inputs and no folder.
        click.UsageError: the combination has no meaning.
    """
    if output == "":
        raise click.UsageError("the output's name is empty")
    found = expand(inputs, kind)
    sources = found.sources
    piped = any(is_piped(source.path) for source in sources)
    if output is None and piped:
        output = STDIO
    into_stream = output is not None and is_piped(output)
    if (into_stream or piped) and len(sources) > 1:
        raise click.UsageError("standard input and output, and other streams, go with one input only")
    if output is not None and (into_stream or not _is_folder(output, inputs)):
        return Plan((Job(sources[0], output),), found.skipped)
    if piped:
        raise click.UsageError("standard input has no name: give -o a file, not a folder")
    targets = _targets(sources, output, suffix)
    jobs = [Job(source, target, output is not None) for source, target in zip(sources, targets, strict=True)]
    return Plan(_without_doubles(jobs), found.skipped)


def coded_suffix(path: str) -> str:
    """The suffix of what encode and cut write."""
    return CODED_SHARD if is_shard(path) else SUFFIX


def refuse_image_name(output: str | None) -> None:
    """InputError where -o names an image for a command that writes .sv files."""
    suffix = Path(output or "").suffix.lower()
    if output is not None and suffix in IMAGE_SUFFIXES and not (output.endswith(os.sep) or os.path.isdir(output)):
        better = shown(str(Path(output).with_suffix(SUFFIX)))
        raise InputError(f"output {shown(output)}: encode and cut write .sv files: name it {better}")
