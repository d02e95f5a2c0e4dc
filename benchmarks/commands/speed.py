"""Where the time goes: start-up, encoding and decoding of one image by stage, and peak memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from selfcodec.benchmarks.commands.options import image_argument, mode_option, model_option, report_option
from selfcodec.benchmarks.files import write_report
from selfcodec.benchmarks.own import own_coder
from selfcodec.benchmarks.processes import memory, start_up
from selfcodec.benchmarks.provenance import provenance
from selfcodec.benchmarks.reports.tables import columns_table, show
from selfcodec.benchmarks.sources import photograph_of_size
from selfcodec.benchmarks.stages import stages
from selfcodec.cli.group import command_line
from selfcodec.modes import Mode
from selfcodec.parallel import threads
from selfcodec.zoo import find_model

WIDTH, HEIGHT = 768, 512
"""The image has this size where none is given."""


@click.command()
@image_argument
@model_option
@mode_option
@click.option("--width", metavar="N", default=WIDTH, show_default=True, type=click.IntRange(1), help="Without IMAGE.")
@click.option("--height", metavar="N", default=HEIGHT, show_default=True, type=click.IntRange(1), help="Without IMAGE.")
@click.option("--repeat", metavar="N", default=3, show_default=True, type=click.IntRange(1), help="The fastest counts.")
@click.option("--memory", "with_memory", is_flag=True, help="Run the commands, too, and report their peak memory.")
@click.option("--only-memory", is_flag=True, help="Nothing but that, and without verification.")
@report_option
def main(
    image: Path | None,
    model_name: str | None,
    mode_name: str,
    width: int,
    height: int,
    repeat: int,
    with_memory: bool,
    only_memory: bool,
    output: Path | None,
) -> None:
    """Time coding of IMAGE, or of a photograph that comes with scikit-image, repeated to a size."""
    mode, picture = Mode.parse(mode_name), photograph_of_size(image, width, height)
    coder = own_coder(model_name, mode)
    model, (width, height) = find_model(coder.model), picture.size
    report: dict[str, Any] = provenance(command_line(), model)
    report |= {"width": width, "height": height, "mode": str(mode), "threads": threads()}
    if not only_memory:
        report["start_up_seconds"] = start_up(coder.model)
        report["stages"] = best = stages(picture, coder, repeat)
        table = columns_table(f"{width} × {height}, {model.spec.name}, {mode}, one thread", ["seconds"], list(best))
        for stage in best["encode"]:
            table.add_row(stage, *(f"{found[stage]:.2f}" for found in best.values()))
        show(table)
        click.echo(f"start-up, the model loaded: {report['start_up_seconds']:.2f} s")
    if with_memory or only_memory:
        report["memory"] = memory(picture.image, coder.model, mode, *(["--no-verify"] if only_memory else []))
        for verb, figures in report["memory"].items():
            click.echo(f"selfcodec {verb}: {figures['seconds']:.1f} s, peak memory {figures['peak_mib']:.0f} MiB")
    if output is not None:
        write_report(output, report)
