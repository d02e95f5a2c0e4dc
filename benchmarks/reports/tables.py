"""Tables and figures as text, for files and terminals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

MISSING = "–"
MODEL_SUM = "model, sum of -log2 p"
"""Tables call so what a model itself sends."""


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown, all columns but the first aligned to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def number(value: float | None, digits: int) -> str:
    """Return a figure with thousands separated; a dash for what is unknown, or NaN, the mean of nothing."""
    return MISSING if value is None or value != value else f"{value:,.{digits}f}"


def marked(value: float | None, digits: int, least: float | None) -> str:
    """Return a figure, in bold where it is the least."""
    text = number(value, digits)
    return f"**{text}**" if value is not None and value == least else text


def columns_table(title: str, names: Sequence[str], figures: Sequence[str]) -> Table:
    """Return an empty table for a terminal, with columns of names, then of figures, which are aligned to the right."""
    table = Table(title=title)
    for heading in names:
        table.add_column(heading, no_wrap=True)
    for heading in figures:
        table.add_column(heading, justify="right")
    return table


def show(table: Table) -> None:
    """Print a table; where no terminal limits the width, without wrapping."""
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)
