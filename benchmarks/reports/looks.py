"""Our pictures beside AVIF's of equal bytes: figures of both, and how often ours look worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.measure import Measured
from selfcodec.benchmarks.metrics import bits_per_pixel, mean_finite
from selfcodec.benchmarks.reports.tables import columns_table, number

DIGITS = {"bytes": 0, "bits_per_pixel": 3, "psnr": 2, "ms_ssim": 4, "ssimulacra2": 2}
"""Tables show these figures, with so many digits."""
HEADINGS = ("bytes", "bits/pixel", "PSNR (dB)", "MS-SSIM", "SSIMULACRA 2")


@dataclass(frozen=True)
class Version:
    """One coder's version of a picture.

    Attributes:
        bytes: of the whole file.
        bits_per_pixel: of the whole file.
        psnr: dB; None where nothing differs.
        ms_ssim: 0..1; None where the picture is too small for it.
        ssimulacra2: 100 and below; None where the picture is too small for it.
    """

    bytes: int
    bits_per_pixel: float
    psnr: float | None
    ms_ssim: float | None
    ssimulacra2: float | None

    @staticmethod
    def of(found: Measured, height: int, width: int) -> Version:
        """Return what was measured of a picture."""
        rate = bits_per_pixel(found.size, height, width)
        return Version(found.size, rate, found.psnr, found.ms_ssim, found.ssimulacra2)


@dataclass(frozen=True)
class Look:
    """One image at one rate.

    Attributes:
        image: its name.
        rate: that our file was to keep to, bits per pixel.
        ours, avif: both versions.
        crops: (h, w, 3) of the original, ours and AVIF's, where the errors of the two differ most.
    """

    image: str
    rate: float
    ours: Version
    avif: Version
    crops: tuple[UInt8, ...]

    @property
    def lead(self) -> float | None:
        """Return by how much our score lies above AVIF's; None where there are no scores."""
        ours, avif = self.ours.ssimulacra2, self.avif.ssimulacra2
        return None if ours is None or avif is None else ours - avif


def worst(looks: Sequence[Look], count: int) -> list[Look]:
    """Return the looks at which images lie furthest below AVIF's or least above them: one an image, the worst first."""
    found: dict[str, tuple[float, Look]] = {}
    for look in looks:
        if look.lead is not None and (look.image not in found or look.lead < found[look.image][0]):
            found[look.image] = look.lead, look
    return [look for _, look in sorted(found.values(), key=lambda item: item[0])[:count]]


def _means(versions: Sequence[Version]) -> dict[str, float | None]:
    return {name: mean_finite([y for v in versions if (y := getattr(v, name)) is not None]) for name in DIGITS}


def summary(looks: Sequence[Look], rates: Sequence[float], images: int) -> list[dict[str, Any]]:
    """Return by rate the means of both, and in how many of the images that have a score ours is below AVIF's.

    `missed` counts images that take more at every quality, and are left out.
    """
    rows = []
    for rate in rates:
        here = [look for look in looks if look.rate == rate]
        leads = [look.lead for look in here if look.lead is not None]
        rows.append(
            {
                "rate": rate,
                "images": len(here),
                "missed": images - len(here),
                "scored": len(leads),
                "worse": sum(lead < 0 for lead in leads),
                "ours": _means([look.ours for look in here]),
                "avif": _means([look.avif for look in here]),
            }
        )
    return rows


def each_look(looks: Sequence[Look]) -> list[dict[str, Any]]:
    """Return the figures of every image and rate."""
    return [
        {"image": look.image, "rate": look.rate, "ours": asdict(look.ours), "avif": asdict(look.avif)} for look in looks
    ]


def _add_pair(table: Table, start: tuple[str, ...], row: dict[str, Any], titles: tuple[str, str], end: str) -> None:
    """Add two lines, ours above AVIF's; what is said once stands in the first."""
    for i, (key, title) in enumerate(zip(("ours", "avif"), titles, strict=True)):
        figures = (number(row[key][name], digits) for name, digits in DIGITS.items())
        table.add_row(*(start if i == 0 else ("",) * len(start)), title, *figures, end if i == 0 else "")


def each_table(rows: Sequence[dict[str, Any]], titles: tuple[str, str]) -> Table:
    """Return every image and rate, ours above AVIF's."""
    table = columns_table("every image", ["image", "rate", "coder"], [*HEADINGS, "lead"])
    for row in rows:
        scores = [row[key]["ssimulacra2"] for key in ("ours", "avif")]
        lead = number(None, 2) if None in scores else f"{scores[0] - scores[1]:+.2f}"
        _add_pair(table, (row["image"], f"{row['rate']:g}"), row, titles, lead)
    return table


def means_table(rows: Sequence[dict[str, Any]], titles: tuple[str, str], title: str) -> Table:
    """Return the means by rate, ours above AVIF's, and how many images look worse than AVIF's."""
    table = columns_table(title, ["rate", "images", "coder"], [*HEADINGS, "look worse"])
    for row in rows:
        worse = f"{row['worse']} of {row['scored']}"
        _add_pair(table, (f"{row['rate']:g}", str(row["images"])), row, titles, worse)
    return table
