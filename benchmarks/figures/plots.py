"""Rate-distortion curves and lossless rates, as PNG and SVG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from selfcodec.benchmarks.coders import OWN
from selfcodec.benchmarks.published import published_beside
from selfcodec.benchmarks.qualities import QUALITIES, Quality
from selfcodec.benchmarks.results import Run, curves_by_level, parts_of_key

STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "selfcodec",
}
"""The salt makes equal plots equal files."""
OWN_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""These are Okabe and Ito's, which colour-blind readers tell apart (https://jfly.uni-koeln.de/color/)."""
PEER_COLOURS = ("#444444", "#8c564b", "#7f7f1f", "#5f7f7f", "#9467bd")
PUBLISHED_COLOURS = ("#bbbbbb", "#999999", "#c49c94", "#b5b55a", "#8fb8b8", "#c5b0d5", "#aaaaaa", "#dba57a")
MARKERS = {"rs1": "o", "rs2": "s", "cg": "D", "cr": "^"}
"""Modes have these markers; colours are by model."""
LOG_RATIO = 10
"""Rates that span more than this factor are drawn on a logarithmic axis."""
DPI = 200


def logarithmic(axes: Axes, steps: tuple[float, ...] = (1,)) -> None:
    """Make the horizontal axis logarithmic, with plain numbers at these multiples of powers of ten."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=steps))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def grid(axes: Axes) -> None:
    """Draw thin lines behind the points."""
    axes.grid(visible=True, linewidth=0.4, alpha=0.5)


def _rate_axis(axes: Axes, rates: list[float]) -> None:
    axes.set_xlabel("bits per pixel, of whole files")
    if max(rates) > LOG_RATIO * min(rates):
        logarithmic(axes, (1, 2, 5))
    grid(axes)


def rate_distortion(run: Run, quality: Quality) -> Figure | None:
    """Draw one curve a coder, or level of one, ours with markers, published ones dashed; None where there is none."""
    found = list(curves_by_level(run, quality.value))
    if not found:
        return None
    figure = Figure(figsize=(6.8, 4.2), layout="constrained")
    axes = figure.add_subplot()
    models: list[str] = []
    peers, named = 0, set[str]()
    for key, rates, qualities in found:
        title = "" if key in named else run.coders[key].title
        named.add(key)
        if run.coders[key].family == OWN:
            name, mode, effort = parts_of_key(key)
            model = f"{name} {effort}"
            models += [] if model in models else [model]
            colour = OWN_COLOURS[models.index(model) % len(OWN_COLOURS)]
            axes.plot(rates, qualities, color=colour, marker=MARKERS[mode], markersize=4.5, label=title, zorder=3)
        else:
            axes.plot(rates, qualities, color=PEER_COLOURS[peers % len(PEER_COLOURS)], linewidth=1.0, label=title)
            peers += 1
    for i, curve in enumerate(published_beside(run)):
        if known := quality.published(curve):
            colour = PUBLISHED_COLOURS[i % len(PUBLISHED_COLOURS)]
            title = f"{curve.title}, published"
            axes.plot(curve.bpp, known, color=colour, linestyle="--", linewidth=0.9, label=title, zorder=1)
    axes.set_ylabel(quality.label)
    axes.set_title(f"{run.dataset}, {len({r.image for r in run.records})} images", loc="left", fontsize=9)
    _rate_axis(axes, [rate for _, rates, _ in found for rate in rates])
    figure.legend(loc="outside right center", frameon=False, fontsize=6.5)
    return figure


def lossless_rates(run: Run) -> Figure | None:
    """Draw a bar for every lossless coder, in bits per dimension, the smallest on top; None where there are none."""
    points = [p for p in run.points() if run.coders[p.coder].lossless and p.images]
    if not points:
        return None
    points.sort(key=lambda p: -p.bpd)
    figure = Figure(figsize=(6.4, 0.6 + 0.27 * len(points)), layout="constrained")
    axes = figure.add_subplot()
    colours = [OWN_COLOURS[0] if run.coders[p.coder].family == OWN else "#bbbbbb" for p in points]
    bars = axes.barh([run.coders[p.coder].title for p in points], [p.bpd for p in points], color=colours)
    axes.bar_label(bars, fmt="%.3f", padding=3)
    axes.set_xlabel("bits per dimension, of whole files")
    axes.set_xlim(0, 1.12 * max(p.bpd for p in points))
    axes.set_title(f"{run.dataset}, {points[0].images} images, without loss", loc="left", fontsize=9)
    return figure


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure as PNG and SVG; return the files."""
    paths = [folder / f"{name}{suffix}" for suffix in (".png", ".svg")]
    for path, metadata in zip(paths, ({"Software": None}, {"Date": None}), strict=True):
        figure.savefig(path, dpi=DPI, metadata=metadata)
    return paths


def save_plots(run: Run, folder: Path) -> list[Path]:
    """Write every plot that the run has figures for, as PNG and SVG; return the files."""
    with rc_context(STYLE):
        figures = {name: rate_distortion(run, quality) for name, quality in QUALITIES.items()}
        figures["lossless"] = lossless_rates(run)
        return [path for name, figure in figures.items() if figure for path in save(figure, folder, name)]
