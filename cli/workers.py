"""Encodes the files of a batch, in this process or in several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool

from selfcodec.cli.encoding import Options, Outcome, attempt_file, failure
from selfcodec.cli.files import Job
from selfcodec.errors import InputError


def outcomes(jobs: Sequence[Job], options: Options, processes: int) -> Iterator[Outcome]:
    """Results in the order of the jobs."""
    processes = min(processes, len(jobs))
    if processes == 1:
        for job in jobs:
            yield attempt_file(job, options)
        return
    from selfcodec.processes import KILLED, submitted

    with submitted(attempt_file, [(job, options) for job in jobs], processes) as futures:
        for job, future in zip(jobs, futures, strict=True):
            try:
                outcome = future.result()
            except BrokenProcessPool:  # those that are not done fail, each by name, and those that are stay done
                outcome = failure(job, InputError(KILLED))
            yield outcome
