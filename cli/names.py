"""How files are named on the command line, and in what is printed about them."""

from __future__ import annotations

STDIO = "-"
SUFFIX = ".sv"


def shown(text: str) -> str:
    """A file's name, or any text, as one line that does no harm to a terminal.

    What is not printable, line breaks, escape sequences, marks that turn the direction of writing and bytes that are
    no UTF-8 among it, is written as in Python: \\n, \\x1b, \\u202e. Doing so twice changes nothing.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def named(path: str) -> str:
    """An input in messages."""
    return "standard input" if path == STDIO else shown(path)
