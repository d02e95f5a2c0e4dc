"""The `selfcodec` command: its subcommands, and how errors become exit statuses."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

import click

from selfcodec import __version__
from selfcodec.cli.bench import bench
from selfcodec.cli.cut import cut
from selfcodec.cli.decode import decode
from selfcodec.cli.encode import encode
from selfcodec.cli.export import export
from selfcodec.cli.info import info
from selfcodec.cli.models import models
from selfcodec.cli.output import complain, describe
from selfcodec.cli.sample import sample
from selfcodec.cli.train import INTERRUPTED, train
from selfcodec.cli.verify import verify

FAILED = 1


class Group(click.Group):
    """Turns what a command raises into one line and an exit status; keeps the order of commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except BrokenPipeError:
            # The reader has gone. Python would complain when it flushes standard output at the end.
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(FAILED)
        except (KeyboardInterrupt, click.Abort):
            complain("stopped by Ctrl-C", "interrupted")
            ctx.exit(INTERRUPTED)
        except Exception as error:  # whatever happens, a user gets one line
            complain(describe(error))
            ctx.exit(FAILED)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="selfcodec")
def main() -> None:
    """Learned image codec: lossless and lossy from one file.

    \b
    Example:
      selfcodec encode photo.png
      selfcodec decode photo.sv -o photo.png
    """


for command in (encode, decode, info, verify, cut, bench, train, export, models, sample):
    main.add_command(command)

if __name__ == "__main__":
    main(prog_name="selfcodec")
