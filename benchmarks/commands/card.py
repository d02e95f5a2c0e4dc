"""A model's card: measured figures go into its manifest, and CARD.md is written from the manifest."""

from __future__ import annotations

from pathlib import Path

import click

from selfcodec.benchmarks.files import read_report, write_report
from selfcodec.benchmarks.reports.card import add_measured, card
from selfcodec.cli.group import command_line
from selfcodec.files import write_atomically
from selfcodec.zoo import CARD, MANIFEST, WEIGHTS, find_model, read_manifest

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("folder", metavar="MODELDIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--rates", metavar="FILE", required=True, type=FILE, help="Written by the command rates.")
@click.option("--ladder", metavar="FILE", required=True, type=FILE, help="Written by the command ladder.")
def main(folder: Path, rates: Path, ladder: Path) -> None:
    """Record measured figures in the manifest of the model in MODELDIR, and write its card."""
    find_model(str(folder.resolve()))
    manifest = read_manifest(folder)
    for name, path in (("rates", rates), ("ladder", ladder)):
        add_measured(manifest, name, read_report(path), path)
    manifest["measured"]["weights"] = {"bytes": (folder / WEIGHTS).stat().st_size, "command": command_line()}
    text = card(manifest)
    write_report(folder / MANIFEST, manifest)
    write_atomically(folder / CARD, text.encode())
    click.echo(f"{folder / MANIFEST}\n{folder / CARD}")
