"""Throughput and peak memory by image size, from 0.1 to 100 megapixels, and by the tiles that run together."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from matplotlib import rc_context

from selfcodec.benchmarks.commands.options import mode_option, model_option, numbers_option, output_folder_option
from selfcodec.benchmarks.figures.plots import STYLE, save
from selfcodec.benchmarks.figures.scaling import draw
from selfcodec.benchmarks.files import write_report
from selfcodec.benchmarks.measure import measure
from selfcodec.benchmarks.own import Own, own_coder
from selfcodec.benchmarks.processes import memory, start_up
from selfcodec.benchmarks.provenance import provenance
from selfcodec.benchmarks.reports.tables import columns_table, number, show
from selfcodec.benchmarks.sources import photograph_of_size
from selfcodec.cli.group import command_line
from selfcodec.cli.output import progress
from selfcodec.errors import SelfcodecError
from selfcodec.modes import Mode
from selfcodec.networks.integer import Runtime
from selfcodec.parallel import threads
from selfcodec.tiles import together
from selfcodec.zoo import find_model

MEGAPIXELS = "0.1,0.4,1.6,6.4,25,100"
BATCHES = "1,2,4"
BATCH_MEGAPIXELS = 3.0
RATIO = 1.5
"""Images are so many times as wide as high."""
STARTS = 3
"""So many start-ups are timed; the fastest counts."""
SHARE = 0.1
"""Start-up may vary by this share of it."""
FIGURES = (("seconds", 2), ("megapixels_per_second", 3), ("peak_mib", 0))
"""The table has these figures, with so many digits."""


def sides(megapixels: float) -> tuple[int, int]:
    """Return width and height of an image of about that size."""
    height = max(1, round(math.sqrt(1e6 * megapixels / RATIO)))
    return round(height * RATIO), height


def by_size(megapixels: float, model: str, mode: Mode, start: float) -> dict[str, Any]:
    """Return what the commands take for one image, without verification.

    Speeds are without the `start` seconds of start-up; None where hardly anything else was measured.
    """
    width, height = sides(megapixels)
    figures = memory(photograph_of_size(None, width, height).image, model, mode, "--no-verify")
    size: dict[str, Any] = {"width": width, "height": height}
    for verb, found in figures.items():
        seconds = found["seconds"] - start
        speed = width * height / 1e6 / seconds if seconds > SHARE * start else None
        size[verb] = found | {"megapixels_per_second": speed}
    return size


def by_batch(batch: int, coder: Own) -> dict[str, Any]:
    """Return megapixels per second in this process, of an image of BATCH_MEGAPIXELS.

    That many tiles of equal size go through the networks together; or `together`, where the bound on memory is lower.
    """
    picture = photograph_of_size(None, *sides(BATCH_MEGAPIXELS))
    found = measure(picture, replace(coder, runtime=Runtime(batch=batch)))
    if found.failure:
        raise SelfcodecError(found.failure)
    height, width = picture.planes.shape[:2]
    size, tile = width * height / 1e6, find_model(coder.model).spec.tile
    count = together((tile, tile), batch)
    speeds = {"encode": size / found.encode_seconds, "decode": size / found.decode_seconds}
    return {"batch": batch, "together": count, **speeds}


@click.command()
@model_option
@mode_option
@numbers_option("--megapixels", MEGAPIXELS, float, "Sizes of images.")
@numbers_option("--batches", BATCHES, int, "Tiles run together.")
@output_folder_option
def main(
    model_name: str | None, mode_name: str, megapixels: tuple[float, ...], batches: tuple[int, ...], output: Path
) -> None:
    """Time coding by size and by batch; writes scaling.json, scaling.png and scaling.svg."""
    output.mkdir(parents=True, exist_ok=True)
    mode = Mode.parse(mode_name)
    coder = own_coder(model_name, mode)
    model, start = find_model(coder.model), min(start_up(coder.model) for _ in range(STARTS))
    sizes, speeds = [], []
    with progress(len(megapixels) + len(batches), "sizes and batches") as advance:
        for n in megapixels:
            sizes.append(by_size(n, coder.model, mode, start))
            advance()
        for batch in batches:
            speeds.append(by_batch(batch, coder))
            advance()
    report = provenance(command_line(), model) | {
        "mode": mode_name,
        "threads": threads(),
        "start_up_seconds": start,
        "sizes": sizes,
        "batches": speeds,
    }
    write_report(output / "scaling.json", report)
    with rc_context(STYLE):
        figure = draw(sizes, f"{model.spec.name}, {mode}, threads: {report['threads']}")
        save(figure, output, "scaling")
    headings = ["encode (s)", "decode (s)", "encode MP/s", "decode MP/s", "encode MiB", "decode MiB"]
    table = columns_table(f"{model.spec.name}, {mode}", ["size"], headings)
    for size in sizes:
        cells = [number(size[verb][key], digits) for key, digits in FIGURES for verb in ("encode", "decode")]
        table.add_row(f"{size['width']}×{size['height']}", *cells)
    show(table)
    for found in speeds:
        figures = f"{found['encode']:.3f} MP/s encoded, {found['decode']:.3f} MP/s decoded"
        click.echo(f"batch {found['batch']}, {found['together']} together: {figures}")
