"""A run in words and tables: `summary.md`."""

from __future__ import annotations

from pathlib import Path

from selfcodec.benchmarks.bd import bd_rate
from selfcodec.benchmarks.published import published_beside
from selfcodec.benchmarks.qualities import PSNR, SSIMULACRA2, Quality
from selfcodec.benchmarks.reports.tables import MISSING, markdown_table, marked, number
from selfcodec.benchmarks.results import Point, Run, curves
from selfcodec.files import write_atomically

SUMMARY = "summary.md"
ANCHORS = ("jpeg", "webp", "avif")
"""Every lossy coder's rate is compared with the rates of these."""
EACH = 50
"""So many images at most are listed one by one."""
_SPEED, _PERCEPTUAL = ("encode MP/s", "decode MP/s"), ("MS-SSIM", "SSIMULACRA 2")
MAX_ERROR = "max error (0-255)"
LOSSLESS_HEADER = ("lossless coder", "bits/dim", "bytes", "without header", "of PNG", *_SPEED, "MiB", "failures")
LOSSY_HEADER = (
    "lossy coder",
    "setting",
    "bits/pixel",
    "bytes",
    "PSNR (dB)",
    *_PERCEPTUAL,
    MAX_ERROR,
    *_SPEED,
    "failures",
)
EXPLANATION = """Every figure is of real files, headers included, each decoded and compared. Rates, PSNR, MS-SSIM and
SSIMULACRA 2 are means of the images' own; the PSNR leaves out images that came back identical. Of SSIMULACRA 2, 100 is
the original, 90 hardly differs from it, 70 is high, 50 medium and 30 low quality; images of fewer than 161 pixels a
side have no MS-SSIM, of fewer than 113 no SSIMULACRA 2. Speeds are of one process among those
that ran side by side; MiB is the most that coding one image took beyond what was resident before. Where a WebP or PNG
is smaller than what a model makes of an image, its lossless file holds that, which then decodes at once."""
MAX_ERROR_EXPLANATION = "The max error is by how much a sample, 0 to 255, came back off at most, over all images."
"""Reports that show it say so besides."""


def _speed(point: Point) -> list[str]:
    return [f"{value:.3g}" for value in (point.encode_speed, point.decode_speed)] if point.images else [MISSING] * 2


def lossless_table(run: Run) -> str:
    """Return the lossless coders, the smallest files first; "" where there are none."""
    points = sorted((p for p in run.points() if run.coders[p.coder].lossless), key=lambda p: (p.bpd != p.bpd, p.bpd))
    if not points:
        return ""
    png = next((p.bytes for p in points if p.coder == "png"), None)
    return markdown_table(
        LOSSLESS_HEADER,
        (
            (
                run.coders[p.coder].title,
                number(p.bpd, 3),
                number(p.bytes, 1),
                number(p.payload_bytes, 1),
                MISSING if png is None or not p.images else f"{100 * p.bytes / png:.1f} %",
                *_speed(p),
                number(p.peak_mib, 0),
                str(p.failures),
            )
            for p in points
        ),
    )


def image_table(run: Run) -> str:
    """Return bits per dimension of every image and lossless coder, the smallest in bold; "" for many images or none."""
    coders = [key for key, coder in run.coders.items() if coder.lossless]
    rates: dict[str, dict[str, float]] = {}
    for record in run.records:
        if record.coder in coders and not record.failure:
            rates.setdefault(record.image, {})[record.coder] = record.bpd
    if not 0 < len(rates) <= EACH:
        return ""
    rows = []
    for image, found in rates.items():
        least = min(found.values())
        rows.append((image, *(marked(found.get(key), 3, least) for key in coders)))
    return markdown_table(("bits/dim", *(run.coders[key].title for key in coders)), rows)


def lossy_table(run: Run) -> str:
    """Return the lossy coders, setting by setting; "" where there are none."""
    points = [p for p in run.points() if not run.coders[p.coder].lossless]
    rows = (
        (
            run.coders[p.coder].title,
            p.setting,
            number(p.bpp, 3),
            number(p.bytes, 1),
            number(p.psnr, 2),
            number(p.ms_ssim, 4),
            number(p.ssimulacra2, 2),
            str(p.max_error) if p.images else MISSING,
            *_speed(p),
            str(p.failures),
        )
        for p in points
    )
    return markdown_table(LOSSY_HEADER, rows) if points else ""


def bd_rates(run: Run, anchor: str = ANCHORS[0], quality: Quality = PSNR) -> dict[str, float]:
    """Return by title by how many per cent lossy coders, published ones too, lie above a coder at equal quality."""
    by_coder = {key: (rates, qualities) for key, rates, qualities in curves(run, quality.value)}
    compared = by_coder.pop(anchor, None)
    if compared is None:
        return {}
    others = [(run.coders[key].title, curve) for key, curve in by_coder.items()]
    for c in published_beside(run):
        if known := quality.published(c):
            others.append((f"{c.title}, published", (list(c.bpp), list(known))))
    deltas = {title: bd_rate(compared, curve) for title, curve in others}
    return {title: delta for title, delta in deltas.items() if delta is not None}


def bd_table(run: Run) -> str:
    """Return lossy coders against each of ANCHORS, by PSNR and SSIMULACRA 2; "" where there is nothing to compare."""
    columns = {
        f"BD-rate against {run.coders[anchor].title} by {quality.title}": found
        for quality in (PSNR, SSIMULACRA2)
        for anchor in ANCHORS
        if (found := bd_rates(run, anchor, quality))
    }
    titles = dict.fromkeys(coder.title for coder in run.coders.values())
    titles |= dict.fromkeys(title for column in columns.values() for title in column)
    rows = [
        (title, *(f"{column[title]:+.1f} %" if title in column else MISSING for column in columns.values()))
        for title in titles
        if any(title in column for column in columns.values())
    ]
    return markdown_table(("lossy coder", *columns), rows) if rows else ""


def sources(run: Run) -> str:
    """Return where published curves come from; "" where there are none."""
    lines = [f"- {curve.title}: <{curve.source}>" for curve in published_beside(run)]
    return "\n".join(["Published curves, as their authors measured them:\n", *lines, ""]) if lines else ""


def summary(run: Run) -> str:
    """Return the whole text, in Markdown."""
    about = run.provenance
    images = {record.image: (record.width, record.height) for record in run.records}
    sizes = sorted(set(images.values()))
    shape = " and ".join(f"{w}×{h}" for w, h in sizes) if len(sizes) < 3 else f"{len(sizes)} sizes"
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    models = ", ".join(f"{name} `{digest[:8]}`" for name, digest in about["models"].items()) or "none"
    parts = [
        f"# {run.dataset}: {len(images)} images, {shape}\n",
        f"`{about['command']}`, {about['date']}, {about['machine']['cpu']} ({about['machine']['cores']} cores).\n",
        f"Models: {models}. Versions: {versions}.\n",
        f"{EXPLANATION} {MAX_ERROR_EXPLANATION}\n",
        lossless_table(run),
        image_table(run),
        bd_table(run),
        lossy_table(run),
        sources(run),
    ]
    if run.failures:
        rows = ((r.image, run.coders[r.coder].title, r.setting, r.failure.replace("|", "\\|")) for r in run.failures)
        parts.append(f"## {len(run.failures)} failures\n")
        parts.append(markdown_table(("image", "coder", "setting", "what happened"), rows))
    return "\n".join(part for part in parts if part)


def write_summary(run: Run, folder: Path) -> None:
    """Write `summary.md`."""
    write_atomically(folder / SUMMARY, summary(run).encode())
