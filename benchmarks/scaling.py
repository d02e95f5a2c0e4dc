"""Throughput and peak memory by image size, from 0.1 to 100 megapixels, and by the tiles that run together.

Run as `python -m selfcodec.benchmarks.scaling -o DIR [--model NAME] [--megapixels N,...]`; 100 megapixels take a while.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from rich.table import Table

from selfcodec.benchmarks.metrics import BenchmarkCommand, make_folder, progress, provenance, show, write_report
from selfcodec.benchmarks.plots import DPI, OWN_COLOURS, STYLE
from selfcodec.benchmarks.speed import memory, photograph, start_up
from selfcodec.benchmarks.summary import number
from selfcodec.codec import Settings, decode_file, encode_picture
from selfcodec.errors import SelfcodecError
from selfcodec.images import from_image
from selfcodec.networks.integer import Runtime
from selfcodec.tiles import together
from selfcodec.zoo import Model, find_model

MEGAPIXELS = "0.1,0.4,1.6,6.4,25,100"
BATCHES = "1,2,4"
BATCH_MEGAPIXELS = 3.0
RATIO = 1.5
"""Width by height."""
STARTS = 3
"""Start-ups that are timed; the fastest counts."""
SHARE = 0.1
"""Of start-up, which may vary by as much."""
FIGURES = (("seconds", 2), ("megapixels_per_second", 3), ("peak_mib", 0))
"""Of the table, with their digits."""


def parse_numbers(kind: type[float]) -> Callable[[click.Context, click.Parameter, str], tuple[Any, ...]]:
    """A callback for numbers above 0, float or int, with commas between them."""

    def parsed(context: click.Context, parameter: click.Parameter, value: str) -> tuple[Any, ...]:
        try:
            numbers = tuple(kind(part) for part in value.split(","))
        except ValueError as error:
            raise click.BadParameter(f"{value!r}: numbers, with commas between them") from error
        if not all(0 < number < math.inf for number in numbers):
            raise click.BadParameter(f"{value!r}: every number must be above 0")
        return numbers

    return parsed


def sides(megapixels: float) -> tuple[int, int]:
    """Width and height of an image of about that size."""
    height = max(1, round(math.sqrt(1e6 * megapixels / RATIO)))
    return round(height * RATIO), height


def by_size(megapixels: float, model: str | None, start: float) -> dict[str, Any]:
    """What the commands take for one image, without verification.

    Speeds are without the `start` seconds of start-up; None where hardly anything else was measured.
    """
    width, height = sides(megapixels)
    figures = memory(photograph(None, width, height), model, "--no-verify")
    size: dict[str, Any] = {"width": width, "height": height}
    for verb, found in figures.items():
        seconds = found["seconds"] - start
        speed = width * height / 1e6 / seconds if seconds > SHARE * start else None
        size[verb] = found | {"megapixels_per_second": speed}
    return size


def by_batch(batch: int, model: Model) -> dict[str, Any]:
    """Megapixels per second in this process, of an image of BATCH_MEGAPIXELS.

    That many tiles of equal size go through the networks together; or `together`, where the bound on memory is lower.
    """
    pixels, runtime = photograph(None, *sides(BATCH_MEGAPIXELS)), Runtime(batch=batch)
    start = time.perf_counter()
    data = encode_picture(from_image(pixels), Settings(), model, runtime, verify=False).data
    middle = time.perf_counter()
    decoded = decode_file(data, model=model, runtime=runtime)
    end = time.perf_counter()
    if decoded.tobytes() != pixels.tobytes():
        raise SelfcodecError("the image did not come back")
    size = pixels.width * pixels.height / 1e6
    count = together((model.spec.tile, model.spec.tile), batch)
    return {"batch": batch, "together": count, "encode": size / (middle - start), "decode": size / (end - middle)}


def plot(sizes: list[dict[str, Any]], title: str) -> Figure:
    """Speed and peak memory of both directions by size."""
    figure = Figure(figsize=(6.8, 2.9), layout="constrained")
    axes = figure.subplots(1, 2)
    megapixels = [size["width"] * size["height"] / 1e6 for size in sizes]
    for at, key, label in ((axes[0], "megapixels_per_second", "megapixels per second"), (axes[1], "peak_mib", "MiB")):
        for verb, colour, marker in zip(("encode", "decode"), OWN_COLOURS, "os", strict=False):
            values = [math.nan if size[verb][key] is None else size[verb][key] for size in sizes]
            at.plot(megapixels, values, color=colour, marker=marker, markersize=4.5, label=verb)
        at.set_xscale("log")
        at.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        at.set_xlabel("megapixels")
        at.set_ylabel(label)
        at.set_ylim(bottom=0)
        at.grid(visible=True, linewidth=0.4, alpha=0.5)
    axes[0].set_title(title, loc="left", fontsize=9)
    axes[1].set_title("peak memory", loc="left", fontsize=9)
    axes[0].legend(frameon=False)
    return figure


@click.command("scaling", cls=BenchmarkCommand)
@click.option("--model", "model_name", help="Name or folder of a model; the default one if not given.")
@click.option(
    "--megapixels", default=MEGAPIXELS, show_default=True, callback=parse_numbers(float), help="Sizes of images."
)
@click.option("--batches", default=BATCHES, show_default=True, callback=parse_numbers(int), help="Tiles run together.")
@click.option("-o", "--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="A folder.")
def main(model_name: str | None, megapixels: tuple[float, ...], batches: tuple[int, ...], output: Path) -> None:
    """Time lossless coding by size and by batch; writes scaling.json, scaling.png and scaling.svg."""
    make_folder(output)
    model, start = find_model(model_name), min(start_up(model_name) for _ in range(STARTS))
    sizes = [by_size(n, model_name, start) for n in progress(megapixels, len(megapixels), "sizes")]
    report = provenance(click.get_current_context(), model) | {
        "threads": torch.get_num_threads(),
        "start_up_seconds": start,
        "sizes": sizes,
        "batches": [by_batch(n, model) for n in progress(batches, len(batches), "batches")],
    }
    write_report(output / "scaling.json", report)
    with rc_context(STYLE):
        figure = plot(sizes, f"{model.spec.name}, lossless, threads: {report['threads']}")
        figure.savefig(output / "scaling.png", dpi=DPI, metadata={"Software": None})
        figure.savefig(output / "scaling.svg", metadata={"Date": None})
    table = Table("size", "encode (s)", "decode (s)", "encode MP/s", "decode MP/s", "encode MiB", "decode MiB")
    for size in sizes:
        cells = [number(size[verb][key], digits) for key, digits in FIGURES for verb in ("encode", "decode")]
        table.add_row(f"{size['width']}×{size['height']}", *cells)
    show(table)
    for row in report["batches"]:
        speeds = f"{row['encode']:.3f} MP/s encoded, {row['decode']:.3f} MP/s decoded"
        click.echo(f"batch {row['batch']}, {row['together']} together: {speeds}")


if __name__ == "__main__":
    main()
