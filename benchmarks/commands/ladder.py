"""The ladder of modes on a data set: bytes against fidelity, and the paper's Figure 5."""

from __future__ import annotations

from pathlib import Path

import click

from selfcodec.benchmarks.coders import picture_of
from selfcodec.benchmarks.commands.options import dataset_option, model_option, output_folder_option
from selfcodec.benchmarks.figures.ladder import PICTURED, draw
from selfcodec.benchmarks.files import write_report
from selfcodec.benchmarks.measure import Measured, measure
from selfcodec.benchmarks.own import own_coder
from selfcodec.benchmarks.provenance import provenance
from selfcodec.benchmarks.reports.ladder import Rung, ladder_table, links, summary
from selfcodec.benchmarks.reports.tables import show
from selfcodec.benchmarks.sources import load_pictures
from selfcodec.cli.group import command_line
from selfcodec.cli.output import finish, progress
from selfcodec.errors import InputError
from selfcodec.modes import MAX_EFFORT, Mode
from selfcodec.zoo import default_model, find_model

REPORT, PICTURE = "ladder.json", "ladder.png"


@click.command()
@model_option
@dataset_option
@click.option("--limit", metavar="N", type=click.IntRange(1), default=500, show_default=True, help="Test images.")
@output_folder_option
def main(model_name: str | None, dataset: str, limit: int, output: Path) -> None:
    """Code the first test images in every mode; print, draw and check what more bytes buy.

    Ends with exit status 1 if a mode that sends more does not take more bytes or gives a lower PSNR in the mean, or
    if a lossless file does not decode to its image.
    """
    name = model_name or default_model(Mode.LOSSLESS, MAX_EFFORT)
    model = find_model(name)
    images = list(load_pictures(dataset, limit).values())
    if len({image.shape for image in images}) > 1:
        raise InputError(f"data set {dataset!r}: its images have different sizes; the ladder is of equal ones")
    output.mkdir(parents=True, exist_ok=True)
    files: dict[Mode, list[Measured]] = {mode: [] for mode in model.modes}
    with progress(len(images), "images") as advance:
        for i, image in enumerate(images):
            for mode, found in files.items():
                measured = measure(picture_of(image), own_coder(name, mode))
                measured.returned()
                found.append(measured if i < PICTURED else measured.figures())
            advance()
    rungs = {mode: Rung(found) for mode, found in files.items()}
    chain = links(rungs)
    figures = summary(images[0].shape, rungs, chain)
    about = provenance(command_line(), model)
    write_report(output / REPORT, {**about, "dataset": dataset, "split": "test", **figures})
    draw(images, {str(mode): rung.files for mode, rung in rungs.items()}, {}).save(output / PICTURE)
    show(ladder_table(figures, f"{model.spec.name}, {len(images)} test images of {dataset}"))
    for link in chain:
        click.echo(f"{'ok    ' if link.holds else 'NOT ok'} {link.what}")
    failures = figures["round_trip_failures"]
    if Mode.LOSSLESS in rungs:
        click.echo(f"{'NOT ok' if failures else 'ok    '} lossless round trips: {failures} failures")
    finish(failures + sum(not link.holds for link in chain))
