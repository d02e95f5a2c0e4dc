"""Encodes the files of a batch, in this process or in several."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence

from selfcodec.cli.encoding import Options, Outcome, attempt_file
from selfcodec.cli.files import Job
from selfcodec.errors import InputError


def outcomes(jobs: Sequence[Job], options: Options, processes: int) -> Iterator[Outcome]:
    """Results in the order of the jobs."""
    processes = min(processes, len(jobs))
    if processes == 1:
        for job in jobs:
            yield attempt_file(job, options)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    # Spawned, because a forked copy of a process that has run torch may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _start_worker, (processes,)) as pool:
        interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # workers inherit it until they are ready
        try:
            futures = [pool.submit(attempt_file, job, options) for job in jobs]
        finally:
            signal.signal(signal.SIGINT, interrupt)
        try:
            for future in futures:
                yield future.result()
        except BrokenProcessPool as error:
            raise InputError(
                "a process ended before its file was done, perhaps for lack of memory: try -j 1"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _start_worker(workers: int) -> None:
    """Divides the processors among the workers, and lets Ctrl-C end one without a traceback."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))
