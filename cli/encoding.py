"""Encodes one file for the `encode` command, in this process or in a worker."""

from __future__ import annotations

import math
import os
import signal
import time
from dataclasses import dataclass
from typing import Any

from selfcodec.cli import search
from selfcodec.cli.files import STDIO, Job, check_target, read_input, shown, write_output
from selfcodec.cli.output import describe


@dataclass(frozen=True)
class Options:
    """What `encode` was asked for, the same for all of its files.

    Attributes:
        mode: name of the mode.
        level, quality, seed: of `codec.Settings`; None where not given.
        model: name or folder of the model; None for the default.
        bpp, size, psnr: target to search the quality for, in bits a pixel, bytes and dB; at most one.
        strip: leave metadata out.
        verify: decode and compare.
        force: replace existing files.
    """

    mode: str
    level: int | None
    quality: int | None
    seed: int | None
    model: str | None
    bpp: float | None
    size: int | None
    psnr: float | None
    strip: bool
    verify: bool
    force: bool


@dataclass(frozen=True)
class Outcome:
    """Of one file: the report, or the error as one line."""

    report: dict[str, Any]
    error: str = ""


def psnr(planes: Any, data: bytes, model: Any) -> float:
    """Peak signal-to-noise ratio in dB of a file's colour samples against the image's (H, W, C); inf if equal."""
    import numpy as np

    from selfcodec.codec import decode_file
    from selfcodec.images import from_image

    decoded = from_image(decode_file(data, model=model), strip=True).planes
    error = float(np.square(decoded.astype(np.int32) - planes).mean())
    return 10 * math.log10(255**2 / error) if error else math.inf


def encode_file(job: Job, options: Options) -> dict[str, Any]:
    """Encodes and writes one file; returns its report. Raises SelfcodecError or OSError."""
    from dataclasses import replace

    from selfcodec.codec import Settings, encode_picture
    from selfcodec.images import load_picture
    from selfcodec.modes import DEFAULT_QUALITY, Mode, default_level, has_level
    from selfcodec.zoo import find_model

    check_target(job, force=options.force)
    start = time.perf_counter()
    mode = Mode.parse(options.mode)
    model = find_model(options.model, mode)
    source = read_input(STDIO) if job.source == STDIO else job.source
    picture = load_picture(source, strip=options.strip)
    height, width = picture.planes.shape[:2]
    settings = Settings(mode, options.level, options.quality or DEFAULT_QUALITY, options.seed)

    def attempt(quality: int) -> bytes:
        return encode_picture(picture, replace(settings, quality=quality), model, verify=False).data

    limit = options.size if options.bpp is None else int(options.bpp * width * height / 8)
    if limit is not None:
        settings = replace(settings, quality=search.largest_within(lambda q: len(attempt(q)), limit))
    elif options.psnr is not None:
        reached = search.smallest_reaching(lambda q: psnr(picture.planes, attempt(q), model), options.psnr)
        settings = replace(settings, quality=reached)
    encoded = encode_picture(picture, settings, model, verify=options.verify)
    write_output(job, encoded.data)
    stored, size = encoded.mode is Mode.STORED, len(encoded.data)
    report: dict[str, Any] = {
        "input": job.source,
        "output": job.target,
        "mode": str(encoded.mode),
        "model": None if stored else model.spec.name,
        "bytes": size,
        "model_bits": sum(encoded.model_bits.values()),
        "bpp": 8 * size / (width * height),
        "seconds": time.perf_counter() - start,
        "width": width,
        "height": height,
        "level": None,
        "quality": None if stored else settings.quality,
        "seed": None if stored else settings.seed,
        "bits_by_variable": encoded.model_bits,
    }
    if has_level(encoded.mode):
        report["level"] = default_level(mode, model.levels) if settings.level is None else settings.level
    if options.psnr is not None:
        found = psnr(picture.planes, encoded.data, model)
        report["psnr"] = found if math.isfinite(found) else None
    return report


def attempt_file(job: Job, options: Options) -> Outcome:
    """The same, with any error as a line of text, which unlike exceptions always travels between processes."""
    try:
        return Outcome(encode_file(job, options))
    except BrokenPipeError:
        raise
    except Exception as error:  # one bad file must not end a batch, whatever is wrong with it
        return Outcome({}, describe(error, shown(job.source)))


def start_worker(workers: int) -> None:
    """Divides the processors among the workers, and lets Ctrl-C end one without a traceback."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))
