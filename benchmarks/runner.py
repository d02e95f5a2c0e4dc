"""Runs coders over images in processes of their own, and keeps every record as soon as it is there.

A run that was stopped goes on where it was: `records.jsonl` in its folder holds, after a line that says what was run,
one record a line. Image after image, all coders and settings of one image are one task of a worker process.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.coders import Coder
from selfcodec.benchmarks.metrics import psnr
from selfcodec.benchmarks.results import Record
from selfcodec.errors import InputError
from selfcodec.files import write_atomically

Coders = Mapping[str, Coder]
Wanted = list[tuple[str, str]]
"""Keys of coders and settings."""

RECORDS = "records.jsonl"
MS_SSIM_SIDE = 161
"""Least side of an image for MS-SSIM: five scales with windows of 11 (Wang et al. 2003)."""
_RESET_PEAK = "5"
_ONE_LINE = 200


def ms_ssim(image: UInt8, other: UInt8) -> float | None:
    """Multi-scale structural similarity of two images (H, W, 3), 0..1; None where they are too small for it.

    Wang, Simoncelli and Bovik 2003, https://doi.org/10.1109/ACSSC.2003.1292216, as pytorch-msssim computes it.

    Raises:
        InputError: that package is missing.
    """
    if min(image.shape[:2]) < MS_SSIM_SIDE:
        return None
    try:
        from pytorch_msssim import ms_ssim as of_batches
    except ImportError as error:
        raise InputError("MS-SSIM needs the package pytorch-msssim: pip install 'selfcodec[bench]'") from error
    # Copies, since PyTorch warns of arrays that cannot be written, as some codecs return.
    batches = (torch.from_numpy(np.array(x)).permute(2, 0, 1)[None].float() for x in (image, other))
    return float(of_batches(*batches, data_range=255))


class PeakMemory:
    """Most resident memory of this process in a `with` block, less what was there before; Linux only."""

    mib: float | None = None

    @staticmethod
    def _read(key: str) -> float | None:
        try:
            lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        except OSError:
            return None
        found = [line.split()[1] for line in lines if line.startswith(key + ":")]
        return int(found[0]) / 1024 if found else None

    def __enter__(self) -> PeakMemory:
        self._before = None
        try:
            Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")
        except OSError:
            return self
        self._before = self._read("VmRSS")
        return self

    def __exit__(self, *_: object) -> None:
        peak = self._read("VmHWM")
        if self._before is not None and peak is not None:
            self.mib = round(max(0.0, peak - self._before), 1)


def measure(name: str, image: UInt8, key: str, coder: Coder, setting: str) -> Record:
    """Codes one image (H, W, 3), decodes the file, and compares; whatever goes wrong becomes the record's failure."""
    size, payload, failure = 0, 0, ""
    decoded: UInt8 | None = None
    start = middle = end = time.perf_counter()
    with PeakMemory() as memory:
        try:
            coder.prepare(coder.settings[setting])
            start = time.perf_counter()
            data = coder.encode(image, coder.settings[setting])
            middle = end = time.perf_counter()
            size = len(data)
            decoded = coder.decode(data)
            end = time.perf_counter()
            payload = coder.payload(data)
        except Exception as error:  # a coder that fails in whatever way is a result, too
            failure = " ".join(f"{type(error).__name__}: {error}".split())[:_ONE_LINE]
    if decoded is not None and (decoded.shape != image.shape or decoded.dtype != np.uint8):
        failure, decoded = f"came back as {decoded.dtype} {decoded.shape}", None
    similarity, quality, worst = None, None, None
    if decoded is not None:
        worst = int(np.abs(image.astype(np.int16) - decoded).max())
        quality = psnr(image, decoded) if worst else None
        similarity = ms_ssim(image, decoded)
        if worst and coder.info.lossless:
            failure = f"not lossless: samples differ by up to {worst}"
    return Record(
        name,
        image.shape[1],
        image.shape[0],
        key,
        setting,
        size,
        payload,
        quality,
        similarity,
        worst,
        round(middle - start, 6),
        round(end - middle, 6),
        memory.mib,
        failure,
    )


def measure_image(name: str, image: UInt8, coders: Coders, wanted: Wanted) -> list[Record]:
    """One image with several coders and settings."""
    return [measure(name, image, key, coders[key], setting) for key, setting in wanted]


def _start_worker(threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    torch.set_num_threads(threads)


def _measured(tasks: Sequence[tuple[str, UInt8, Wanted]], coders: Coders, jobs: int) -> Iterator[list[Record]]:
    """Every task's records as they come."""
    if jobs == 1:
        for name, image, wanted in tasks:
            yield measure_image(name, image, coders, wanted)
        return
    threads = max(1, torch.get_num_threads() // jobs)
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _start_worker, (threads,)) as pool:
        futures = [pool.submit(measure_image, name, image, coders, wanted) for name, image, wanted in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


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
        kept = [record for record in records if record.coder.rpartition(" ")[0] not in changed]
        self.records = {record.key: record for record in kept}
        header = json.dumps({**what, "models": models | what["models"]})
        rest = "".join(json.dumps(asdict(record)) + "\n" for record in self.records.values())
        write_atomically(self.path, f"{header}\n{rest}".encode())  # without a last line that was cut short

    def add(self, records: Sequence[Record]) -> None:
        """Keeps records, on disk before anything else happens."""
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
    """Every image with every coder and setting, those in the journal not again; in order of images, then coders.

    Args:
        images: (H, W, 3) by name.
        coders: by key.
        journal: what is there already, and where records go.
        jobs: processes.
        progress: called once an image.
    """
    points = [(key, setting) for key, coder in coders.items() for setting in coder.settings]
    tasks = []
    for name, image in images.items():
        wanted = [point for point in points if (name, *point) not in journal.records]
        if wanted:
            tasks.append((name, image, wanted))
        else:
            progress()
    for records in _measured(tasks, coders, jobs):
        journal.add(records)
        progress()
    return [journal.records[name, key, setting] for name in images for key, setting in points]
