"""Encodes the files of a batch, in this process or in several."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from selfcodec.cli.encoding import Options, Outcome, attempt_files, failure
from selfcodec.cli.files import Job
from selfcodec.cli.inputs import is_piped
from selfcodec.cli.names import is_shard
from selfcodec.cli.shards import attempt_shard
from selfcodec.errors import InputError
from selfcodec.together import MOST_FILES

MOST_BYTES = 1 << 18
"""Groups of files that are encoded together are at most so large."""


def outcomes(jobs: Sequence[Job], options: Options, processes: int) -> Iterator[Outcome]:
    """Results in the order of the jobs."""
    processes = min(processes, len(jobs))
    groups = list(_groups(jobs, min(MOST_FILES, -(-len(jobs) // processes)) if options.together else 1))
    if processes == 1:
        for group in groups:
            yield from _attempt(group, options)
        return
    from concurrent.futures.process import BrokenProcessPool

    from selfcodec.processes import KILLED, submitted

    with submitted(_attempt, [(group, options) for group in groups], processes) as futures:
        for group, future in zip(groups, futures, strict=True):
            try:
                yield from future.result()
            except BrokenProcessPool:  # those that are not done fail, each by name, and those that are stay done
                yield from (failure(job, InputError(KILLED)) for job in group)


def _attempt(group: Sequence[Job], options: Options) -> list[Outcome]:
    """Encodes a group of files, or a shard, which is in a group of its own."""
    return [attempt_shard(group[0], options)] if _is_shard(group[0]) else attempt_files(group, options)


def _is_shard(job: Job) -> bool:
    return is_shard(job.source.path)


def _groups(jobs: Sequence[Job], most: int) -> Iterator[list[Job]]:
    """Files one after another; large ones and shards alone, so that processes share them out evenly."""
    group: list[Job] = []
    total = 0
    for job in jobs:
        size = _size(job.source.path)
        alone = bool(group) and (_is_shard(group[0]) or _is_shard(job))
        if group and (alone or len(group) >= most or total + size > MOST_BYTES):
            yield group
            group, total = [], 0
        group, total = [*group, job], total + size
    if group:
        yield group


def _size(path: str) -> int:
    try:
        return MOST_BYTES if is_piped(path) else os.path.getsize(path)
    except OSError:  # which is told when the file's turn comes
        return 0
