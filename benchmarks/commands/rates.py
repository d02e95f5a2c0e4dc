"""Lossless rates on a data set: what training promises, what the model promises, and what lies on disk.

A rate is the mean of the images' own rates, whatever their sizes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.coders import LOSSLESS_PEERS, Coder, choose_peers, picture_of
from selfcodec.benchmarks.commands.options import dataset_option, model_option, report_option
from selfcodec.benchmarks.files import write_report
from selfcodec.benchmarks.measure import Measured, measure
from selfcodec.benchmarks.objective import objective
from selfcodec.benchmarks.own import Own, own_coder, with_model_bits
from selfcodec.benchmarks.provenance import provenance
from selfcodec.benchmarks.reports.rates import FILE, Outcome, each_image, image_table, rates_table, remarks, summary
from selfcodec.benchmarks.reports.tables import show
from selfcodec.benchmarks.runner import side_by_side
from selfcodec.benchmarks.sources import load_pictures
from selfcodec.cli.group import command_line
from selfcodec.cli.output import finish, progress
from selfcodec.errors import SelfcodecError
from selfcodec.modes import Mode
from selfcodec.zoo import find_model


def code_image(name: str, image: UInt8, own: Own, peers: Mapping[str, Coder]) -> Outcome:
    """Code one image (H, W, 3) as single lossless files; raise SelfcodecError where there is none to compare."""
    picture, files = picture_of(image), dict[str, Measured]()
    for key, coder in {FILE: own, **peers}.items():
        files[key] = measure(picture, coder).figures()
        if not files[key].size:
            raise SelfcodecError(f"{name}: {coder.info.title}: {files[key].failure}")
    files[FILE] = with_model_bits(files[FILE], picture, own)
    return Outcome(name, image.shape, files)


@click.command()
@model_option
@dataset_option
@click.option("--limit", metavar="N", type=click.IntRange(1), help="First test images only.")
@click.option("--each", is_flag=True, help="Show and write every image's figures, too.")
@click.option("--checkpoint", type=click.Path(dir_okay=False, path_type=Path), help="Report the ELBO, too.")
@click.option("--peers", is_flag=True, help="Code the images with PNG, WebP and JPEG XL, too.")
@click.option("-j", "--jobs", metavar="N", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@report_option
def main(
    model_name: str | None,
    dataset: str,
    limit: int | None,
    each: bool,
    checkpoint: Path | None,
    peers: bool,
    jobs: int,
    output: Path | None,
) -> None:
    """Code every test image as a lossless file of its own, and compare promised with real sizes.

    Ends with exit status 1 if a file does not decode to its image.
    """
    model, own = find_model(model_name), own_coder(model_name, Mode.LOSSLESS)
    others = choose_peers(LOSSLESS_PEERS if peers else ())
    pictures = load_pictures(dataset, limit)
    elbo = objective(checkpoint, model, list(pictures.values())) if checkpoint else {}
    found = {}
    with progress(len(pictures), "images") as advance:
        for outcome in side_by_side(code_image, [(*item, own, others) for item in pictures.items()], jobs):
            found[outcome.name] = outcome
            advance()
    outcomes = [found[name] for name in pictures]
    figures = summary(outcomes, elbo, jobs)
    if each:
        figures["each"] = each_image(outcomes)
        show(image_table(figures["each"]))
    show(rates_table(figures, f"{model.spec.name}, {len(outcomes)} test images of {dataset}"))
    for line in remarks(figures):
        click.echo(line)
    if output is not None:
        about = provenance(command_line(), model)
        write_report(output, {**about, "dataset": dataset, "split": "test", **figures})
    finish(figures["round_trip_failures"])
