"""Reports as JSON files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfcodec.errors import InputError
from selfcodec.files import write_atomically


def write_report(path: Path, report: dict[str, Any], lists: Sequence[str] = ()) -> None:
    """Write a report as indented JSON, but the lists under the names in `lists` with a line for every item."""
    text = json.dumps({**report, **dict.fromkeys(lists)}, indent=1, allow_nan=False)
    for name in lists:
        lines = ",\n  ".join(json.dumps(item, allow_nan=False) for item in report[name])
        text = text.replace(f'\n "{name}": null', f'\n "{name}": [\n  {lines}\n ]')
    write_atomically(path, f"{text}\n".encode())


def read_report(path: Path) -> dict[str, Any]:
    """Return a report that `write_report` wrote.

    Raises:
        InputError: the file cannot be read, or is no report.
    """
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a benchmark's report ({type(error).__name__})") from error
    if not isinstance(report, dict):
        raise InputError(f"{path}: not a benchmark's report")
    return report
