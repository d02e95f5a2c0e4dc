"""What commands print: errors on one line, tables, progress, and batches that go on past a bad file."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from selfcodec.cli.names import named, shown
from selfcodec.errors import SelfcodecError

DEBUG = "SELFCODEC_DEBUG"
"""With this environment variable set, unexpected errors show where they come from."""

T = TypeVar("T")


def describe(error: Exception, path: str = "") -> str:
    """An error as one line that begins with the name of its file, once, whether or not its own text does."""
    if isinstance(error, SelfcodecError):
        text = str(error)
    elif isinstance(error, OSError):
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        text = f"{where}{error.strerror or error}"
    elif isinstance(error, MemoryError):
        text = "not enough memory"
    elif os.environ.get(DEBUG):
        raise error
    else:
        text = f"internal error, please report it: {type(error).__name__}: {error}"
    text = shown(" ".join(text.removeprefix(f"{path}: ").split()))
    return f"{named(path)}: {text}" if path else text


def complain(message: str, kind: str = "error") -> None:
    """Prints a line `selfcodec: error: ...` on standard error."""
    # A progress bar replaces sys.stderr, which click would not notice, by one that prints above it.
    click.echo(f"selfcodec: {kind}: {shown(message)}", sys.stderr, err=True)


def looked_at() -> bool:
    """Whether standard error is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def tell_skipped(skipped: Sequence[tuple[str, tuple[str, str]]], *, verbose: bool = False) -> None:
    """Prints how many files were left alone and why, in one line; with `verbose` their names as well.

    Args:
        skipped: paths, and for each its reason in words that follow a one and another number.
    """
    if verbose:
        for path, (one, _) in skipped:
            complain(f"{path}: {one}", "skipped")
    if skipped:
        counts = Counter(reason for _, reason in skipped).most_common()
        reasons = ", ".join(f"{count} {one if count == 1 else many}" for (one, many), count in counts)
        complain(f"{len(skipped)} file{'s'[: len(skipped) > 1]} skipped: {reasons}", "note")


def each(
    items: Iterable[T],
    path: Callable[[T], str],
    action: Callable[[T], None],
    failed: Callable[[T, str], None] = lambda item, error: None,
) -> int:
    """Does the action for every item; reports those that fail and returns how many they are.

    Args:
        items: what to do it for.
        path: gives an item's path, `-` for standard input.
        action: may raise any error.
        failed: is told an item that failed, and the error in one line.
    """
    failures = 0
    for item in items:
        try:
            action(item)
        except BrokenPipeError:
            raise
        except Exception as error:  # one bad file must not end a batch, whatever is wrong with it
            text = describe(error, path(item))
            complain(text)
            failed(item, text)
            failures += 1
    return failures


def finish(failures: int) -> None:
    """Ends the command with status 1 if anything failed."""
    if failures:
        click.get_current_context().exit(1)


def print_json(value: Any) -> None:
    """Prints a value as indented JSON."""
    click.echo(json.dumps(value, indent=1))


def table(rows: Sequence[Sequence[object]], right: Sequence[int] = ()) -> str:
    """Rows in aligned columns; the columns in `right` are aligned to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        padded = [c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


class Bar:
    """A progress bar of several files, or none.

    Args:
        update: is called with how many files are done, the part of the next one included.
    """

    def __init__(self, update: Callable[[float], None]) -> None:
        self._update = update
        self._done = 0

    def __call__(self) -> None:
        """One more is done."""
        self._done += 1
        self._update(self._done)

    def part(self, share: float) -> None:
        """So much of the next one is done, 0..1."""
        self._update(self._done + share)


@contextmanager
def progress(total: int, label: str, *, quiet: bool = False, parts: bool = False) -> Iterator[Bar]:
    """A progress bar of `total` files on standard error; none where that is no terminal.

    For a single file there is one only where parts of it are reported.
    """
    if quiet or (total < 2 and not parts) or not looked_at():
        yield Bar(lambda done: None)
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield Bar(lambda done: bar.update(task, completed=done))
