"""A run as one HTML file that needs nothing else: plots, a table to sort, crops side by side."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.coders import OWN
from selfcodec.benchmarks.published import published_beside
from selfcodec.benchmarks.reports.summary import EXPLANATION, MAX_ERROR, MAX_ERROR_EXPLANATION
from selfcodec.benchmarks.reports.tables import number
from selfcodec.benchmarks.results import Point, Run
from selfcodec.files import write_atomically

REPORT = "report.html"
HEADINGS = (
    "coder",
    "setting",
    "bits/pixel",
    "bits/dim",
    "bytes",
    "without header",
    "PSNR (dB)",
    "MS-SSIM",
    "SSIMULACRA 2",
    MAX_ERROR,
    "encode MP/s",
    "decode MP/s",
    "MiB",
    "failures",
)


@dataclass(frozen=True)
class Crop:
    """One coder's version of a part of an image.

    Attributes:
        image: name of the image.
        title: of the coder, with its setting; or of the original.
        pixels: (h, w, 3).
        bpp: bits per pixel of the whole image's file; None of the original.
        psnr: dB over the whole image; None where it is identical.
    """

    image: str
    title: str
    pixels: UInt8
    bpp: float | None = None
    psnr: float | None = None

    @property
    def png(self) -> str:
        """Return the pixels as a PNG in base64."""
        buffer = io.BytesIO()
        Image.fromarray(self.pixels).save(buffer, "PNG", optimize=True)
        return base64.b64encode(buffer.getvalue()).decode()


@dataclass(frozen=True)
class Row:
    """One line of the table: for every heading a value to sort by, "" where unknown, and a text."""

    own: bool
    failures: int
    cells: list[tuple[str, str]]


def _row(run: Run, p: Point) -> Row:
    figures = (
        (p.bpp, 3),
        (p.bpd, 3),
        (p.bytes, 1),
        (p.payload_bytes, 1),
        (p.psnr, 2),
        (p.ms_ssim, 4),
        (p.ssimulacra2, 2),
        (p.max_error if p.images else None, 0),
        (p.encode_speed if p.images else None, 3),
        (p.decode_speed if p.images else None, 3),
        (p.peak_mib, 0),
        (p.failures, 0),
    )
    coder = run.coders[p.coder]
    cells = [(coder.title, coder.title), (p.setting, p.setting)]
    cells += [("" if v is None or v != v else repr(float(v)), number(v, digits)) for v, digits in figures]
    return Row(coder.family == OWN, p.failures, cells)


def html(run: Run, plots: Sequence[Path], crops: Sequence[Crop]) -> str:
    """Return the page.

    Args:
        run: what was measured.
        plots: SVG files, which become part of the page.
        crops: those of one image one after another.
    """
    environment = Environment(
        loader=PackageLoader("selfcodec.benchmarks.reports", "."), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("report.html.j2").render(
        run=run,
        images=len({record.image for record in run.records}),
        explanation=f"{EXPLANATION} {MAX_ERROR_EXPLANATION}",
        plots=[(path.stem, base64.b64encode(path.read_bytes()).decode()) for path in plots],
        published=published_beside(run),
        headings=HEADINGS,
        rows=[_row(run, point) for point in run.points()],
        pictures=[(image, list(group)) for image, group in groupby(crops, key=lambda crop: crop.image)],
    )


def write_html(run: Run, plots: Sequence[Path], crops: Sequence[Crop], folder: Path) -> None:
    """Write `report.html`."""
    write_atomically(folder / REPORT, html(run, [p for p in plots if p.suffix == ".svg"], crops).encode())
