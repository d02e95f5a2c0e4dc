"""selfcodec verify."""

from __future__ import annotations

import click

from selfcodec.cli.inputs import CODED_FILES, Source, expand, read_coded
from selfcodec.cli.names import named
from selfcodec.cli.options import inputs_argument
from selfcodec.cli.output import each, finish, tell_skipped


def _verify(source: Source) -> None:
    from selfcodec.codec import decode_file

    decode_file(read_coded(source))
    click.echo(f"{named(source.path)}: ok")


@click.command()
@inputs_argument
def verify(inputs: tuple[str, ...]) -> None:
    """Decode .sv files completely, without writing anything.

    Prints `FILE: ok` for each intact file; ends with status 1 if any is not.

    \b
    Example:
      selfcodec verify coded/
    """
    found = expand(inputs, CODED_FILES)
    tell_skipped(found.skipped)
    finish(each(found.sources, lambda source: source.path, _verify))
