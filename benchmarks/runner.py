"""Runs coders over images in processes of their own, and keeps every record as soon as it is there.

Image after image, all coders and settings of one image are one task of a worker process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from typing import Any, TypeVar

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.coders import Coder, picture_of
from selfcodec.benchmarks.journal import Journal, digest_of, digest_of_options
from selfcodec.benchmarks.measure import measure
from selfcodec.benchmarks.results import Record
from selfcodec.images import Picture
from selfcodec.processes import submitted

Coders = Mapping[str, Coder]
Wanted = list[tuple[str, str, str]]
"""These are keys of coders, names of settings, and digests of what the coder is called with."""
T = TypeVar("T")


def record(name: str, digest: str, picture: Picture, key: str, coder: Coder, setting: str, options: str) -> Record:
    """Return what comes of one picture, coder and setting; `digest` is the image's, `options` that of the setting."""
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
        digest,
        options,
    )


def measure_image(name: str, image: UInt8, coders: Coders, wanted: Wanted) -> list[Record]:
    """Return the records of one image (H, W, 3) with several coders and settings."""
    picture, digest = picture_of(image), digest_of(image)
    return [record(name, digest, picture, key, coders[key], setting, options) for key, setting, options in wanted]


def side_by_side(function: Callable[..., T], tasks: Sequence[tuple[Any, ...]], jobs: int) -> Iterator[T]:
    """Yield what a function makes of every task's arguments, as it comes, from `jobs` processes."""
    if jobs == 1:
        yield from (function(*task) for task in tasks)
        return
    with submitted(function, tasks, jobs) as futures:
        for future in as_completed(futures):
            yield future.result()


def run(
    images: Mapping[str, UInt8],
    coders: Coders,
    journal: Journal[Record],
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
    points = [
        (key, setting, digest_of_options(options))
        for key, coder in coders.items()
        for setting, options in coder.settings.items()
    ]
    digests = {name: digest_of(image) for name, image in images.items()}
    tasks: list[tuple[Any, ...]] = []
    for name, image in images.items():
        wanted = [point for point in points if (name, digests[name], *point) not in journal.records]
        if wanted:
            tasks.append((name, image, coders, wanted))
        else:
            progress()
    for records in side_by_side(measure_image, tasks, jobs):
        journal.add(records)
        progress()
    return [journal.records[(*named, *point)] for named in digests.items() for point in points]
