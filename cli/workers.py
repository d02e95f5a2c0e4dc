"""Encodes the files of a batch, in this process or in several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from selfcodec.cli.encoding import Options, Outcome, attempt_file
from selfcodec.cli.files import Job


def outcomes(jobs: Sequence[Job], options: Options, processes: int) -> Iterator[Outcome]:
    """Results in the order of the jobs."""
    processes = min(processes, len(jobs))
    if processes == 1:
        for job in jobs:
            yield attempt_file(job, options)
        return
    from selfcodec.processes import submitted

    with submitted(attempt_file, [(job, options) for job in jobs], processes) as futures:
        for future in futures:
            yield future.result()
