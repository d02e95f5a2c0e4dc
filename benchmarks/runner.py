"""Runs coders over images in processes of their own, and keeps every record as soon as it is there.

A run that was stopped goes on where it was: `records.jsonl` in its folder holds, after a line that says what was run,
one record a line. Image after image, all coders and settings of one image are one task of a worker process.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.coders import Coder, picture_of
from selfcodec.benchmarks.measure import measure
from selfcodec.benchmarks.results import Record, parts_of_key
from selfcodec.errors import InputError
from selfcodec.files import write_atomically
from selfcodec.images import Picture
from selfcodec.processes import submitted

Coders = Mapping[str, Coder]
Wanted = list[tuple[str, str]]
"""These are keys of coders, and names of settings."""
T = TypeVar("T")

RECORDS = "records.jsonl"


def record(name: str, picture: Picture, key: str, coder: Coder, setting: str) -> Record:
    """Return what comes of one picture, coder and setting."""
    found = measure(picture, coder, setting)
    height, width = picture.planes.shape[:2]
    return Record(
        name,
        width,
        height,
        key,
        setting,
        found.size,
        found.payload,
        found.psnr,
        found.ms_ssim,
        found.ssimulacra2,
        found.max_error,
        round(found.encode_seconds, 6),
        round(found.decode_seconds, 6),
        found.peak_mib,
        found.failure,
    )


def measure_image(name: str, image: UInt8, coders: Coders, wanted: Wanted) -> list[Record]:
    """Return the records of one image (H, W, 3) with several coders and settings."""
    picture = picture_of(image)
    return [record(name, picture, key, coders[key], setting) for key, setting in wanted]


def side_by_side(function: Callable[..., T], tasks: Sequence[tuple[Any, ...]], jobs: int) -> Iterator[T]:
    """Yield what a function makes of every task's arguments, as it comes, from `jobs` processes."""
    if jobs == 1:
        yield from (function(*task) for task in tasks)
        return
    with submitted(function, tasks, jobs) as futures:
        for future in as_completed(futures):
            yield future.result()


class Journal:
    """The records in a folder that a stopped run has left, and those that come.

    Records of a model that has changed since are forgotten, those of other models and coders stay.

    Args:
        folder: which is made.
        what: what is run: data set, models' digests by name, versions. Records of another data set or version do not
            mix with it.
        force: forget what is there.

    Raises:
        InputError: the folder holds records of something else, or of nothing that can be read.
    """

    def __init__(self, folder: Path, what: Mapping[str, Any], *, force: bool = False) -> None:
        self.path = folder / RECORDS
        self.records: dict[tuple[str, str, str], Record] = {}
        folder.mkdir(parents=True, exist_ok=True)
        if force or not self.path.exists():
            self.path.write_text(json.dumps(what) + "\n", encoding="utf-8")
            return
        remedy = "choose another folder, or begin anew with --force"
        try:
            text = self.path.read_text(encoding="utf-8")
            first, *lines = text.splitlines() or [""]
            before = json.loads(first)
            models = dict(before.pop("models"))
            if {**before, "models": what["models"]} != what:
                raise InputError(f"{self.path}: holds records of another data set or version: {remedy}")
            records = [Record(**json.loads(line)) for line in (lines if text.endswith("\n") else lines[:-1])]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(f"{self.path}: damaged: {remedy}") from error
        changed = {name for name, digest in what["models"].items() if models.get(name, digest) != digest}
        kept = [record for record in records if parts_of_key(record.coder)[0] not in changed]
        self.records = {record.key: record for record in kept}
        header = json.dumps({**what, "models": models | what["models"]})
        rest = "".join(json.dumps(asdict(record)) + "\n" for record in self.records.values())
        write_atomically(self.path, f"{header}\n{rest}".encode())  # without a last line that was cut short

    def add(self, records: Sequence[Record]) -> None:
        """Keep records, on disk before anything else happens."""
        self.records |= {record.key: record for record in records}
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(record)) + "\n" for record in records)
            file.flush()
            os.fsync(file.fileno())


def run(
    images: Mapping[str, UInt8],
    coders: Coders,
    journal: Journal,
    jobs: int,
    progress: Callable[[], None] = lambda: None,
) -> list[Record]:
    """Measure every image with every coder and setting, those in the journal not again.

    Args:
        images: (H, W, 3) by name.
        coders: by key.
        journal: what is there already, and where records go.
        jobs: processes.
        progress: called once an image.

    Returns:
        the records in order of images, then coders.
    """
    points = [(key, setting) for key, coder in coders.items() for setting in coder.settings]
    tasks: list[tuple[Any, ...]] = []
    for name, image in images.items():
        wanted = [point for point in points if (name, *point) not in journal.records]
        if wanted:
            tasks.append((name, image, coders, wanted))
        else:
            progress()
    for records in side_by_side(measure_image, tasks, jobs):
        journal.add(records)
        progress()
    return [journal.records[name, key, setting] for name in images for key, setting in points]
