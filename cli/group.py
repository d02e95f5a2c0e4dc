"""What all groups of commands share: how errors become exit statuses, and the command line that reports quote."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import sys
import warnings
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from selfcodec import signals
from selfcodec.cli.interrupts import INTERRUPTED, REASON, raised
from selfcodec.cli.names import shown
from selfcodec.cli.output import complain, describe, looked_at
from selfcodec.errors import SelfcodecWarning

FAILED = 1
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Group(click.Group):
    """Turns what a command raises into one line and an exit status; keeps the order of commands.

    Attributes:
        places: where commands are that are imported when they are asked for, as in `package.module:name`.
    """

    def __init__(self, *arguments: Any, places: Mapping[str, str] | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.places = places or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.places, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.places:
            return super().get_command(ctx, cmd_name)
        module, _, name = self.places[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        ctx.meta[__name__] = [*(self.name or "").split(), *args]
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with signals.raised(), raised(), _told():
                return super().invoke(ctx)
        except click.UsageError as error:
            raise click.UsageError(shown(" ".join(error.format_message().split())), error.ctx) from None
        except (click.ClickException, click.exceptions.Exit):
            raise
        except BrokenPipeError:
            ctx.exit(FAILED)
        except signals.Ended as ended:
            complain(f"stopped by {ended.name}", "interrupted")
            ctx.exit(ended.status)
        except (KeyboardInterrupt, click.Abort):
            complain(REASON, "interrupted")
            ctx.exit(INTERRUPTED)
        except Exception as error:  # whatever happens, a user gets one line
            complain(describe(error))
            ctx.exit(FAILED)
        finally:
            _flush()


class _Notes(logging.Handler):
    """Tells who looks on what the library logs, which is why something takes long."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError, ValueError):  # standard error is gone, which is no reason to stop
            if looked_at():
                complain(record.getMessage(), "note")


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Within the block what the library logs or warns of is told as commands tell it."""
    logger, notes = logging.getLogger("selfcodec"), _Notes(logging.INFO)
    level = logger.level
    logger.addHandler(notes)
    logger.setLevel(logging.INFO)
    try:
        with _warnings_told():
            yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(notes)


@contextlib.contextmanager
def _warnings_told() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("always", SelfcodecWarning)
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **options: Any) -> None:
            if issubclass(category, SelfcodecWarning):
                complain(str(message), "warning")
            else:
                usual(message, category, *place, **options)

        warnings.showwarning = show
        yield


def _flush() -> None:
    """Writes what is left for standard output, or drops it: Python would complain at the end of a reader that has gone
    and of a full disk."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def command_line() -> str:
    """Return the command that runs; of absolute paths, which mean nothing elsewhere, the last part."""
    words = []
    for word in click.get_current_context().meta[__name__]:
        option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        words.append(option + equals + (Path(value).name if Path(value).is_absolute() else value))
    return shlex.join(words)
