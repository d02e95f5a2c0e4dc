"""The `selfcodec` command and its subcommands."""

from __future__ import annotations

import click

from selfcodec import __version__
from selfcodec.cli.group import SETTINGS, Group

COMMANDS = {
    "encode": "selfcodec.cli.encode:encode",
    "decode": "selfcodec.cli.decode:decode",
    "info": "selfcodec.cli.info:info",
    "verify": "selfcodec.cli.verify:verify",
    "cut": "selfcodec.cli.cut:cut",
    "bench": "selfcodec.cli.bench:bench",
    "eval": "selfcodec.cli.eval:evaluate",
    "train": "selfcodec.cli.train:train",
    "export": "selfcodec.cli.export:export",
    "models": "selfcodec.cli.models:models",
    "sample": "selfcodec.cli.sample:sample",
    "interpolate": "selfcodec.cli.interpolate:interpolate",
    "figures": "selfcodec.cli.figures:figures",
}
"""Every command and where it is: what another one imports is not waited for."""


@click.group("selfcodec", cls=Group, context_settings=SETTINGS, places=COMMANDS)
@click.version_option(__version__, prog_name="selfcodec")
def main() -> None:
    """Learned image codec: lossless and lossy from one file.

    \b
    Example:
      selfcodec encode photo.png
      selfcodec decode photo.sv -o photo.png
    """


if __name__ == "__main__":
    main(prog_name="selfcodec")
