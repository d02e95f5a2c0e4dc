"""Parts of pages that programs write."""

from __future__ import annotations

from pathlib import Path

from selfcodec.errors import InputError
from selfcodec.files import write_atomically


def replace_part(page: Path, name: str, text: str) -> None:
    """Write a text between two lines of a page, `<!-- NAME -->` and `<!-- end of NAME -->`.

    Raises:
        InputError: the page cannot be read, or has not those two lines in this order.
    """
    first, last = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    try:
        before, found, rest = page.read_text(encoding="utf-8").partition(first)
    except (OSError, ValueError) as error:
        raise InputError(f"{page}: cannot be read ({type(error).__name__})") from error
    _, found_too, after = rest.partition(last)
    if not (found and found_too):
        raise InputError(f"{page}: has no lines {first.strip()} and {last.strip()} to write between")
    write_atomically(page, f"{before}{first}\n{text.strip()}\n\n{last}{after}".encode())
