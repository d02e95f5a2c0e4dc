"""Several runs of `selfcodec bench` in one README."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from selfcodec.benchmarks.files import read_report
from selfcodec.benchmarks.qualities import QUALITIES, SSIMULACRA2
from selfcodec.benchmarks.reports.summary import EXPLANATION, SUMMARY, bd_rates
from selfcodec.benchmarks.reports.tables import markdown_table, marked
from selfcodec.benchmarks.results import RESULTS, Run, curves

PLOTS = ("lossless", *QUALITIES)

Figures = Callable[[Run], dict[str, float]]


def lossless_rates(run: Run) -> dict[str, float]:
    """Return bits per dimension of the lossless coders by title."""
    points = (p for p in run.points() if run.coders[p.coder].lossless and p.images)
    return {run.coders[p.coder].title: p.bpd for p in points}


def scored(run: Run) -> dict[str, float]:
    """Return BD-rates by SSIMULACRA 2."""
    return bd_rates(run, quality=SSIMULACRA2)


def across(runs: Sequence[Run], figures: Figures, what: str, digits: int) -> str:
    """Return one row a coder, one column a run, the smallest figure of each in bold; "" where there are no figures.

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
    """Return the text of the folder's README.

    Args:
        runs: in the order of columns and sections.
        pictures: other pictures in the folder, as from `other_pictures`.
    """
    machine = runs[0].provenance["machine"]
    parts = [
        f"# Measured on {machine['cpu']}, {machine['cores']} cores\n",
        f"{EXPLANATION} Made by `python -m selfcodec.benchmarks collect` from the `{RESULTS}` in the folders.\n",
        across(runs, lossless_rates, "lossless, bits per dimension", 3),
        across(runs, bd_rates, "lossy, BD-rate against JPEG by PSNR in %", 1),
        across(runs, scored, "lossy, BD-rate against JPEG by SSIMULACRA 2 in %", 1),
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
    """Return by name the commands of pictures in a folder that have a report of the same name beside them.

    What else has that name, and tells no command, is no report.
    """
    beside = ((path.name, path.with_suffix(".json")) for path in sorted(folder.glob("*.png")))
    reports = ((name, read_report(report)) for name, report in beside if report.is_file())
    return {name: report["command"] for name, report in reports if "command" in report}


def has_plot(run: Run, plot: str) -> bool:
    """Return whether a run has figures for a plot."""
    if plot == "lossless":
        return bool(lossless_rates(run))
    return any(curves(run, QUALITIES[plot].value))
