"""A model's card: measured figures go into its manifest, and CARD.md is written from the manifest."""

from __future__ import annotations

from pathlib import Path

import click

from selfcodec.benchmarks.files import read_report, write_report
from selfcodec.benchmarks.reports.card import add_bench, add_measured, card
from selfcodec.benchmarks.results import Run
from selfcodec.cli.group import command_line
from selfcodec.errors import InputError
from selfcodec.files import write_atomically
from selfcodec.modes import Mode
from selfcodec.zoo import CARD, MANIFEST, WEIGHTS, find_model, read_manifest

FILE = click.Path(dir_okay=False, path_type=Path)
RUN = click.Path(exists=True, path_type=Path)


@click.command()
@click.argument("folder", metavar="MODELDIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--rates", metavar="FILE", type=FILE, help="Written by the command rates.")
@click.option("--ladder", metavar="FILE", type=FILE, help="Written by the command ladder.")
@click.option("--bench", metavar="RUN", type=RUN, multiple=True, help="Written by selfcodec bench; one a data set.")
def main(folder: Path, rates: Path | None, ladder: Path | None, bench: tuple[Path, ...]) -> None:
    """Record measured figures in the manifest of the model in MODELDIR, and write its card.

    Takes --rates with --ladder, or of a model that is lossy only --bench instead, several times for several data sets.
    """
    if bench and (rates or ladder):
        raise click.UsageError("--bench goes without --rates and --ladder")
    model = find_model(str(folder.resolve()))
    manifest = read_manifest(folder)
    if bench:
        if Mode.LOSSLESS in model.modes:
            raise InputError(f"{folder}: is not lossy only: give --rates and --ladder")
        add_bench(manifest, {path: Run.load(path) for path in bench})
    elif rates and ladder:
        for name, path in (("rates", rates), ("ladder", ladder)):
            add_measured(manifest, name, read_report(path), path)
    else:
        raise click.UsageError("Missing options '--rates' and '--ladder', or '--bench'.")
    manifest["measured"]["weights"] = {"bytes": (folder / WEIGHTS).stat().st_size, "command": command_line()}
    text = card(manifest)
    write_report(folder / MANIFEST, manifest)
    write_atomically(folder / CARD, text.encode())
    click.echo(f"{folder / MANIFEST}\n{folder / CARD}")
