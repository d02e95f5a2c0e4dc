"""How files are named on the command line, and in what is printed about them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence

STDIO = "-"
SUFFIX = ".sv"
TAR, ARRAY, CODED_SHARD = ".tar", ".npy", ".sv.tar"
_SHARDS = (CODED_SHARD + ".gz", CODED_SHARD, ".tar.gz", ".tgz", TAR, ARRAY)
"""Files so named hold many pictures; the first that fits is the whole suffix."""


def shown(text: str) -> str:
    """A file's name, or any text, as one line that does no harm to a terminal.

    What is not printable, line breaks, escape sequences, marks that turn the direction of writing and bytes that are
    no UTF-8 among it, is written as in Python: \\n, \\x1b, \\u202e. Doing so twice changes nothing.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def named(path: str) -> str:
    """An input in messages."""
    return "standard input" if path == STDIO else shown(path)


def ends_in(path: str, suffix: str) -> bool:
    """Whether a path has a suffix, in letters of either case."""
    return path.lower().endswith(suffix)


def _shard_suffix(path: str) -> str:
    """Of a file of many pictures; empty for any other."""
    name = os.path.basename(path).lower()
    return next((end for end in _SHARDS if name.endswith(end) and name != end), "")


def is_shard(path: str) -> bool:
    """Whether a file is meant to hold many pictures, by its name."""
    return bool(_shard_suffix(path))


def with_suffix(path: str, suffix: str) -> str:
    """A path with another suffix in place of its own."""
    own = _shard_suffix(path) or os.path.splitext(path)[1]
    return path[: len(path) - len(own)] + suffix


def distinct(paths: Sequence[str], suffixes: Sequence[str | None], key: Callable[[str], str] = str) -> list[str]:
    """Paths with other suffixes in place of their own.

    Those that would then be the same get theirs behind the whole path, all of them, so that no order matters.

    Args:
        paths: any.
        suffixes: of each; None for one that stays as it is.
        key: is equal for what is the same file.
    """
    whole: set[int] = set()
    while True:
        targets = [
            path if suffix is None else path + suffix if i in whole else with_suffix(path, suffix)
            for i, (path, suffix) in enumerate(zip(paths, suffixes, strict=True))
        ]
        keys = [key(target) for target in targets]
        count = Counter(keys)
        shared = {i for i, own in enumerate(keys) if count[own] > 1 and suffixes[i] is not None} - whole
        if not shared:
            return targets
        whole |= shared
