"""Encodes files for the `encode` command, in this process or in a worker."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from selfcodec.cli.files import Job
from selfcodec.cli.inputs import is_piped, read_input, refuse_many
from selfcodec.cli.names import SUFFIX, ends_in, is_shard, named, shown, with_suffix
from selfcodec.cli.output import describe
from selfcodec.cli.outputs import check_target, write_output
from selfcodec.errors import InputError
from selfcodec.modes import Mode
from selfcodec.together import MOST_PIXELS, done_ahead

if TYPE_CHECKING:
    from selfcodec.images import Picture
    from selfcodec.rate_control import Reached, Target
    from selfcodec.settings import Settings
    from selfcodec.zoo import Model

BY_SIZE = "smaller than what the model makes of it"
"""Why an image is stored whose picture gives no reason."""


@dataclass(frozen=True)
class Options:
    """What `encode` was asked for, the same for all of its files.

    Attributes:
        settings: mode, level, quality and seed.
        target: what each file is to keep to, if anything.
        model: name or folder of the model; None for the default.
        strip: leave metadata out.
        verify: decode and compare.
        force: replace existing files.
        preserve: give outputs their inputs' permissions and times.
        first: take the first picture where a file has several.
        report: is told the share of one file's refining that is done; None where nobody wants to know.
    """

    settings: Settings
    target: Target
    model: str | None
    strip: bool
    verify: bool
    force: bool
    preserve: bool = False
    first: bool = False
    report: Callable[[float], None] | None = None

    @property
    def together(self) -> bool:
        """Whether several files are coded faster together."""
        from selfcodec.many import faster_together

        return faster_together(self.settings, self.target)


@dataclass(frozen=True)
class Outcome:
    """Of one file: the report, the error as one line or none, and warnings of one line each."""

    report: dict[str, Any]
    """Of a failure `input`, `output` and `error`."""
    error: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Loaded:
    """An input that has been read.

    Attributes:
        seconds: that reading took.
    """

    job: Job
    picture: Picture
    source_bytes: int
    model: Model
    seconds: float


def attempt_files(jobs: Sequence[Job], options: Options) -> list[Outcome]:
    """Encodes and writes files, together if they are several.

    Any error is a line of text in its file's outcome: unlike exceptions text always travels between processes.
    """
    found: dict[int, Outcome] = {}
    waiting: dict[int, _Loaded] = {}

    def finish() -> None:
        found.update(_attempt_loaded(waiting, options))
        waiting.clear()

    for i, job in enumerate(jobs):
        try:
            waiting[i] = _load(job, options)
        except BrokenPipeError:
            raise
        except Exception as error:  # one bad file must not end a batch, whatever is wrong with it
            found[i] = failure(job, error)
        if sum(loaded.picture.pixels for loaded in waiting.values()) >= MOST_PIXELS:
            finish()
    finish()
    return [found[i] for i in range(len(jobs))]


def _load(job: Job, options: Options) -> _Loaded:
    from selfcodec.images import load_picture
    from selfcodec.zoo import model_for

    job.source.check()
    if ends_in(job.source.path, ".npz"):
        raise InputError("several arrays, as np.savez saves them: give one array, which np.save saves as .npy")
    check_target(job, force=options.force)
    start = time.perf_counter()
    source = read_input(job.source) if is_piped(job.source.path) else job.source.path
    if isinstance(source, bytes):
        refuse_many(source)
    if is_shard(job.target):
        better = shown(with_suffix(job.target, SUFFIX))
        raise InputError(f"output {shown(job.target)}: one picture makes an .sv file: name it {better}")
    picture = load_picture(source, strip=options.strip, first=options.first)
    size = len(source) if isinstance(source, bytes) else os.path.getsize(source)
    model = model_for(options.settings, options.model)
    return _Loaded(job, picture, size, model, time.perf_counter() - start)


def _attempt_loaded(inputs: Mapping[int, _Loaded], options: Options) -> dict[int, Outcome]:
    """Of files that have been read, by their numbers."""
    ahead = _encoded_together(list(inputs.values()), options)
    found = {}
    for (i, loaded), reached in zip(inputs.items(), ahead, strict=True):
        try:
            found[i] = _encode(loaded, options, reached)
        except BrokenPipeError:
            raise
        except Exception as error:
            found[i] = failure(loaded.job, error)
    return found


def _encoded_together(inputs: Sequence[_Loaded], options: Options) -> Sequence[tuple[Reached, float] | None]:
    """What becomes of several inputs, and how long each took; None for one alone, and for all where one fails."""
    from selfcodec.encoding import encode_pictures
    from selfcodec.rate_control import Reached

    def together(own: Sequence[_Loaded]) -> list[tuple[Reached, float]]:
        start, pictures = time.perf_counter(), [loaded.picture for loaded in own]
        files = encode_pictures(pictures, options.settings, own[0].model, verify=options.verify)
        seconds = (time.perf_counter() - start) / len(own)
        return [(Reached(encoded, options.settings), seconds) for encoded in files]

    return done_ahead(inputs, together)


def _encode(loaded: _Loaded, options: Options, ahead: tuple[Reached, float] | None) -> Outcome:
    """Encodes an input, unless that was done ahead, and writes the file. Raises SelfcodecError or OSError."""
    from selfcodec.rate_control import encode_to_target

    job, picture, model, start = loaded.job, loaded.picture, loaded.model, time.perf_counter()
    reached, seconds = ahead or (None, 0.0)
    if reached is None:
        wanted, target = options.settings, options.target
        reached = encode_to_target(picture, wanted, target, model, verify=options.verify, report=options.report)
    encoded, settings = reached.encoded, reached.settings
    write_output(job, encoded.data, preserve=options.preserve)
    stored, size = encoded.mode is Mode.STORED, len(encoded.data)
    height, width = picture.planes.shape[:2]
    report: dict[str, Any] = {
        "input": job.source.path,
        "output": job.target,
        "mode": str(encoded.mode),
        "model": None if stored else model.spec.name,
        "bytes": size,
        "source_bytes": loaded.source_bytes,
        "stored_reason": (picture.stored_reason or BY_SIZE) if stored else None,
        "model_bits": sum(encoded.model_bits.values()),
        "bpp": 8 * size / (width * height),
        "seconds": loaded.seconds + seconds + time.perf_counter() - start,
        "width": width,
        "height": height,
        "level": None if stored else settings.resolved(model.levels)[1] or None,
        "quality": None if stored else encoded.quality,
        "seed": None if stored else settings.seed,
        "bits_by_variable": encoded.model_bits,
    }
    if reached.psnr is not None:
        report["psnr"] = reached.psnr if math.isfinite(reached.psnr) else None
    lines = picture.warnings_in(encoded.mode)
    return Outcome(report, warnings=tuple(f"{named(job.source.path)}: {line}" for line in lines))


def failure(job: Job, error: Exception) -> Outcome:
    """Of a file that was not encoded."""
    text = describe(error, job.source.path)
    return Outcome({"input": job.source.path, "output": job.target, "error": text}, text)
