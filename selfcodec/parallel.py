"""Independent pieces of one image's work on several processors."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import scipy.linalg.cython_blas  # noqa: F401  (numba's, whose threads cannot be limited before it is loaded)
import torch
from threadpoolctl import threadpool_limits

T = TypeVar("T")


def mapped(tasks: Sequence[Callable[[], T]], most: int | None = None) -> Iterator[T]:
    """What tasks return, in order, while the next ones run already.

    PyTorch's threads (`torch.set_num_threads`) are divided among the tasks as long as the iterator lives, since a
    matrix product spread over processors that are busy takes longer than on one of them; compiled loops' products have
    one each, for the same reason. With one thread, or for one task, everything runs in the caller's thread.

    Args:
        tasks: what to call. They must spend their time without Python's lock.
        most: tasks that may run at once; None for as many as there are threads.
    """
    threads = torch.get_num_threads()
    workers = min(threads, len(tasks), most or threads)
    with threadpool_limits(1, user_api="blas"):
        if workers < 2:
            for task in tasks:
                yield task()
            return
        share = threads // workers
        torch.set_num_threads(share)
        try:
            with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(share,)) as pool:
                ahead: deque[Future[T]] = deque()
                for task in tasks:
                    ahead.append(pool.submit(task))
                    if len(ahead) > workers:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
        finally:
            torch.set_num_threads(threads)
