"""What a command reads: files, standard input, and what it takes of folders."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from selfcodec.cli.names import ARRAY, CODED_SHARD, STDIO, SUFFIX, ends_in, is_shard, shown
from selfcodec.errors import InputError
from selfcodec.files import IMAGE_SUFFIXES, is_stream, read_whole

if TYPE_CHECKING:
    from selfcodec.shards import Entry
    from selfcodec.shards import Source as Shard


class Reason(NamedTuple):
    """Why something in a folder is skipped, in words that follow a number."""

    one: str
    many: str


HIDDEN = Reason("hidden", "hidden")
FOLDER_LINK = Reason("link to a folder", "links to folders")
SPECIAL = Reason("pipe, socket or device", "pipes, sockets or devices")
CODED = Reason(".sv file", ".sv files")
SHARD = Reason("shard of .sv files", "shards of .sv files")

Skipped = tuple[tuple[str, Reason], ...]
"""Paths, and why they are left alone."""


@dataclass(frozen=True)
class Kind:
    """What a command takes of folders: what holds such a thing, and what is named like it and so may be damaged."""

    name: str
    holds: Callable[[str], bool]
    suffixes: frozenset[str]
    otherwise: Reason

    def reason_against(self, path: str) -> Reason | None:
        """Why not to take a file of a folder; None to take it, and so also what cannot be read, to be told of it."""
        name = os.path.basename(path)
        if name.startswith("."):
            return HIDDEN
        try:
            regular = stat.S_ISREG(os.stat(path).st_mode)
        except OSError:
            return None
        if not regular:
            return SPECIAL
        if Path(name).suffix.lower() in self.suffixes or not os.access(path, os.R_OK) or self.holds(path):
            return None
        if _is_coded(path):
            return CODED
        return SHARD if ends_in(path, CODED_SHARD) else self.otherwise


@dataclass(frozen=True)
class Source:
    """An input."""

    path: str
    relative: Path
    """Its path below the folder that it was found in, else its name."""
    problem: str = ""
    """What was found to be wrong with it before its turn."""

    def check(self) -> None:
        """InputError where there is a problem."""
        if self.problem:
            raise InputError(self.problem)


@dataclass(frozen=True)
class Found:
    """Inputs, and what of folders is none."""

    sources: tuple[Source, ...]
    skipped: Skipped = ()


def is_piped(path: str) -> bool:
    """Whether an input or output is no file with a name and a folder."""
    return path == STDIO or is_stream(path)


def open_shard(path: str) -> Shard:
    """A file of many pictures, by its name; InputError where it is damaged."""
    from selfcodec.shards import ArraySource, TarSource

    return ArraySource(path) if ends_in(path, ARRAY) else TarSource(path)


def _is_open_file(entry: Entry) -> bool:
    """Whether it is neither a folder nor hidden, as what some systems put beside every file."""
    return not (entry.info.isdir() or os.path.basename(entry.name).startswith("."))


def is_image_entry(entry: Entry) -> bool:
    """Whether a shard's file is an image: by its name, and so perhaps damaged, or by its content; not where hidden."""
    from selfcodec.images.formats import kind_by_signature

    meant = Path(entry.name).suffix.lower() in IMAGE_SUFFIXES or kind_by_signature(entry.head) is not None
    return meant and _is_open_file(entry)


def is_coded_entry(entry: Entry) -> bool:
    """The same of an .sv file."""
    from selfcodec.format.header import MAGIC

    meant = Path(entry.name).suffix.lower() == SUFFIX or entry.head.startswith(MAGIC)
    return meant and _is_open_file(entry)


def _has_entry(path: str, wanted: Callable[[Entry], bool], *, damaged: bool) -> bool:
    """Whether a shard has such a file; `damaged` where it cannot be read."""
    try:
        with closing(open_shard(path)) as shard:
            return any(wanted(entry) for entry in shard.entries())
    except InputError:
        return damaged


def _is_image(path: str) -> bool:
    from selfcodec.images.formats import kind_of

    return kind_of(path) is not None


def _has_images(path: str) -> bool:
    if not is_shard(path):
        return _is_image(path)
    return _has_entry(path, is_image_entry, damaged=not ends_in(path, CODED_SHARD))


def _is_coded(path: str) -> bool:
    from selfcodec.format.header import MAGIC

    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _has_coded(path: str) -> bool:
    if not is_shard(path):
        return _is_coded(path)
    return _has_entry(path, is_coded_entry, damaged=ends_in(path, CODED_SHARD))


IMAGES = Kind("images", _has_images, IMAGE_SUFFIXES, Reason("not an image", "not images"))
CODED_FILES = Kind(".sv files", _is_coded, frozenset((SUFFIX,)), Reason("not an .sv file", "not .sv files"))
CODED_OR_SHARDS = replace(CODED_FILES, holds=_has_coded)


def expand(inputs: Sequence[str], kind: Kind) -> Found:
    """Files as they are, and of every folder the files below it of a kind, in order; nothing twice.

    A folder that cannot be read, or that has none, is a source with a problem.

    Raises:
        click.UsageError: an empty name.
    """
    sources: dict[tuple[str, Path], Source] = {}
    skipped: Skipped = ()
    for name in inputs:
        if not name:
            raise click.UsageError("an input's name is empty")
        folder = name != STDIO and os.path.isdir(name)
        found = _below(name, kind) if folder else Found((Source(name, Path(os.path.basename(name))),))
        for source in found.sources:
            sources.setdefault((os.path.abspath(source.path), source.relative), source)
        skipped += found.skipped
    return Found(tuple(sources.values()), skipped)


def _below(top: str, kind: Kind) -> Found:
    """What a folder has. Hidden folders and links to folders, which may lead in circles, are not entered."""
    sources: list[Source] = []
    skipped: list[tuple[str, Reason]] = []

    def add(path: str, problem: str = "") -> None:
        sources.append(Source(path, Path(path).relative_to(top), problem))

    def tell(error: OSError) -> None:
        add(error.filename, f"cannot be read: {error.strerror or error}")

    for directory, folders, files in os.walk(top, onerror=tell):
        inside = [(name, os.path.join(directory, name)) for name in folders]
        skipped += [(path, HIDDEN) for name, path in inside if name.startswith(".")]
        skipped += [(path, FOLDER_LINK) for name, path in inside if name[0] != "." and os.path.islink(path)]
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (os.path.join(directory, file) for file in files):
            reason = kind.reason_against(path)
            if reason is None:
                add(path)
            else:
                skipped.append((path, reason))
    if not sources:
        add(top, f"no {kind.name} below this folder")
    return Found(tuple(sorted(sources, key=lambda source: source.path)), tuple(sorted(skipped)))


def read_input(source: Source) -> bytes:
    """A file's bytes, or standard input's; InputError where it cannot be read."""
    source.check()
    if source.path == STDIO:
        if sys.stdin is None:
            raise InputError("closed, there is nothing to read")
        return sys.stdin.buffer.read()
    return read_whole(source.path)


def refuse_many(data: bytes) -> None:
    """InputError for the bytes of a tar file or of an array, where one picture is meant."""
    kinds = ((b"ustar", 257, "a tar file"), (b"\x1f\x8b", 0, "a packed file"), (b"\x93NUMPY", 0, "an array"))
    what = next((what for magic, at, what in kinds if data.startswith(magic, at)), None)
    if what is not None:
        raise InputError(f"{what}: encode, decode and verify take many pictures from a file by its name")


def read_coded(source: Source) -> bytes:
    """An .sv file's bytes; InputError where it cannot be read, is of another kind, or holds many pictures."""
    from selfcodec.format.header import MAGIC

    source.check()
    if is_shard(source.path):
        remedy = "selfcodec encode makes" if ends_in(source.path, ARRAY) else f"tar -xf {shown(source.path)} unpacks"
        raise InputError(f"many pictures, where this command takes single .sv files: {remedy} them")
    data, path = read_input(source), source.path
    refuse_many(data)
    if data and not data.startswith(MAGIC[: len(data)]):
        what = "it is an image; " if not is_piped(path) and _is_image(path) else ""
        raise InputError(f"{path}: not an .sv file: {what}selfcodec encode makes .sv files of images")
    return data
