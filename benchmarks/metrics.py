"""Measures of size and fidelity, other coders, and what benchmark commands share: errors, provenance, reports."""

from __future__ import annotations

import io
import json
import math
import os
import platform
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from selfcodec import __version__
from selfcodec.arrays import UInt8
from selfcodec.errors import InputError, SelfcodecError
from selfcodec.files import write_atomically
from selfcodec.zoo import Model

T = TypeVar("T")

PACKAGES = ("compressai", "constriction", "imagecodecs", "numpy", "pillow", "torch")
"""Distributions whose versions a report names."""


def psnr(image: UInt8, other: UInt8) -> float:
    """10 log10(255^2 / MSE) in dB over all samples of two uint8 arrays of one shape; infinite where they are equal."""
    if image.shape != other.shape or image.dtype != np.uint8 or other.dtype != np.uint8:
        raise ValueError(f"PSNR of {image.shape} {image.dtype} and {other.shape} {other.dtype}")
    error = float(np.square(image.astype(np.float64) - other).mean())
    return 10 * math.log10(255**2 / error) if error else math.inf


def mean_finite(values: Sequence[float]) -> float | None:
    """The mean of what is finite; None where nothing is."""
    finite = [value for value in values if math.isfinite(value)]
    return math.fsum(finite) / len(finite) if finite else None


def bits_per_pixel(size: float, height: int, width: int) -> float:
    """Bits per pixel of `size` bytes."""
    return 8 * size / (height * width)


def bits_per_dim(size: float, shape: tuple[int, ...]) -> float:
    """Bits per dimension of `size` bytes for an image of shape (H, W, C)."""
    return 8 * size / math.prod(shape)


def progress(items: Iterable[T], total: int, what: str) -> Iterable[T]:
    """The items, with a bar on standard error where that is a terminal."""
    console = Console(stderr=True)
    return track(items, what, total, console=console, transient=True, disable=not console.is_terminal)


@dataclass(frozen=True)
class Peer:
    """Another lossless coder: a title, how it is set, from an image (H, W, 3) to a file, and back."""

    title: str
    settings: str
    write: Callable[[UInt8], bytes]
    read: Callable[[bytes], UInt8]


def _pillow(image: UInt8, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def _read_pillow(data: bytes) -> UInt8:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def _imagecodecs() -> Any:
    try:
        import imagecodecs
    except ImportError as error:
        raise InputError("JPEG XL needs the package imagecodecs: pip install 'selfcodec[bench]'") from error
    return imagecodecs


def _jxl(image: UInt8) -> bytes:
    return bytes(_imagecodecs().jpegxl_encode(image, effort=7, lossless=True))


def _read_jxl(data: bytes) -> UInt8:
    return np.asarray(_imagecodecs().jpegxl_decode(data))


PEERS = {
    "png": Peer("PNG", "PNG by Pillow with optimize", partial(_pillow, kind="PNG", optimize=True), _read_pillow),
    "webp": Peer(
        "WebP lossless",
        "WebP by Pillow with quality 100, method 6",
        partial(_pillow, kind="WEBP", lossless=True, exact=True, quality=100, method=6),
        _read_pillow,
    ),
    "jxl": Peer("JPEG XL lossless", "JPEG XL by imagecodecs with effort 7", _jxl, _read_jxl),
}


def show(table: Table) -> None:
    """Prints a table; where no terminal limits the width, without wrapping."""
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)


class BenchmarkCommand(click.Command):
    """A command that reports selfcodec's errors in one line, with exit status 1, and remembers how it was called."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[__name__] = [self.name or "", *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (SelfcodecError, OSError) as error:
            click.echo(f"selfcodec: error: {error}", err=True)
            ctx.exit(1)


def command_line(ctx: click.Context) -> str:
    """The command that runs; of absolute paths, which mean nothing elsewhere, the last part."""
    name, *args = ctx.meta[__name__]
    shown = []
    for arg in args:
        option, equals, value = arg.partition("=") if arg.startswith("--") else ("", "", arg)
        shown.append(option + equals + (Path(value).name if Path(value).is_absolute() else value))
    return shlex.join(["python", "-m", f"selfcodec.benchmarks.{name}", *shown])


def _processor() -> str:
    """The processor's name, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def environment() -> dict[str, Any]:
    """Date, machine and versions, for reports."""
    versions = {"selfcodec": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cpu": _processor(), "cores": os.cpu_count()},
        "versions": versions,
    }


def provenance(ctx: click.Context, model: Model) -> dict[str, Any]:
    """What a report of one model says of its own making."""
    named = {"name": model.spec.name, "sha256": model.digest}
    return {"command": command_line(ctx), **environment(), "model": named}


def make_folder(folder: Path) -> None:
    """Creates an output folder; InputError where that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be created: {error.strerror or error}") from error


def write_report(path: Path, report: dict[str, Any], rows: Sequence[str] = ()) -> None:
    """Writes a report as JSON, indented, but for lists under the names in `rows`: of those every item takes a line."""
    text = json.dumps({**report, **dict.fromkeys(rows)}, indent=1, allow_nan=False)
    for name in rows:
        lines = ",\n  ".join(json.dumps(row, allow_nan=False) for row in report[name])
        text = text.replace(f'\n "{name}": null', f'\n "{name}": [\n  {lines}\n ]')
    write_atomically(path, f"{text}\n".encode())


def read_report(path: Path) -> dict[str, Any]:
    """A report that `write_report` wrote; InputError where it cannot be read."""
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a benchmark's report ({type(error).__name__})") from error
    if not isinstance(report, dict):
        raise InputError(f"{path}: not a benchmark's report")
    return report
