"""The ladder of modes on a data set: bytes against fidelity, and the paper's Figure 5.

Run as `python -m selfcodec.benchmarks.ladder --model NAME --dataset cifar10 --limit 500 -o DIR`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from rich.table import Table

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.metrics import (
    BenchmarkCommand,
    bits_per_dim,
    make_folder,
    mean_finite,
    progress,
    provenance,
    psnr,
    show,
    write_report,
)
from selfcodec.benchmarks.sources import load_pictures
from selfcodec.codec import Settings, decode_file, encode_picture
from selfcodec.errors import InputError
from selfcodec.images import from_image
from selfcodec.modes import Mode
from selfcodec.zoo import Model, find_model

REPORT, PICTURE = "ladder.json", "ladder.png"
PICTURED = 8
"""Images in the picture at most."""
CELL = 128
"""Pixels of one image's side in the picture, about."""
GAP = 6
BYTE_CHAINS = ((Mode.RS1, Mode.RS2), (Mode.RS1, Mode.CG, Mode.CR, Mode.LOSSLESS))
PSNR_CHAINS = ((Mode.RS1, Mode.RS2), (Mode.RS1, Mode.CG, Mode.CR))
TITLES = {
    Mode.RS1: "reconstruction 1\n(rs1)",
    Mode.RS2: "reconstruction 2\n(rs2)",
    Mode.CG: "conditional\ngeneration (cg)",
    Mode.CR: "conditional\nreconstruction (cr)",
    Mode.LOSSLESS: "lossless\n",
}


@dataclass
class Rung:
    """One mode's results, image by image.

    Attributes:
        sizes: of the files, bytes.
        qualities: PSNR in dB; infinite where the image came back as it was.
        stored: files that hold the fallback.
        pictured: the first decoded images.
    """

    sizes: list[int] = field(default_factory=list)
    qualities: list[float] = field(default_factory=list)
    stored: int = 0
    pictured: list[UInt8] = field(default_factory=list)

    @property
    def size(self) -> float:
        """Mean bytes of a file."""
        return sum(self.sizes) / len(self.sizes)

    @property
    def quality(self) -> float:
        """Mean PSNR in dB of the images that changed; infinite where none did."""
        mean = mean_finite(self.qualities)
        return math.inf if mean is None else mean

    @property
    def identical(self) -> int:
        """Images that came back as they were."""
        return sum(math.isinf(quality) for quality in self.qualities)


@dataclass(frozen=True)
class Link:
    """One inequality of a chain, and whether the means obey it."""

    what: str
    holds: bool


def climb(image: UInt8, model: Model, rungs: dict[Mode, Rung]) -> None:
    """Codes one image (H, W, 3) in every mode."""
    picture = from_image(Image.fromarray(image))
    for mode, rung in rungs.items():
        encoded = encode_picture(picture, Settings(mode), model, verify=False)
        decoded = np.asarray(decode_file(encoded.data, model=model))
        rung.sizes.append(len(encoded.data))
        rung.qualities.append(psnr(image, decoded))
        rung.stored += encoded.mode is Mode.STORED
        if len(rung.pictured) < PICTURED:
            rung.pictured.append(decoded)


def links(rungs: dict[Mode, Rung]) -> list[Link]:
    """The chains, as far as the model offers their modes."""
    out = []
    for chains, name in ((BYTE_CHAINS, "bytes"), (PSNR_CHAINS, "PSNR")):
        for chain in chains:
            for a, b in pairwise(mode for mode in chain if mode in rungs):
                low, high = rungs[a], rungs[b]
                holds = low.size < high.size if name == "bytes" else low.quality < high.quality
                out.append(Link(f"{name} {a} < {b}", holds))
    return out


def report(images: UInt8, rungs: dict[Mode, Rung], chain: list[Link]) -> dict[str, Any]:
    """The figures by mode, and the chains."""
    shape = images.shape[1:]
    modes = {}
    for mode, rung in rungs.items():
        modes[str(mode)] = {
            "bytes": rung.size,
            "bits_per_dim": bits_per_dim(rung.size, shape),
            "ratio": math.prod(shape) / rung.size,
            "psnr": mean_finite(rung.qualities),
            "identical": rung.identical,
            "stored": rung.stored,
        }
    return {
        "images": len(images),
        "shape": list(shape),
        "modes": modes,
        "chains": {link.what: link.holds for link in chain},
        "round_trip_failures": len(images) - rungs[Mode.LOSSLESS].identical,
    }


def table(figures: dict[str, Any], title: str) -> Table:
    """The report's modes, one row each."""
    out = Table(title=title)
    out.add_column("mode", no_wrap=True)
    for heading in ("bytes", "bits/dim", "ratio", "PSNR (dB)", "identical", "stored"):
        out.add_column(heading, justify="right")
    for mode, row in figures["modes"].items():
        quality = "–" if row["psnr"] is None else f"{row['psnr']:.2f}"
        sizes = (f"{row['bytes']:.1f}", f"{row['bits_per_dim']:.3f}", f"{row['ratio']:.2f}")
        out.add_row(mode, *sizes, quality, str(row["identical"]), str(row["stored"]))
    return out


def _mosaic(columns: list[list[UInt8]], scale: int) -> UInt8:
    """Columns of images (h, w, 3) side by side on white, every pixel `scale` wide."""
    h, w = (scale * side for side in columns[0][0].shape[:2])
    rows = len(columns[0])
    out = np.full((rows * (h + GAP) - GAP, len(columns) * (w + GAP) - GAP, 3), 255, np.uint8)
    for j, column in enumerate(columns):
        for i, image in enumerate(column):
            top, left = i * (h + GAP), j * (w + GAP)
            out[top : top + h, left : left + w] = image.repeat(scale, 0).repeat(scale, 1)
    return out


def draw(images: UInt8, rungs: dict[Mode, Rung]) -> Figure:
    """Figure 5 of the paper: originals in the first column, then the modes, compression ratios beneath."""
    columns = [list(images[:PICTURED]), *(rung.pictured for rung in rungs.values())]
    scale = max(1, CELL // max(images.shape[1:3]))
    mosaic = _mosaic(columns, scale)
    step = scale * images.shape[2] + GAP
    raw = math.prod(images.shape[1:])
    titles = ["original\n", *(TITLES[mode] for mode in rungs)]
    ratios = ["1", *(f"{raw / rung.size:.1f}" for rung in rungs.values())]
    height, width = mosaic.shape[:2]
    top, bottom, dpi = 50, 55, 150
    figure = Figure(figsize=((width + 2 * GAP) / dpi, (height + top + bottom) / dpi), dpi=dpi)
    figure.figimage(mosaic, GAP, bottom)
    for i, (title, ratio) in enumerate(zip(titles, ratios, strict=True)):
        x = (GAP + i * step + (step - GAP) / 2) / (width + 2 * GAP)
        figure.text(x, 1 - top / 2 / (height + top + bottom), title, ha="center", va="center", fontsize=5.6)
        figure.text(x, 36 / (height + top + bottom), ratio, ha="center", va="center", fontsize=8)
    note = f"compression ratio: raw bytes over bytes of the file, mean of {len(rungs[Mode.RS1].sizes)} images"
    figure.text(0.5, 11 / (height + top + bottom), note, ha="center", va="center", fontsize=6)
    return figure


@click.command("ladder", cls=BenchmarkCommand)
@click.option("--model", "model_name", help="Name or folder of a model; the default one if not given.")
@click.option("--dataset", default="cifar10", show_default=True, help="Name of the data set.")
@click.option("--limit", type=click.IntRange(min=1), default=500, show_default=True, help="Test images.")
@click.option("-o", "--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder.")
def main(model_name: str | None, dataset: str, limit: int, output: Path) -> None:
    """Code the first test images in every mode; print, draw and check what more bytes buy.

    Ends with exit status 1 if a mode that sends more does not take more bytes or gives a lower PSNR in the mean, or
    if a lossless file does not decode to its image.
    """
    model = find_model(model_name)
    pictures = list(load_pictures(dataset, limit).values())
    if len({picture.shape for picture in pictures}) > 1:
        raise InputError(f"data set {dataset!r}: its images have different sizes; the ladder is of equal ones")
    images = np.stack(pictures)
    make_folder(output)
    rungs = {mode: Rung() for mode in model.modes}
    for image in progress(images, len(images), "images"):
        climb(image, model, rungs)
    chain = links(rungs)
    figures = report(images, rungs, chain)
    ctx = click.get_current_context()
    write_report(output / REPORT, {**provenance(ctx, model), "dataset": dataset, "split": "test", **figures})
    draw(images, rungs).savefig(output / PICTURE)
    show(table(figures, f"{model.spec.name}, {len(images)} test images of {dataset}"))
    for link in chain:
        click.echo(f"{'ok    ' if link.holds else 'NOT ok'} {link.what}")
    failures = figures["round_trip_failures"]
    click.echo(f"{'NOT ok' if failures else 'ok    '} lossless round trips: {failures} failures")
    if failures or not all(link.holds for link in chain):
        ctx.exit(1)


if __name__ == "__main__":
    main()
