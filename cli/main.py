"""The `selfcodec` command and its subcommands."""

from __future__ import annotations

import click

from selfcodec import __version__
from selfcodec.cli.bench import bench
from selfcodec.cli.cut import cut
from selfcodec.cli.decode import decode
from selfcodec.cli.encode import encode
from selfcodec.cli.eval import evaluate
from selfcodec.cli.export import export
from selfcodec.cli.figures import figures
from selfcodec.cli.group import SETTINGS, Group
from selfcodec.cli.info import info
from selfcodec.cli.interpolate import interpolate
from selfcodec.cli.models import models
from selfcodec.cli.sample import sample
from selfcodec.cli.train import train
from selfcodec.cli.verify import verify


@click.group("selfcodec", cls=Group, context_settings=SETTINGS)
@click.version_option(__version__, prog_name="selfcodec")
def main() -> None:
    """Learned image codec: lossless and lossy from one file.

    \b
    Example:
      selfcodec encode photo.png
      selfcodec decode photo.sv -o photo.png
    """


for command in (
    encode,
    decode,
    info,
    verify,
    cut,
    bench,
    evaluate,
    train,
    export,
    models,
    sample,
    interpolate,
    figures,
):
    main.add_command(command)

if __name__ == "__main__":
    main(prog_name="selfcodec")
