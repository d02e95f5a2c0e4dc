"""What a benchmark finds out: a record for every image, coder and setting; a run is all of them, in one JSON file."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any

from selfcodec.benchmarks.files import read_report, write_report
from selfcodec.errors import InputError

RESULTS = "results.json"
PROVENANCE = ("command", "date", "machine", "versions", "models")
"""Every run says this of its own making."""
FORMAT = 2
"""In version 1 every record named its fields, which made files three times as large."""
LATER: dict[str, Any] = {"ssimulacra2": None}
"""Results that were written before records had these fields are read with these values."""


_EFFORT = re.compile(r" effort \d+$")


def parts_of_key(key: str) -> tuple[str, str, str]:
    """Return model, mode and effort of one of our coders' keys, "MODEL MODE" or "MODEL MODE effort N"."""
    found = _EFFORT.search(key)
    model, _, mode = _EFFORT.sub("", key).rpartition(" ")
    return model, mode, found[0].strip() if found else ""


@dataclass(frozen=True)
class Record:
    """One image, coded by one coder at one setting, and decoded again.

    Attributes:
        image: its name in the data set.
        width, height: pixels.
        coder: a key of `Run.coders`.
        setting: of the coder, such as `q=50`; unique for the coder.
        bytes: of the whole file; 0 where there is none.
        payload_bytes: of the file without its header, as far as the format tells them apart.
        psnr: dB over all samples; None where the image came back as it was, or did not come back.
        ms_ssim: 0..1; None where the image is too small for it, or did not come back.
        ssimulacra2: 100 and below; None where the image is too small for it, did not come back, or was not scored.
        max_error: largest difference of a sample; None where the image did not come back.
        encode_seconds, decode_seconds: of this file alone.
        peak_mib: most resident memory while it was coded, less what was resident before; None where unknown.
        failure: what went wrong, "" if nothing did.
        digest: of the image, as of `digest_of`; "" in records from before it was kept.
        options: of the coder at this setting, as of `digest_of_options`; "" in records from before it was kept.
    """

    image: str
    width: int
    height: int
    coder: str
    setting: str
    bytes: int
    payload_bytes: int
    psnr: float | None
    ms_ssim: float | None
    ssimulacra2: float | None
    max_error: int | None
    encode_seconds: float
    decode_seconds: float
    peak_mib: float | None
    failure: str
    digest: str = ""
    options: str = ""

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """Return what no two records of a run share."""
        return self.image, self.digest, self.coder, self.setting, self.options

    @property
    def model(self) -> str:
        """Return the name of the model that made the file, or what stands there in a peer's key."""
        return parts_of_key(self.coder)[0]

    @property
    def bpp(self) -> float:
        """Return the bits per pixel of the file."""
        return 8 * self.bytes / (self.width * self.height)

    @property
    def bpd(self) -> float:
        """Return the bits per dimension of the file, of three channels."""
        return self.bpp / 3


@dataclass(frozen=True)
class CoderInfo:
    """A coder as reports show it.

    Attributes:
        title: its name for readers.
        family: `selfcodec` or `peer`.
        lossless: its images have to come back as they were.
    """

    title: str
    family: str
    lossless: bool


@dataclass(frozen=True)
class Point:
    """Means over the images of one coder at one setting; failed images are counted and left out.

    Attributes:
        images: with a result.
        failures: without one, or with a wrong one.
        bytes, payload_bytes, bpp, bpd: means of the images' own.
        psnr: mean in dB of the images that changed; None where none did.
        ms_ssim, ssimulacra2: means; None where no image is large enough.
        max_error: largest of all.
        encode_speed, decode_speed: megapixels per second.
        peak_mib: largest of all; None where unknown.
    """

    coder: str
    setting: str
    images: int
    failures: int
    bytes: float
    payload_bytes: float
    bpp: float
    bpd: float
    psnr: float | None
    ms_ssim: float | None
    ssimulacra2: float | None
    max_error: int
    encode_speed: float
    decode_speed: float
    peak_mib: float | None


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _known(records: Sequence[Record], value: Callable[[Record], float | None]) -> list[float]:
    return [found for record in records if (found := value(record)) is not None]


def _point(coder: str, setting: str, records: Sequence[Record]) -> Point:
    good = [record for record in records if not record.failure]
    psnr, ms_ssim = _known(good, lambda r: r.psnr), _known(good, lambda r: r.ms_ssim)
    score, peak = _known(good, lambda r: r.ssimulacra2), _known(good, lambda r: r.peak_mib)
    megapixels = math.fsum(r.width * r.height for r in good) / 1e6
    return Point(
        coder,
        setting,
        images=len(good),
        failures=len(records) - len(good),
        bytes=_mean([r.bytes for r in good]),
        payload_bytes=_mean([r.payload_bytes for r in good]),
        bpp=_mean([r.bpp for r in good]),
        bpd=_mean([r.bpd for r in good]),
        psnr=_mean(psnr) if psnr else None,
        ms_ssim=_mean(ms_ssim) if ms_ssim else None,
        ssimulacra2=_mean(score) if score else None,
        max_error=int(max(_known(good, lambda r: r.max_error), default=0)),
        encode_speed=megapixels / max(1e-9, math.fsum(r.encode_seconds for r in good)),
        decode_speed=megapixels / max(1e-9, math.fsum(r.decode_seconds for r in good)),
        peak_mib=max(peak) if peak else None,
    )


@dataclass(frozen=True)
class Run:
    """All records of one data set.

    Attributes:
        provenance: command, date, machine, versions, models, as `provenance.environment` gives them.
        dataset: its name.
        coders: by key, in the order of reports.
        records: in the order of images, then of coders and settings.
    """

    provenance: dict[str, Any]
    dataset: str
    coders: dict[str, CoderInfo]
    records: list[Record]

    @property
    def failures(self) -> list[Record]:
        """Return the records of what went wrong."""
        return [record for record in self.records if record.failure]

    def points(self) -> list[Point]:
        """Return every coder's and setting's means, in the order of coders, rising in rate."""
        groups: dict[tuple[str, str], list[Record]] = {}
        for record in self.records:
            groups.setdefault((record.coder, record.setting), []).append(record)
        order = list(self.coders)
        points = [_point(*key, records) for key, records in groups.items()]
        return sorted(points, key=lambda p: (order.index(p.coder), math.inf if math.isnan(p.bpp) else p.bpp))

    def save(self, path: Path) -> None:
        """Write the run as JSON, a line a record, and beside them the points for readers who only want those."""
        points = [
            {name: None if value != value else value for name, value in asdict(point).items()}  # NaN is no JSON
            for point in self.points()
        ]
        report = {
            "format": FORMAT,
            **self.provenance,
            "dataset": self.dataset,
            "coders": {key: asdict(coder) for key, coder in self.coders.items()},
            "points": points,
            "columns": [field.name for field in fields(Record)],
            "records": [list(astuple(record)) for record in self.records],
        }
        write_report(path, report, lists=("records",))

    @staticmethod
    def load(path: Path) -> Run:
        """Return a run that `save` wrote, given its file or folder; InputError where it is none."""
        path = path / RESULTS if path.is_dir() else path
        report = read_report(path)
        try:
            if report.pop("format") != FORMAT:
                raise InputError(f"{path}: results of another version of selfcodec")
            del report["points"]
            if missing := [key for key in PROVENANCE if key not in report]:
                raise InputError(f"{path}: does not tell its {missing[0]}")
            columns = report.pop("columns")
            records = [Record(**LATER | dict(zip(columns, row, strict=True))) for row in report.pop("records")]
            coders = {key: CoderInfo(**coder) for key, coder in report.pop("coders").items()}
            if unlisted := [record.coder for record in records if record.coder not in coders]:
                raise InputError(f"{path}: has records of {unlisted[0]!r}, which is none of its coders")
            run = Run(report, report.pop("dataset"), coders, records)
            run.points()  # which fails here, rather than in a report, for figures that no image has
            return run
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise InputError(f"{path}: not a benchmark's results ({error})") from error


Value = Callable[[Point], float | None]


def level_of(setting: str) -> str:
    """Return which y of a model of several a setting sends; "" where there is no choice."""
    first = setting.partition(" ")[0]
    return first if first.startswith("level=") else ""


def curves_by_level(run: Run, value: Value) -> Iterator[tuple[str, list[float], list[float]]]:
    """Yield the same as `curves`, but of each level a curve of its own."""
    levels = dict.fromkeys(level_of(point.setting) for point in run.points())
    for level in levels:
        part = replace(run, records=[record for record in run.records if level_of(record.setting) == level])
        yield from curves(part, value)


def curves(run: Run, value: Value) -> Iterator[tuple[str, list[float], list[float]]]:
    """Yield key, bits per pixel and quality of every lossy coder with at least one point, rising in rate."""
    for key, coder in run.coders.items():
        if coder.lossless:
            continue
        points = [(p.bpp, y) for p in run.points() if p.coder == key and p.images and (y := value(p)) is not None]
        if points:
            rates, qualities = zip(*points, strict=True)
            yield key, list(rates), list(qualities)
