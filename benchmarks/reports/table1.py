"""The paper's Table 1 beside what our models of the same kind reach, and which of two models is better."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from pathlib import Path
from typing import Any

from selfcodec.benchmarks.bounds import EACH
from selfcodec.benchmarks.fid import Fid
from selfcodec.benchmarks.files import read_report
from selfcodec.benchmarks.published import PublishedModel, table_1
from selfcodec.benchmarks.reports.tables import MISSING, MODEL_SUM, markdown_table, number
from selfcodec.errors import InputError
from selfcodec.zoo import available_models, read_manifest

BOUNDS = {"elbo": "ELBO", "importance_weighted": "importance weighted", "files": "files"}
"""Reports have these figures of every image, and tables call them so."""
SENT = {"sent": MODEL_SUM}
"""Reports from before it was measured have it not."""
DIGITS = 3
SAMPLES = 512
CERTAIN = 2.0
"""Means further from 0 than so many standard errors are taken to differ from it."""


@dataclass(frozen=True)
class Mean:
    """A mean over images with its standard error, NaN of fewer than two images."""

    value: float
    error: float
    images: int

    @staticmethod
    def of(values: Sequence[float]) -> Mean | None:
        """Return the mean of values, None of none."""
        count = len(values)
        if not count:
            return None
        mean = math.fsum(values) / count
        squares = math.fsum((value - mean) ** 2 for value in values)
        return Mean(mean, math.sqrt(squares / (count - 1) / count) if count > 1 else math.nan, count)

    def text(self, sign: str = "") -> str:
        """Return the mean and its error, in bits per dimension."""
        return f"{self.value:{sign}.{DIGITS}f} ± {number(self.error, DIGITS)}".replace("-", "−")


@dataclass(frozen=True)
class Evaluated:
    """What `selfcodec eval` found of one model.

    Attributes:
        model: its name.
        digest: SHA-256 of its file.
        dataset: on which.
        samples: of the importance weighted bound.
        each: figures by image, and by their names as in BOUNDS and SENT; None for what was not measured.
        fid: of the model's samples; None where it was not measured.
    """

    model: str
    digest: str
    dataset: str
    samples: int
    each: Mapping[str, Mapping[str, float | None]]
    fid: Fid | None

    @staticmethod
    def load(path: Path) -> Evaluated:
        """Return a report's figures; InputError where it is none of `selfcodec eval`, or has no single images."""
        report = read_report(path)
        try:
            (name, digest), *others = report["models"].items()
            each = {
                row["image"]: {bound: row[bound] for bound in BOUNDS} | {key: row.get(key) for key in SENT}
                for row in report[EACH]
            }
            if others or not each:
                raise ValueError
            fid = Fid(**report["fid"]) if "fid" in report else None
            return Evaluated(name, digest, report["dataset"], report["samples"], each, fid)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{path}: no report of `selfcodec eval --json` with every image; make it anew") from error

    def mean(self, bound: str) -> Mean | None:
        """Return the mean of a bound over all images; None where it was not measured of all."""
        values = [figures[bound] for figures in self.each.values()]
        known = [value for value in values if value is not None]
        return Mean.of(known) if len(known) == len(values) else None

    def less(self, other: Evaluated, bound: str) -> Mean | None:
        """Return the mean difference to another model on the images that both were evaluated on, image by image."""
        pairs = [
            (figures[bound], other.each[image][bound]) for image, figures in self.each.items() if image in other.each
        ]
        return Mean.of([mine - theirs for mine, theirs in pairs if mine is not None and theirs is not None])


def load_reports(folder: Path) -> dict[str, Evaluated]:
    """Return the reports in a folder by model.

    Raises:
        InputError: one is none, of none of the paper's models, or of another version than the installed one; two are
            of one model; or they differ in samples.
    """
    found: dict[str, Evaluated] = {}
    there = available_models()
    for path in sorted(folder.glob("*.json")):
        one = Evaluated.load(path)
        if one.model not in {model.name for model in table_1()}:
            raise InputError(f"{path}: is of model {one.model!r}, which is none of the paper's")
        if one.model in found:
            raise InputError(f"{path}: is of model {one.model}, as another report there is")
        if one.model in there and read_manifest(there[one.model]).get("sha256") != one.digest:
            raise InputError(f"{path}: is of another version of model {one.model} than is installed; evaluate it again")
        if any(one.samples != other.samples for other in found.values()):
            raise InputError(f"{path}: has {one.samples} samples an image, others there have not")
        found[one.model] = one
    return found


def _training(manifest: Mapping[str, Any]) -> str:
    """Return for how long a model was trained, and where."""
    training = manifest.get("training", {})
    parts = [f"{training['minutes']:g} min" if "minutes" in training else "", training.get("machine", "")]
    return ", ".join(filter(None, parts)) or MISSING


def _distances(model: PublishedModel, found: Evaluated | None) -> list[str]:
    """Return the paper's FID and ours, with the number of samples."""
    ours = found and found.fid
    return [number(model.fid, 2), f"{number(ours.value, 2)} of {ours.samples:,}" if ours else MISSING]


def _columns(reports: Mapping[str, Evaluated]) -> dict[str, str]:
    """Return the names of figures with what the models' table calls them: what models send where any report has it."""
    return BOUNDS | SENT if any(report.mean(key) for report in reports.values() for key in SENT) else BOUNDS


def _row(model: PublishedModel, found: Evaluated | None, columns: Iterable[str], distances: Sequence[str]) -> list[str]:
    folder = available_models().get(model.name)
    manifest = {} if folder is None else read_manifest(folder)
    means = [found and found.mean(figure) for figure in columns]
    parameters = manifest.get("parameters")
    return [
        model.dataset,
        f"`{model.name}`",
        f"{model.bpd:.2f}",
        *(mean.text() if mean else MISSING for mean in means),
        f"{len(found.each):,}" if found else MISSING,
        *distances,
        number(parameters and parameters / 1e6, 2),
        _training(manifest),
    ]


def _has_distances(reports: Mapping[str, Evaluated]) -> bool:
    return any(report.fid for report in reports.values())


def models_table(reports: Mapping[str, Evaluated]) -> str:
    """Return the paper's models in its order: its bits per dimension and ours, and FIDs where there are any of ours."""
    shown = _has_distances(reports)
    distances = ["FID, paper", "FID"] if shown else []
    columns = _columns(reports)
    header = ["data set", "model", "paper", *columns.values(), "images", *distances, "parameters, M", "training"]
    found = [(model, reports.get(model.name)) for model in table_1()]
    return markdown_table(header, [_row(*pair, columns, _distances(*pair) if shown else []) for pair in found])


def _verdict(paper: float, ours: Mean | None) -> str:
    """Return whether a difference goes the same way as the paper's."""
    if ours is None:
        return MISSING
    if not abs(ours.value) > CERTAIN * ours.error:
        return "undecided"
    return "yes" if (ours.value < 0) == (paper < 0) else "no"


def pairs_table(reports: Mapping[str, Evaluated]) -> str:
    """Return for every two of the paper's models of one data set by how much the second is above the first.

    Raises:
        InputError: two reports are of different data sets.
    """
    rows = []
    for name, models in groupby(table_1(), key=lambda model: model.dataset):
        for first, second in combinations(models, 2):
            a, b = reports.get(first.name), reports.get(second.name)
            if a and b and a.dataset != b.dataset:
                raise InputError(f"{a.model} and {b.model} were evaluated on {a.dataset} and {b.dataset}: take one")
            differences = {bound: b.less(a, bound) if a and b else None for bound in BOUNDS}
            paper, weighted = second.bpd - first.bpd, differences["importance_weighted"]
            ours = [mean.text("+") if mean else MISSING for mean in differences.values()]
            images = f"{weighted.images:,}" if weighted else MISSING
            what = f"`{second.name}` − `{first.name}`"
            rows.append([name, what, f"{paper:+.2f}".replace("-", "−"), *ours, images, _verdict(paper, weighted)])
    return markdown_table(["data set", "difference", "paper", *BOUNDS.values(), "images", "as in the paper"], rows)


def table1(reports: Mapping[str, Evaluated]) -> str:
    """Return both tables, and how to read them."""
    samples = next((report.samples for report in reports.values()), None)
    ours = "" if samples is None else f"; ours are by {samples}"
    distances = (
        " FIDs are Fréchet Inception Distances of so many samples from all test images; fewer samples make them larger,"
        " and the paper does not say how many it took."
        if _has_distances(reports)
        else ""
    )
    return (
        "Bits per dimension, means over test images ± their standard error. The paper reports the importance weighted"
        f" bound by {SAMPLES} samples an image{ours}. Files count with their headers, and were decoded and"
        " compared; one holds a PNG or WebP where that is smaller. Parameters, minutes and machine are those of our"
        f" models.{distances}\n\n"
        f"{models_table(reports)}\n"
        "Two models on the same images: the mean of the differences image by image, below 0 where the first is better,"
        f" ± its standard error. Within {CERTAIN:g} standard errors of 0, by the importance weighted bound, it decides"
        f" nothing.\n\n{pairs_table(reports)}"
    )
