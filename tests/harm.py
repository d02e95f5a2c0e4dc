"""What a hostile pickle does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


class Harm:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.path,)
