"""What changed between two runs of a benchmark: smaller or larger files, better or worse images, new failures."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table

from selfcodec.benchmarks.reports.tables import columns_table
from selfcodec.benchmarks.results import Point, Run
from selfcodec.errors import InputError

BYTES, DECIBELS, SCORE, SPEED = 0.001, 0.02, 0.1, 0.25
"""Changes beyond these count: shares of bytes, dB, points, and of speeds, which vary and never fail."""
COLOURS = {-1: "red", 0: "", 1: "green"}


@dataclass(frozen=True)
class Change:
    """One figure of one coder and setting in both runs.

    Attributes:
        coder, setting: whose.
        what: the figure, with its unit.
        before, after: its values.
        verdict: 1 for better, -1 for worse.
        fails: being worse makes the comparison fail.
    """

    coder: str
    setting: str
    what: str
    before: float
    after: float
    verdict: int
    fails: bool = True


def _changes(before: Point, after: Point, title: str) -> list[Change]:
    found = []

    def note(what: str, a: float | None, b: float | None, least: float, *, up: bool, fails: bool = True) -> None:
        if a is not None and b is not None and abs(b - a) > least:
            verdict = 1 if (b > a) == up else -1
            found.append(Change(title, after.setting, what, a, b, verdict, fails))

    note("failures", before.failures, after.failures, 0, up=False)
    note("bytes", before.bytes, after.bytes, BYTES * before.bytes, up=False)
    note("PSNR, dB", before.psnr, after.psnr, DECIBELS, up=True)
    note("SSIMULACRA 2", before.ssimulacra2, after.ssimulacra2, SCORE, up=True)
    for verb in ("encode", "decode"):
        a, b = (getattr(point, f"{verb}_speed") for point in (before, after))
        note(f"{verb}, MP/s", a, b, SPEED * a, up=True, fails=False)
    return found


def compare(before: Run, after: Run) -> list[Change]:
    """Return what changed beyond the limits, in the order of the later run.

    Raises:
        InputError: the runs are of different images, or have no coder and setting in common.
    """
    images = [{(r.image, r.width, r.height) for r in run.records} for run in (before, after)]
    digests = [{r.image: r.digest for r in run.records if r.digest} for run in (before, after)]
    replaced = any(digests[0].get(image, digest) != digest for image, digest in digests[1].items())
    if images[0] != images[1] or replaced:
        raise InputError("the two results are of different images, so that they cannot be compared")
    old = {(point.coder, point.setting): point for point in before.points()}
    pairs = [(old[key], point) for point in after.points() if (key := (point.coder, point.setting)) in old]
    if not pairs:
        raise InputError("the two results have no coder and setting in common")
    return [change for a, b in pairs for change in _changes(a, b, after.coders[b.coder].title)]


def changes_table(changes: list[Change]) -> Table:
    """Return the changes, for a terminal: what is worse in red, what is better in green."""
    out = columns_table("changes", ("coder", "setting", "figure"), ("before", "after", ""))
    for c in changes:
        share = f"{100 * (c.after / c.before - 1):+.1f} %" if c.before > 0 else ""  # scores may be negative
        word = "better" if c.verdict > 0 else "worse"
        cells = (f"{c.before:,.4g}", f"{c.after:,.4g}", f"{share} {word}")
        out.add_row(c.coder, c.setting, c.what, *cells, style=COLOURS[c.verdict])
    return out
