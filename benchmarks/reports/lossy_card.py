"""What stands in the manifest and the card of a model that is lossy only, as `selfcodec bench` has measured it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from selfcodec.benchmarks.bd import bd_rate
from selfcodec.benchmarks.coders import OWN, PEER
from selfcodec.benchmarks.published import published_beside
from selfcodec.benchmarks.qualities import PSNR, SSIMULACRA2, Quality
from selfcodec.benchmarks.reports.tables import MISSING, markdown_table, number
from selfcodec.benchmarks.results import Point, Run, curves, parts_of_key

Json = dict[str, Any]

DIGITS = 5
"""Manifests have figures with so many significant digits."""
QUALITIES = (PSNR, SSIMULACRA2)
"""BD-rates are at equal quality by each of these."""
POINTS_HEADER = ("mode", "setting", "bits/pixel", "PSNR, dB", "MS-SSIM", "SSIMULACRA 2", "encode, s", "decode, s")
EXPLANATION = (
    "Every figure is of real files, headers included, each decoded and compared; rates, measures and seconds are means"
    " of the images' own. The PSNR leaves out images that came back identical. Of SSIMULACRA 2, 100 is the original, 90"
    " hardly differs from it, 70 is high, 50 medium and 30 low quality. Seconds are of one process among those that ran"
    " side by side."
)


def _rounded(value: float | None) -> float | None:
    """A figure to be kept; None for what is unknown, or NaN, the mean of nothing."""
    return None if value is None or value != value else float(f"{value:.{DIGITS}g}")


def _point(run: Run, point: Point) -> Json:
    good = [r for r in run.records if (r.coder, r.setting) == (point.coder, point.setting) and not r.failure]
    return {
        "setting": point.setting,
        "bpp": _rounded(point.bpp),
        "psnr": _rounded(point.psnr),
        "ms_ssim": _rounded(point.ms_ssim),
        "ssimulacra2": _rounded(point.ssimulacra2),
        "encode_seconds": _rounded(sum(r.encode_seconds for r in good) / len(good)) if good else None,
        "decode_seconds": _rounded(sum(r.decode_seconds for r in good) / len(good)) if good else None,
    }


def _bd_rates(run: Run, coder: str, quality: Quality) -> dict[str, float | None]:
    """A coder's BD-rates in per cent by title of what it is compared with; None where curves share too little."""
    found = {key: (rates, qualities) for key, rates, qualities in curves(run, quality.value)}
    own = found.get(coder, ((), ()))
    others: dict[str, tuple[Sequence[float], Sequence[float]]] = {
        run.coders[key].title: curve for key, curve in found.items() if run.coders[key].family == PEER
    }
    for c in published_beside(run):
        if known := quality.published(c):
            others[f"{c.title}, published"] = (c.bpp, known)
    return {title: _rounded(bd_rate(curve, own)) for title, curve in others.items()}


def _lossy_coders(run: Run, sha256: str) -> Iterator[str]:
    """Keys of the lossy coders of the model with a SHA-256."""
    models = run.provenance["models"]
    for key, coder in run.coders.items():
        if coder.family == OWN and not coder.lossless and models.get(parts_of_key(key)[0]) == sha256:
            yield key


def bench_figures(run: Run, sha256: str) -> Json:
    """Return what a manifest keeps of a run: lossy coders of the model with a SHA-256, and BD-rates."""
    about = run.provenance
    name = next(name for name, found in about["models"].items() if found == sha256)
    return {
        **{key: about[key] for key in ("command", "date", "machine", "versions")},
        "model": {"name": name, "sha256": sha256},
        "dataset": run.dataset,
        "images": len({record.image for record in run.records}),
        "failures": dict(Counter(run.coders[record.coder].title for record in run.failures)),
        "coders": {
            run.coders[key].title: {
                "points": [_point(run, point) for point in run.points() if point.coder == key],
                "bd_rates": {quality.name: _bd_rates(run, key, quality) for quality in QUALITIES},
            }
            for key in _lossy_coders(run, sha256)
        },
        "published": {curve.title: curve.source for curve in published_beside(run)},
    }


def _points_table(run: Json) -> str:
    return markdown_table(
        POINTS_HEADER,
        (
            (
                title,
                point["setting"],
                number(point["bpp"], 3),
                number(point["psnr"], 2),
                number(point["ms_ssim"], 4),
                number(point["ssimulacra2"], 2),
                number(point["encode_seconds"], 3),
                number(point["decode_seconds"], 3),
            )
            for title, coder in run["coders"].items()
            for point in coder["points"]
        ),
    )


def _bd_table(run: Json) -> str:
    """Every mode against every other coder, a column a mode and measure; "" where there is nothing to compare."""
    columns: dict[str, dict[str, float]] = {}
    for title, coder in run["coders"].items():
        for quality in QUALITIES:
            found = {other: bd for other, bd in coder["bd_rates"][quality.name].items() if bd is not None}
            if found:
                columns[f"{title}, by {quality.title}"] = found
    others = dict.fromkeys(other for column in columns.values() for other in column)
    rows = [
        (other, *(f"{column[other]:+.1f} %" if other in column else MISSING for column in columns.values()))
        for other in others
    ]
    return markdown_table(("BD-rate against", *columns), rows) if rows else ""


def lossy_sections(bench: Sequence[Json]) -> Iterator[str]:
    """Yield a section for every data set: the points of every mode, and BD-rates."""
    for i, run in enumerate(bench):
        machine = run["machine"]
        yield f"## Lossy: {run['images']:,} images of {run['dataset']}, each a file of its own"
        if i == 0:
            yield EXPLANATION
        yield f"Measured on {machine['cpu']} ({machine['cores']} cores)."
        yield _points_table(run)
        if table := _bd_table(run):
            yield "By how many per cent files are larger (negative: smaller) than other coders' at equal quality:"
            yield table
            if run["published"]:
                yield "Published curves, as their authors measured them:"
                yield "\n".join(f"- {title}: <{source}>" for title, source in run["published"].items())


def lossy_limitations(bench: Sequence[Json], dataset: str) -> Iterator[str]:
    """Yield what a model that is lossy only, trained on a data set, does not do."""
    items = [
        "Lossy only: the model has no mode `lossless`.",
        "Trained for squared error on photographs: at equal PSNR textures are softer than some other coders make them,"
        " and text, drawings and graphics take more bytes than with other coders.",
        "Its modes invent what they do not send: do not take details in their images for facts.",
        "Where a PNG, a WebP or the raw samples would be smaller, the file holds those instead.",
        f"What {dataset} shows rarely or one-sidedly, the model codes and reconstructs worse.",
    ]
    for run in bench:
        for title, count in run["failures"].items():
            items.append(f"On {run['dataset']} {count:,} files of {title} failed; the figures leave them out.")
    yield "## Limitations"
    yield "\n".join(f"- {item}" for item in items)


def lossy_commands(measured: Json) -> Iterator[str]:
    """Yield the commands, and when and with which versions they ran."""
    runs = [*measured["bench"], measured["weights"]]
    yield "## How the figures were measured"
    yield "```\n" + "\n".join(run["command"] for run in runs) + "\n```"
    dates: dict[str, list[str]] = {}
    for run in measured["bench"]:
        versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
        dates.setdefault(versions, []).append(f"{run['dataset']} on {run['date']}")
    yield " ".join(f"Measured {', '.join(when)}, with {versions}." for versions, when in dates.items())
