"""Containers to pack and to damage, and what stands in for the zoo."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from selfcodec.format.container import Container
from selfcodec.format.header import Header
from selfcodec.modes import Mode, sent_variables

K = 2
MODEL = bytes.fromhex("5e1fc0de")


def sections(model_id: bytes, mode: Mode, level: int) -> tuple[str, ...]:
    """Stand in for the zoo: every model has K = 2."""
    return sent_variables(mode, K, level)


def streams(*counts: tuple[int, ...]) -> tuple[tuple[np.ndarray, ...], ...]:
    """Return sections of the given word counts, filled with recognisable words."""
    rng = np.random.default_rng(sum(map(sum, counts)))
    return tuple(tuple(rng.integers(0, 2**32, n, dtype=np.uint32) for n in section) for section in counts)


def example() -> Container:
    """Return the worked example of docs/format.md."""
    header = Header(Mode.CG, "RGBA", 300, 2, MODEL, level=1, quality=70)
    u, y = np.array([0x00010203], np.uint32), np.array([0x89ABCDEF, 0x42], np.uint32)
    return Container(header, ("u", "y1"), ((u,), (y,)), side=b"\x00\x80")


def lossless(tiles: int = 2, side: bytes = b"", metadata: bytes = b"") -> Container:
    """Return a lossless K = 2 file with some empty streams."""
    counts = [tuple(1 + 3 * v * (t % 2) for t in range(tiles)) for v in range(6)]
    header = Header(Mode.LOSSLESS, "RGB", 200, 100, MODEL)
    return Container(header, sections(MODEL, Mode.LOSSLESS, 0), streams(*counts), side, metadata)


def assert_same(left: Container, right: Container) -> None:
    assert replace(left, streams=()).__dict__ == replace(right, streams=()).__dict__
    as_lists = [[[w.tolist() for w in section] for section in c.streams] for c in (left, right)]
    assert as_lists[0] == as_lists[1]
