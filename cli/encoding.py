"""Encodes one file for the `encode` command, in this process or in a worker."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from selfcodec.cli.files import Job
from selfcodec.cli.inputs import is_piped, read_input
from selfcodec.cli.names import named
from selfcodec.cli.output import describe
from selfcodec.cli.outputs import check_target, write_output
from selfcodec.modes import Mode

if TYPE_CHECKING:
    from selfcodec.rate_control import Target
    from selfcodec.settings import Settings


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
        usual_effort: take the effort that is usual for a picture's size and the mode.
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
    usual_effort: bool = False
    report: Callable[[float], None] | None = None


@dataclass(frozen=True)
class Outcome:
    """Of one file: the report, the error as one line or none, and warnings of one line each."""

    report: dict[str, Any]
    """Of a failure `input`, `output` and `error`."""
    error: str = ""
    warnings: tuple[str, ...] = ()


def encode_file(job: Job, options: Options) -> Outcome:
    """Encodes and writes one file. Raises SelfcodecError or OSError."""
    from selfcodec.images import load_picture
    from selfcodec.rate_control import encode_to_target
    from selfcodec.settings import usual_effort
    from selfcodec.zoo import find_model

    job.source.check()
    check_target(job, force=options.force)
    start = time.perf_counter()
    source = read_input(job.source) if is_piped(job.source.path) else job.source.path
    picture = load_picture(source, strip=options.strip, first=options.first)
    model = find_model(options.model, options.settings.mode)
    wanted = options.settings
    if options.usual_effort:
        wanted = replace(wanted, effort=usual_effort(picture.size, wanted.mode))
    reached = encode_to_target(picture, wanted, options.target, model, verify=options.verify, report=options.report)
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
        "source_bytes": len(source) if isinstance(source, bytes) else os.path.getsize(source),
        "stored_reason": (picture.stored_reason or BY_SIZE) if stored else None,
        "model_bits": sum(encoded.model_bits.values()),
        "bpp": 8 * size / (width * height),
        "seconds": time.perf_counter() - start,
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


def attempt_file(job: Job, options: Options) -> Outcome:
    """The same, with any error as a line of text, which unlike exceptions always travels between processes."""
    try:
        return encode_file(job, options)
    except BrokenPipeError:
        raise
    except Exception as error:  # one bad file must not end a batch, whatever is wrong with it
        return failure(job, error)


def failure(job: Job, error: Exception) -> Outcome:
    """Of a file that was not encoded."""
    text = describe(error, job.source.path)
    return Outcome({"input": job.source.path, "output": job.target, "error": text}, text)
