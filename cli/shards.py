"""Encodes and decodes files of many pictures, in groups that are small enough to be in memory."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from selfcodec.cli.decoding import Wanted, warn_of_truncation
from selfcodec.cli.encoding import Options, Outcome, failure
from selfcodec.cli.files import Job
from selfcodec.cli.inputs import is_coded_entry, is_image_entry, is_piped, open_shard
from selfcodec.cli.names import ARRAY, CODED_SHARD, SUFFIX, TAR, distinct, ends_in, named, shown, with_suffix
from selfcodec.cli.output import complain
from selfcodec.cli.outputs import check_target, open_output
from selfcodec.errors import FormatError, InputError, naming
from selfcodec.modes import Mode
from selfcodec.together import grouped

if TYPE_CHECKING:
    from selfcodec.images import AnyImage, Picture
    from selfcodec.rate_control import Reached
    from selfcodec.shards import Entry, Sink
    from selfcodec.zoo import Model

_BYTES_A_PIXEL = 3
"""Files that are copied count as pictures of as many bytes where memory is concerned."""


@dataclass(frozen=True)
class _Shard:
    """A shard that is read.

    Attributes:
        entries: all of them, in order.
        targets: by name, what each is called in the output.
        chosen: names of those that are coded.
        left_out: what is not among the entries, one line each.
    """

    entries: Sequence[Entry]
    targets: dict[str, str]
    chosen: set[str]
    left_out: tuple[str, ...]

    @property
    def pictures(self) -> int:
        return sum(entry.name in self.chosen for entry in self.entries)


@contextmanager
def _opened(path: str, suffix: Callable[[Entry], str | None], what: str) -> Iterator[_Shard]:
    """A shard, whose entries can be read within the block.

    Args:
        path: of the shard.
        suffix: gives the new one of an entry that is coded, else None.
        what: such entries are, in an error where there are none.
    """
    with closing(open_shard(path)) as source:
        entries = list(source.entries())
        suffixes = {entry.name: suffix(entry) for entry in entries}
        chosen = {name for name, end in suffixes.items() if end is not None}
        if not chosen:
            raise InputError(source.instead or f"no {what} in this file")
        targets = dict(zip(suffixes, distinct(list(suffixes), list(suffixes.values())), strict=True))
        yield _Shard(entries, targets, chosen, source.left_out)


class _Remarks:
    """What is not kept of a shard: each line once, with the first name that it is true of."""

    def __init__(self, shard: str) -> None:
        self.shard = named(shard)
        self._names: dict[str, list[str]] = defaultdict(list)

    def add(self, lines: Sequence[str], name: str = "") -> None:
        for line in lines:
            self._names[line].append(name)

    def lines(self) -> Iterator[str]:
        for line, names in self._names.items():
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            yield f"{self.shard}: {shown(names[0])}{more}: {line}" if names[0] else f"{self.shard}: {line}"


@dataclass(frozen=True)
class _Loaded:
    """An entry's bytes, and the picture that they are to be coded as, if any."""

    entry: Entry
    data: bytes
    picture: Picture | None

    @property
    def pixels(self) -> int:
        return len(self.data) // _BYTES_A_PIXEL if self.picture is None else self.picture.pixels


def _loaded(shard: _Shard, options: Options) -> Iterator[_Loaded]:
    from selfcodec.images import load_picture

    for entry in shard.entries:
        data, picture = entry.read(), None
        if entry.name in shard.chosen:
            picture = load_picture(data, strip=options.strip, first=options.first, name=entry.name)
        yield _Loaded(entry, data, picture)


@dataclass
class _Sums:
    """Over the pictures of a shard."""

    pictures: int = 0
    stored: int = 0
    bytes: int = 0
    source_bytes: int = 0
    pixels: int = 0
    model_bits: float = 0.0

    def add(self, loaded: _Loaded, reached: Reached) -> None:
        encoded = reached.encoded
        self.pictures += 1
        self.stored += encoded.mode is Mode.STORED
        self.bytes += len(encoded.data)
        self.source_bytes += len(loaded.data)
        self.pixels += loaded.pixels
        self.model_bits += sum(encoded.model_bits.values())


def attempt_shard(job: Job, options: Options) -> Outcome:
    """Encodes a shard as one of .sv files; any error is in the outcome, and nothing is written then."""
    try:
        return _encode_shard(job, options)
    except BrokenPipeError:
        raise
    except Exception as error:  # one bad shard must not end a batch, whatever is wrong with it
        return failure(job, error)


def _encode_shard(job: Job, options: Options) -> Outcome:
    from selfcodec.zoo import model_for

    job.source.check()
    check_target(job, force=options.force)
    if not (is_piped(job.target) or ends_in(job.target, TAR)):
        better = shown(with_suffix(job.target, CODED_SHARD))
        raise InputError(f"output {shown(job.target)}: several pictures make a tar file: name it {better}")
    start, sums, remarks = time.perf_counter(), _Sums(), _Remarks(job.source.path)
    model = model_for(options.settings, options.model)

    def suffix(entry: Entry) -> str | None:
        return SUFFIX if is_image_entry(entry) else None

    with _opened(job.source.path, suffix, "images") as shard:
        remarks.add(shard.left_out)
        with open_output(job, preserve=options.preserve) as file:
            _encode_entries(shard, file, options, model, sums, remarks)
    report: dict[str, Any] = {
        "input": job.source.path,
        "output": job.target,
        "mode": str(options.settings.mode),
        "model": model.spec.name,
        "pictures": sums.pictures,
        "stored": sums.stored,
        "bytes": sums.bytes,
        "file_bytes": os.path.getsize(job.target),
        "source_bytes": sums.source_bytes,
        "model_bits": sums.model_bits,
        "bpp": 8 * sums.bytes / sums.pixels,
        "seconds": time.perf_counter() - start,
    }
    return Outcome(report, warnings=tuple(remarks.lines()))


def _encode_entries(
    shard: _Shard, file: BinaryIO, options: Options, model: Model, sums: _Sums, remarks: _Remarks
) -> None:
    from selfcodec.many import encode_all
    from selfcodec.shards import TarSink

    sink, done = TarSink(file), 0
    for group in grouped(_loaded(shard, options), lambda own: own.pixels, lambda own: own.picture is not None):
        coded = [(loaded.entry.name, loaded.picture) for loaded in group if loaded.picture is not None]
        names, pictures = [name for name, _ in coded], [picture for _, picture in coded]
        files = iter(encode_all(pictures, names, options.settings, options.target, model, verify=options.verify))
        for loaded in group:
            entry, data = loaded.entry, loaded.data
            if loaded.picture is not None:
                reached = next(files)
                data = reached.encoded.data
                sums.add(loaded, reached)
                remarks.add(loaded.picture.warnings_in(reached.encoded.mode), entry.name)
            sink.add(shard.targets[entry.name], entry.info, data)
        done += len(group)
        if options.report is not None:
            options.report(done / len(shard.entries))
    sink.finish()


def decode_shard(job: Job, wanted: Wanted, report: Callable[[float], None]) -> None:
    """Decodes a shard of .sv files to one of images, or to an array; nothing is written where it fails.

    Args:
        job: the output's suffix says which.
        wanted: of the command.
        report: is told the share of it that is done.
    """
    job.source.check()
    check_target(job, force=wanted.force)
    remarks = _Remarks(job.source.path)
    with _opened(job.source.path, _image_suffix, ".sv files") as shard:
        remarks.add(shard.left_out)
        with open_output(job, preserve=wanted.preserve) as file:
            sink, done = _sink(job.target, file, shard.pictures), 0
            for group in grouped(shard.entries, _pixels, lambda entry: entry.name in shard.chosen):
                _decode_group(group, shard, sink, wanted, remarks)
                done += len(group)
                report(done / len(shard.entries))
            remarks.add(sink.finish())
    for line in remarks.lines():
        complain(line, "warning")


def _sink(target: str, file: BinaryIO, pictures: int) -> Sink:
    from selfcodec.shards import ArraySink, TarSink

    if ends_in(target, ARRAY):
        return ArraySink(file, pictures)
    if ends_in(target, TAR):
        return TarSink(file)
    raise InputError(f"output {shown(target)}: several pictures make a {TAR} or, if of one size, an {ARRAY}")


def _image_suffix(entry: Entry) -> str | None:
    from selfcodec.format.header import peek
    from selfcodec.images import usual_suffix

    if not is_coded_entry(entry):
        return None
    try:
        return usual_suffix(peek(entry.head).image_mode)
    except FormatError:  # what is wrong is told when its turn comes
        return usual_suffix("RGB")


def _pixels(entry: Entry) -> int:
    """Of an .sv file; of another, as many as have its bytes."""
    from selfcodec.format.header import peek

    try:
        return peek(entry.head).pixels
    except FormatError:
        return entry.info.size // _BYTES_A_PIXEL


def _decode_group(entries: Sequence[Entry], shard: _Shard, sink: Sink, wanted: Wanted, remarks: _Remarks) -> None:
    from selfcodec.decoding import open_file
    from selfcodec.many import decode_all

    data = [entry.read() for entry in entries]
    coded = [(entry.name, own) for entry, own in zip(entries, data, strict=True) if entry.name in shard.chosen]
    names, files = [name for name, _ in coded], [own for _, own in coded]
    images: Iterator[AnyImage] = iter(
        decode_all(files, names, upto=wanted.upto, allow_truncated=wanted.allow_truncated)
    )
    for entry, own in zip(entries, data, strict=True):
        target = shard.targets[entry.name]
        if entry.name not in shard.chosen:
            sink.add(target, entry.info, own)
            continue
        if wanted.allow_truncated:
            where = f"{remarks.shard}: {shown(entry.name)}"
            warn_of_truncation(open_file(own, allow_truncated=True), where, wanted.upto)
        with naming(entry.name):
            remarks.add(sink.add_image(target, entry.info, next(images)), entry.name)


def verify_shard(path: str) -> None:
    """Decodes all .sv files of a shard; an error names the first that is damaged."""
    from selfcodec.many import decode_all

    with _opened(path, _image_suffix, ".sv files") as shard:
        for group in grouped((entry for entry in shard.entries if entry.name in shard.chosen), _pixels):
            decode_all([entry.read() for entry in group], [entry.name for entry in group])
