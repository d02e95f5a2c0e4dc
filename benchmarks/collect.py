"""Gathers runs of `selfcodec bench` into one folder to be published, with a README made from them.

Run as `python -m selfcodec.benchmarks.collect RUN... -o benchmarks/results/DATE-MACHINE`. Reports with crops are left
out, since they show images that are not ours to publish.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click

from selfcodec.benchmarks.metrics import BenchmarkCommand, make_folder, read_report
from selfcodec.benchmarks.results import RESULTS, Run
from selfcodec.benchmarks.summary import EXPLANATION, SUMMARY, bd_rates, markdown_table, marked
from selfcodec.errors import InputError
from selfcodec.files import write_atomically

README = "README.md"
PLOTS = ("lossless", "psnr", "ms-ssim")
SUFFIXES = (".png", ".svg")

Figures = Callable[[Run], dict[str, float]]


def lossless_rates(run: Run) -> dict[str, float]:
    """Bits per dimension of the lossless coders by title."""
    points = (p for p in run.points() if run.coders[p.coder].lossless and p.images)
    return {run.coders[p.coder].title: p.bpd for p in points}


def across(runs: Sequence[Run], figures: Figures, what: str, digits: int) -> str:
    """One row a coder, one column a run, the smallest figure of each in bold; "" where there are no figures.

    Rows are in the order of the first run that has them, rising in its figure.
    """
    columns = [figures(run) for run in runs]
    titles = dict.fromkeys(title for column in columns for title in sorted(column, key=lambda t: column[t]))
    if not titles:
        return ""
    least = [min(column.values(), default=None) for column in columns]
    rows = [
        (title, *(marked(column.get(title), digits, best) for column, best in zip(columns, least, strict=True)))
        for title in titles
    ]
    return markdown_table((what, *(run.dataset for run in runs)), rows)


def readme(runs: Sequence[Run], pictures: Mapping[str, str] | None = None) -> str:
    """The text of the folder's README.

    Args:
        runs: in the order of columns and sections.
        pictures: other pictures in the folder, as from `other_pictures`.
    """
    machine = runs[0].provenance["machine"]
    parts = [
        f"# Measured on {machine['cpu']}, {machine['cores']} cores\n",
        f"{EXPLANATION} Made by `python -m selfcodec.benchmarks.collect` from the `{RESULTS}` in the folders.\n",
        across(runs, lossless_rates, "lossless, bits per dimension", 3),
        across(runs, bd_rates, "lossy, BD-rate against JPEG in %", 1),
    ]
    for name, command in (pictures or {}).items():
        parts.append(f"`{command}`\n\n![{Path(name).stem}]({name})\n")
    for run in runs:
        images = len({record.image for record in run.records})
        count = len(run.records)
        failures = len(run.failures)
        parts.append(f"## {run.dataset}: {images} images\n")
        parts.append(
            f"`{run.provenance['command']}`, {run.provenance['date']}; {count:,} files, {failures} failures.\n"
        )
        parts.append(f"[Every coder and setting]({run.dataset}/{SUMMARY})\n")
        parts += [f"![{plot}]({run.dataset}/{plot}.png)\n" for plot in PLOTS if has_plot(run, plot)]
    return "\n".join(part for part in parts if part)


def other_pictures(folder: Path) -> dict[str, str]:
    """Pictures in a folder that a benchmark made with a report of the same name beside them: name and command."""
    reports = ((path.name, path.with_suffix(".json")) for path in sorted(folder.glob("*.png")))
    return {name: read_report(report)["command"] for name, report in reports if report.is_file()}


def has_plot(run: Run, plot: str) -> bool:
    """Whether a run has figures for a plot."""
    if plot == "lossless":
        return bool(lossless_rates(run))
    return any(
        not run.coders[p.coder].lossless and (p.psnr if plot == "psnr" else p.ms_ssim) is not None for p in run.points()
    )


@click.command("collect", cls=BenchmarkCommand)
@click.argument(
    "sources", metavar="RUN...", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option("-o", "--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="A folder.")
def main(sources: tuple[Path, ...], output: Path) -> None:
    """Copy the results, summaries and plots of RUNs, and write a README about all of them."""
    runs = [Run.load(source) for source in sources]
    if len({run.dataset for run in runs}) < len(runs):
        raise InputError("two runs are of one data set")
    if any(run.provenance["machine"] != runs[0].provenance["machine"] for run in runs):
        raise InputError("the runs are of several machines: collect those of one")
    for run, source in zip(runs, sources, strict=True):
        folder = output / run.dataset
        make_folder(folder)
        plots = [plot + suffix for plot in PLOTS if has_plot(run, plot) for suffix in SUFFIXES]
        for name in (RESULTS, SUMMARY, *plots):
            if source.resolve() != folder.resolve():
                shutil.copyfile(source / name, folder / name)
    write_atomically(output / README, readme(runs, other_pictures(output)).encode())
    click.echo(f"{output / README}: {len(runs)} runs")


if __name__ == "__main__":
    main()
