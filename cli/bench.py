"""selfcodec bench."""

from __future__ import annotations

from pathlib import Path

import click

from selfcodec.cli.group import command_line
from selfcodec.cli.options import (
    DATASET_HELP,
    MODES,
    anew_option,
    folder_option,
    parse_names,
    parsed,
    whole_numbers,
)
from selfcodec.cli.output import complain, finish, progress
from selfcodec.modes import MAX_EFFORT, MAX_QUALITY, MIN_QUALITY, Mode

COMPARE_HELP = "Instead, show what changed from results A to B."


def parse_modes(context: click.Context, parameter: click.Parameter, value: str) -> tuple[Mode, ...]:
    """Modes with commas between them."""
    return parsed(value, Mode.parse, "modes are " + ", ".join(MODES))


def compare_results(before: Path, after: Path) -> None:
    """Shows what changed between two results; ends with exit status 1 if anything that lasts got worse."""
    from selfcodec.benchmarks.reports.compare import changes_table
    from selfcodec.benchmarks.reports.compare import compare as changes_between
    from selfcodec.benchmarks.reports.tables import show
    from selfcodec.benchmarks.results import Run

    changes = changes_between(Run.load(before), Run.load(after))
    if not changes:
        click.echo("no changes")
        return
    show(changes_table(changes))
    worse = sum(change.verdict < 0 and change.fails for change in changes)
    if worse:
        complain(f"{worse} figures got worse")
    finish(worse)


@click.command()
@click.option("--dataset", metavar="NAME|DIR", help=DATASET_HELP)
@click.option(
    "--models", metavar="NAME,...", default="", callback=parse_names, help="Ours, or all.  [default: what suits]"
)
@click.option("--modes", metavar="MODE,...", default="", callback=parse_modes, help="Of the models; all if not given.")
@click.option(
    "--qualities",
    metavar="Q,...",
    default="25,50,75",
    show_default=True,
    callback=whole_numbers("qualities", MIN_QUALITY, MAX_QUALITY),
    help="Of the lossy modes.",
)
@click.option(
    "--efforts",
    metavar="E,...",
    default="0",
    show_default=True,
    callback=whole_numbers("efforts", 0, MAX_EFFORT),
    help="Of lossy photographs.",
)
@click.option(
    "--peers",
    metavar="NAME,...",
    default="all",
    show_default=True,
    callback=parse_names,
    help="Other coders, or none.",
)
@click.option("--limit", metavar="N", type=click.IntRange(1), help="Images; all if not given.")
@click.option("--seed", metavar="SEED", type=click.IntRange(0), help="Draw the images; the first ones if not given.")
@click.option("-j", "--jobs", metavar="N", default=1, show_default=True, type=click.IntRange(1), help="Processes.")
@click.option("--compare", metavar="A B", nargs=2, type=click.Path(exists=True, path_type=Path), help=COMPARE_HELP)
@folder_option("output", "Folder for the results.  [default: bench-DATASET]", "-o")
@anew_option
def bench(
    dataset: str | None,
    models: tuple[str, ...],
    modes: tuple[Mode, ...],
    qualities: tuple[int, ...],
    efforts: tuple[int, ...],
    peers: tuple[str, ...],
    limit: int | None,
    seed: int | None,
    jobs: int,
    compare: tuple[Path, Path] | None,
    output: Path | None,
    force: bool,
) -> None:
    """Measure rates and distortions on a data set, beside other coders.

    Codes every image as a file of its own with every model, mode, quality and other coder, decodes it and compares.
    Writes results.json, summary.md, plots and report.html. Goes on where it was stopped. Ends with exit status
    1 if any round trip failed, or with --compare if files grew or images got worse. Peers beyond `all` are CompressAI's
    models by name, such as mbt2018-mean, where its package is installed.

    \b
    Examples:
      selfcodec bench --dataset kodak -j 2
      selfcodec bench --dataset photos/ --modes lossless --peers png,webp-lossless
      selfcodec bench --compare bench-before bench-kodak
    """
    if compare:
        if dataset is not None:
            raise click.UsageError("--compare and --dataset exclude each other")
        compare_results(*compare)
        return
    if dataset is None:
        raise click.UsageError("Missing option '--dataset' or '--compare'.")
    from selfcodec.benchmarks.bench import Plan, run_plan
    from selfcodec.benchmarks.reports.summary import SUMMARY, summary
    from selfcodec.benchmarks.sources import dataset_name

    output = output or Path(f"bench-{dataset_name(dataset)}")
    plan = Plan(dataset, models, modes, qualities, efforts, peers, limit, seed, jobs)
    run = run_plan(plan, output, command_line(), force=force, progress=lambda total: progress(total, "images"))
    click.echo(summary(run))
    click.echo(f"written to {output}")
    if run.failures:
        complain(f"{len(run.failures)} of {len(run.records)} round trips failed: {output / SUMMARY} lists them")
    finish(len(run.failures))
