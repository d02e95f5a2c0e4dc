"""selfcodec verify."""

from __future__ import annotations

import click

from selfcodec.cli.files import SUFFIX, Source, expand, read_input, shown
from selfcodec.cli.options import inputs_argument
from selfcodec.cli.output import each, finish


def _verify(source: Source) -> None:
    from selfcodec.codec import decode_file

    decode_file(read_input(source.path))
    click.echo(f"{shown(source.path)}: ok")


@click.command()
@inputs_argument
def verify(inputs: tuple[str, ...]) -> None:
    """Decode .sv files completely, without writing anything.

    Prints `FILE: ok` for each intact file; ends with status 1 if any is not.

    \b
    Example:
      selfcodec verify coded/
    """
    sources = expand(inputs, frozenset((SUFFIX,)))
    finish(each(sources, lambda source: shown(source.path), _verify))
