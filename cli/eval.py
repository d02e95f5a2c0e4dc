"""selfcodec eval."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from selfcodec.cli.device import choose_device
from selfcodec.cli.group import command_line
from selfcodec.cli.options import DATASET_HELP, PATH, anew_option, folder_option, json_option
from selfcodec.cli.output import complain, finish, progress, table

DIGITS = 4
"""Bits per dimension are shown with so many."""


ADAPTING = "The model learns of each picture while it codes it, which bounds do not count: files may lie below them."


def _rows(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What is printed: terms, bounds, what the model sends, and files, in bits per dimension, with remarks."""
    from selfcodec.benchmarks.reports.tables import MODEL_SUM

    figures = {**report["terms"], "ELBO": report["elbo"]}
    figures[f"importance weighted, {report['samples']} samples"] = report["importance_weighted"]
    figures[MODEL_SUM] = report.get("sent")
    figures["files"] = report.get("files")
    remarks = {}
    if "files" in report:
        made = report["images"] - report["failures"]
        remarks["files"] = f"({report['files_stored']} of {made} stored as WebP or PNG)"
    return [
        (name, f"{figure:.{DIGITS}f}", remarks.get(name, "")) for name, figure in figures.items() if figure is not None
    ]


@click.command("eval")
@click.argument("model", metavar="MODEL|RUN")
@click.option("--dataset", metavar="NAME|DIR", required=True, help=DATASET_HELP)
@click.option("--limit", metavar="N", type=click.IntRange(1), help="First images only; all if not given.")
@click.option(
    "--iw", "samples", metavar="N", type=click.IntRange(1), default=1, show_default=True, help="Samples an image."
)
@click.option("--files", is_flag=True, help="Make lossless files, too, and compare what they decode to.")
@click.option("--fid", metavar="N", type=click.IntRange(2), help="Samples for the FID; it is left out if not given.")
@click.option("--fid-weights", metavar="FILE", type=PATH, help="Inception's weights.  [default: fetched once]")
@click.option("--device", type=click.Choice(["cpu", "cuda", "auto"]), default="auto", show_default=True)
@folder_option("output", "Folder for the records.  [default: eval-MODEL-DATASET]", "-o")
@json_option
@anew_option
def evaluate(
    model: str,
    dataset: str,
    limit: int | None,
    samples: int,
    files: bool,
    fid: int | None,
    fid_weights: str | None,
    device: str,
    output: Path | None,
    as_json: bool,
    force: bool,
) -> None:
    """Bound a model's likelihoods on a data set, in bits per dimension.

    MODEL is an exported one, by name or folder, or a training run, by its folder or checkpoint. Prints the terms of
    the evidence lower bound, with more samples than one also the importance weighted bound; with --files what the model
    sends for its files, and the files themselves, which hold a WebP or PNG where that is smaller. --json adds the
    figures of every image. Goes on where it was stopped. Ends with exit status 1 if a file did not decode to its image.

    --fid measures the Fréchet Inception Distance between so many samples and all images, whatever --limit says; 50,000
    are usual, and fewer make it larger. It needs pip install 'selfcodec[fid]'.

    \b
    Example:
      selfcodec eval celeba-vae --dataset celeba --iw 512 --files
    """
    from selfcodec.benchmarks.bounds import REPORT, evaluate_data_set, results_name
    from selfcodec.benchmarks.fid import Distance

    if fid_weights is not None and fid is None:
        raise click.UsageError("--fid-weights is for --fid")
    distance = None if fid is None else Distance.load(fid, None if fid_weights is None else Path(fid_weights))
    output = output or Path(f"eval-{results_name(model, dataset)}")
    report = evaluate_data_set(
        model,
        dataset,
        output,
        command_line(),
        limit=limit,
        samples=samples,
        files=files,
        distance=distance,
        device=choose_device(device),
        force=force,
        progress=lambda total: progress(total, "images"),
    )
    if as_json:
        click.echo((output / REPORT).read_text(encoding="utf-8"), nl=False)
    else:
        click.echo(table([("bits per dimension", f"{report['images']} images", ""), *_rows(report)], right=(1,)))
        if report.get("files_adapt"):
            click.echo(ADAPTING)
        if "fid" in report:
            found = report["fid"]
            of = f"{found['samples']} samples from {found['images']} images"
            click.echo(f"Fréchet Inception Distance of {of}: {found['value']:.2f}")
    failures = report.get("failures", 0)
    if failures:
        complain(f"{failures} of {report['images']} files do not decode to their image; {output} has the records")
    finish(failures)
