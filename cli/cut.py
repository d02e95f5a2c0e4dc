"""selfcodec cut."""

from __future__ import annotations

import click

from selfcodec.cli.decoding import warn_of_truncation
from selfcodec.cli.files import Job, coded_suffix, plan, refuse_image_name
from selfcodec.cli.inputs import CODED_FILES, read_coded
from selfcodec.cli.names import named
from selfcodec.cli.options import MODES, PATH, force_option, level_option, output_option
from selfcodec.cli.output import each, finish, tell_skipped
from selfcodec.cli.outputs import check_target, write_output
from selfcodec.modes import Mode


@click.command()
@click.argument("source", metavar="IN", type=PATH)
@click.option("-m", "--mode", type=click.Choice(MODES), required=True, help="Mode of the shorter file.")
@level_option
@output_option(required=True)
@click.option("--allow-truncated", is_flag=True, help="Cut what is whole of a file that was cut short.")
@force_option
def cut(source: str, mode: str, level: int | None, output: str, allow_truncated: bool, force: bool) -> None:
    """Shorten a file to a lossier mode, without decoding it.

    A lossless file holds those of rs1, cg and cr as its beginnings.

    \b
    Example:
      selfcodec cut photo.sv -m cg -o preview.sv
    """

    def action(job: Job) -> None:
        from selfcodec.decoding import cut_file, open_file

        data = read_coded(job.source)
        check_target(job, force=force)
        result = cut_file(data, Mode.parse(mode), level, allow_truncated=allow_truncated)
        if allow_truncated:
            warn_of_truncation(open_file(data, allow_truncated=True), named(job.source.path))
        write_output(job, result)

    refuse_image_name(output)
    planned = plan((source,), output, CODED_FILES, coded_suffix)
    tell_skipped(planned.skipped)
    finish(each(planned.jobs, lambda job: job.source.path, action))
