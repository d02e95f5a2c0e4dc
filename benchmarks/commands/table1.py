"""The paper's Table 1 beside reports of `selfcodec eval`, as Markdown."""

from __future__ import annotations

from pathlib import Path

import click

from selfcodec.benchmarks.reports.pages import replace_part
from selfcodec.benchmarks.reports.table1 import load_reports, table1

PART = "table 1"


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--page", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write them into this.")
def main(folder: Path, page: Path | None) -> None:
    """Tabulate the reports (*.json) in DIR that `selfcodec eval MODEL --iw 512 --files --json` has printed.

    Prints two tables: our models beside the paper's, and the paper's comparisons of two models, image by image. With
    --page they go between `<!-- table 1 -->` and `<!-- end of table 1 -->` of a Markdown file.
    """
    text = table1(load_reports(folder))
    if page is None:
        click.echo(text)
    else:
        replace_part(page, PART, text)
        click.echo(page)
