"""Lossless rates of many images: the figures, and tables of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from selfcodec.benchmarks.coders import PEERS
from selfcodec.benchmarks.measure import Measured
from selfcodec.benchmarks.metrics import bits_per_dim
from selfcodec.benchmarks.reports.tables import MODEL_SUM, columns_table

BOUND_FACTOR, BOUND_BYTES = 1.01, 24
"""A file may have this many times the model's bytes, plus so many."""
FILE = "file"
"""Reports call the model's file so beside those of other coders."""
NAMES = {
    "elbo_float": "ELBO, float networks",
    "elbo_integer": "ELBO, integer networks",
    "model": MODEL_SUM,
    FILE: "file, header included",
    **{key: coder.info.title for key, coder in PEERS.items() if coder.info.lossless},
}


@dataclass(frozen=True)
class Outcome:
    """One image's files.

    Attributes:
        name: of the image.
        shape: of the image, (H, W, 3).
        files: what was measured by coder, under FILE the model's; its `model_bits` are those of coding the image also
            where the file stores it.
    """

    name: str
    shape: tuple[int, ...]
    files: Mapping[str, Measured]

    @property
    def file(self) -> Measured:
        """Return the model's file."""
        return self.files[FILE]

    @property
    def model_bytes(self) -> float:
        """Return the sum of -log2 p in bytes."""
        return math.fsum(self.file.model_bits.values()) / 8

    @property
    def excess(self) -> float:
        """Return the bytes beyond the model's."""
        return self.file.size - self.model_bytes

    @property
    def within_bound(self) -> bool:
        """Return whether the size is what the model promises, up to 1 % and 24 bytes."""
        return self.file.size <= BOUND_FACTOR * self.model_bytes + BOUND_BYTES

    @property
    def bytes(self) -> dict[str, int]:
        """Return the files' sizes by coder."""
        return {key: found.size for key, found in self.files.items()}

    @property
    def bits_per_dim(self) -> dict[str, float]:
        """Return the files' rates by coder."""
        return {key: bits_per_dim(size, self.shape) for key, size in self.bytes.items()}


def _speeds(amount: float, outcomes: Sequence[Outcome]) -> dict[str, float]:
    return {
        "encode": amount / math.fsum(o.file.encode_seconds for o in outcomes),
        "decode": amount / math.fsum(o.file.decode_seconds for o in outcomes),
    }


def summary(outcomes: Sequence[Outcome], elbo: dict[str, dict[str, float]], jobs: int) -> dict[str, Any]:
    """Return the figures; rates in bits per dimension, means of the images' own; `shape` is the first image's."""
    n, first = len(outcomes), outcomes[0]

    def mean(values: Iterable[float]) -> float:
        return math.fsum(values) / n

    model = {
        variable: mean(bits_per_dim(o.file.model_bits[variable] / 8, o.shape) for o in outcomes)
        for variable in first.file.model_bits
    }
    by_variable = {**elbo, "model": model}
    rates = {name: math.fsum(parts.values()) for name, parts in by_variable.items()}
    return {
        "images": n,
        "shape": list(first.shape),
        "bits_per_dim": rates | {key: mean(o.bits_per_dim[key] for o in outcomes) for key in first.files},
        "by_variable": by_variable,
        "bytes": {key: mean(o.bytes[key] for o in outcomes) for key in first.files},
        "stored": sum(o.file.stored for o in outcomes),
        "round_trip_failures": sum(not o.file.exact for o in outcomes),
        "peers": {
            key: {
                "settings": f"{PEERS[key].info.title} by imagecodecs with {PEERS[key].how}",
                "failures": sum(not o.files[key].exact for o in outcomes),
            }
            for key in first.files
            if key != FILE
        },
        "bound": {
            "factor": BOUND_FACTOR,
            "bytes": BOUND_BYTES,
            "worst_excess_bytes": max(o.excess for o in outcomes),
            "files_beyond": sum(not o.within_bound for o in outcomes),
        },
        "images_per_second": _speeds(n, outcomes),
        "megapixels_per_second": _speeds(sum(math.prod(o.shape[:2]) for o in outcomes) / 1e6, outcomes),
        "jobs": jobs,
    }


def each_image(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return one image's figures after another."""
    return [
        {
            "name": o.name,
            "width": o.shape[1],
            "height": o.shape[0],
            "bytes": o.bytes,
            "bits_per_dim": o.bits_per_dim,
            "stored": o.file.stored,
            "intact": o.file.exact,
            "encode_seconds": round(o.file.encode_seconds, 3),
            "decode_seconds": round(o.file.decode_seconds, 3),
        }
        for o in outcomes
    ]


def image_table(images: Sequence[Mapping[str, Any]]) -> Table:
    """Return the rates of every image."""
    coders = (NAMES[key] for key in images[0]["bits_per_dim"])
    table = columns_table(
        "bits per dimension, image by image", ["image"], ["size", *coders, "encode (s)", "decode (s)"]
    )
    for image in images:
        least = min(image["bits_per_dim"].values())
        rates = [f"[bold]{rate:.3f}[/]" if rate == least else f"{rate:.3f}" for rate in image["bits_per_dim"].values()]
        seconds = [f"{image['encode_seconds']:.2f}", f"{image['decode_seconds']:.2f}"]
        table.add_row(image["name"], f"{image['width']} × {image['height']}", *rates, *seconds)
    return table


def rate_rows(figures: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows of the rates side by side, in all and by variable, with mean bytes of a file."""
    variables = list(figures["by_variable"]["model"])
    rows = []
    for name, rate in figures["bits_per_dim"].items():
        parts, size = figures["by_variable"].get(name, {}), figures["bytes"].get(name)
        cells = [f"{parts[variable]:.4f}" if variable in parts else "" for variable in variables]
        rows.append([NAMES.get(name, name), f"{rate:.4f}", *cells, "" if size is None else f"{size:.1f}"])
    return ["bits per dimension", "total", *variables, "mean bytes"], rows


def rates_table(figures: Mapping[str, Any], title: str) -> Table:
    """Return the rates side by side, for a terminal."""
    (name, *headings), rows = rate_rows(figures)
    table = columns_table(title, [name], headings)
    for row in rows:
        table.add_row(*row)
    return table


def remarks(figures: Mapping[str, Any]) -> list[str]:
    """Return what is to be said beside the tables, line by line."""
    images, pixels = figures["images_per_second"], figures["megapixels_per_second"]
    return [
        f"largest file beyond its own sum of -log2 p: {figures['bound']['worst_excess_bytes']:+.1f} bytes",
        f"files beyond 1 % + {BOUND_BYTES} bytes: {figures['bound']['files_beyond']}",
        f"files that hold the stored fallback: {figures['stored']}",
        f"images per second and process: encode {images['encode']:.2f}, decode {images['decode']:.2f}",
        f"megapixels per second and process: encode {pixels['encode']:.3f}, decode {pixels['decode']:.3f}",
        *(f"{NAMES[key]}: {peer['failures']} round trip failures" for key, peer in figures["peers"].items()),
        f"round trip failures: {figures['round_trip_failures']}",
    ]
