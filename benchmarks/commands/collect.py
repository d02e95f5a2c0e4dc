"""Gathers runs of `selfcodec bench` into one folder to be published, with a README made from them.

Reports with crops are left out, since they show images that are not ours to publish.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from selfcodec.benchmarks.commands.options import output_folder_option
from selfcodec.benchmarks.reports.collected import PLOTS, has_plot, other_pictures, readme
from selfcodec.benchmarks.reports.summary import SUMMARY
from selfcodec.benchmarks.results import RESULTS, Run
from selfcodec.errors import InputError
from selfcodec.files import write_atomically

README = "README.md"
SUFFIXES = (".png", ".svg")


@click.command()
@click.argument(
    "sources", metavar="RUN...", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@output_folder_option
def main(sources: tuple[Path, ...], output: Path) -> None:
    """Copy the results, summaries and plots of RUNs, and write a README about all of them."""
    runs = [Run.load(source) for source in sources]
    if len({run.dataset for run in runs}) < len(runs):
        raise InputError("two runs are of one data set")
    if any(run.provenance["machine"] != runs[0].provenance["machine"] for run in runs):
        raise InputError("the runs are of several machines: collect those of one")
    for run, source in zip(runs, sources, strict=True):
        folder = output / run.dataset
        folder.mkdir(parents=True, exist_ok=True)
        plots = [plot + suffix for plot in PLOTS if has_plot(run, plot) for suffix in SUFFIXES]
        for name in (RESULTS, SUMMARY, *plots):
            if source.resolve() != folder.resolve():
                shutil.copyfile(source / name, folder / name)
    write_atomically(output / README, readme(runs, other_pictures(output)).encode())
    click.echo(f"{output / README}: {len(runs)} runs")
