"""selfcodec verify."""

from __future__ import annotations

import click

from selfcodec.cli.inputs import CODED_OR_SHARDS, Source, expand, read_coded
from selfcodec.cli.names import is_shard, named
from selfcodec.cli.options import inputs_argument
from selfcodec.cli.output import each, finish, tell_skipped
from selfcodec.cli.shards import verify_shard


def _verify(source: Source) -> None:
    from selfcodec.decoding import decode_file

    source.check()
    if is_shard(source.path):
        verify_shard(source.path)
    else:
        decode_file(read_coded(source))
    click.echo(f"{named(source.path)}: ok")


@click.command()
@inputs_argument
def verify(inputs: tuple[str, ...]) -> None:
    """Decode .sv files, and those in tar files, completely, without writing anything.

    Prints `FILE: ok` for each intact file; ends with status 1 if any is not.

    \b
    Example:
      selfcodec verify coded/
    """
    found = expand(inputs, CODED_OR_SHARDS)
    tell_skipped(found.skipped)
    finish(each(found.sources, lambda source: source.path, _verify))
