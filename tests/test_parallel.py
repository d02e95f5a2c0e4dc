"""Tasks on several processors: order, errors, how many at once, and the threads that each has."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from PIL import Image
from threadpoolctl import threadpool_info, threadpool_limits

from selfcodec.arrays import UInt8
from selfcodec.decoding import decode_file
from selfcodec.encoding import encode_picture
from selfcodec.images import from_image
from selfcodec.parallel import beside, check_wanted, mapped, one_thread_each, set_threads, shared_out
from selfcodec.parallel import threads as available
from selfcodec.zoo import Model


@pytest.fixture(params=[1, 2, 4])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    set_threads(request.param)
    yield request.param
    set_threads(None)


def returning(value: int) -> Callable[[], int]:
    def task() -> int:
        time.sleep(0.002 * (value % 3))  # later ones are ready earlier
        return value

    return task


class Crowd:
    """How many are inside at once, at most."""

    def __init__(self) -> None:
        self._lock, self.inside, self.peak = threading.Lock(), 0, 0

    def stay(self, seconds: float) -> None:
        with self._lock:
            self.inside += 1
            self.peak = max(self.peak, self.inside)
        time.sleep(seconds)
        with self._lock:
            self.inside -= 1


@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_results_come_in_order(threads: int, count: int) -> None:
    assert list(mapped([returning(i) for i in range(count)])) == list(range(count))
    assert available() == threads


@pytest.mark.parametrize("most", [None, 1, 3])
def test_no_more_run_at_once_than_may(threads: int, most: int | None) -> None:
    crowd = Crowd()

    def task() -> int:
        crowd.stay(0.005)
        return available()

    shares = set(mapped([task] * 8, most))
    assert crowd.peak <= min(threads, most or threads)
    assert shares == {threads // min(threads, most or threads)}


def test_results_are_not_piled_up(threads: int) -> None:
    """Where the consumer is slow, tasks wait for it, since their results take memory."""
    done: list[int] = []

    def task() -> int:
        done.append(1)
        return 0

    results = mapped([task] * 20)
    next(results)
    time.sleep(0.05)
    assert len(done) <= threads + 1
    results.close()  # type: ignore[attr-defined]
    assert available() == threads


def test_an_error_reaches_the_caller(threads: int) -> None:
    def broken() -> int:
        raise ValueError("broken")

    results = mapped([returning(1), broken, returning(2)])
    assert next(results) == 1
    with pytest.raises(ValueError, match="broken"):
        next(results)
    assert available() == threads


def test_after_an_error_nobody_waits_for_what_takes_long(threads: int) -> None:
    def broken() -> int:
        raise ValueError("broken")

    def endless() -> int:
        while True:
            check_wanted()
            time.sleep(0.001)

    def parts() -> int:
        return sum(mapped([endless, endless]))

    for long in (endless, parts):
        with pytest.raises(ValueError, match="broken"):
            list(mapped([broken, long]))
    check_wanted()  # the caller's own thread goes on
    assert available() == threads


def test_decoding_that_nobody_waits_for_ends(threads: int, tiny_model: Model, photo: UInt8) -> None:
    data = encode_picture(from_image(Image.fromarray(photo)), model=tiny_model, fallback=False, verify=False).data

    def interrupted() -> int:
        raise KeyboardInterrupt

    def endless() -> int:
        while True:
            decode_file(data, model=tiny_model)

    with pytest.raises(KeyboardInterrupt):
        list(mapped([interrupted, endless]))


def test_sharing_out_ends_when_all_helpers_have_and_tells_the_first_error(threads: int) -> None:
    working, begun = Crowd(), list[int]()

    def task(number: int) -> None:
        begun.append(number)
        working.stay(0.005)
        raise ValueError(f"task {number}")

    with pytest.raises(ValueError, match=r"task \d"):
        shared_out([partial(task, number) for number in range(99)])
    count = len(begun)
    assert working.inside == 0
    assert count <= threads
    time.sleep(0.02)
    assert len(begun) == count


def test_every_task_is_done_once_by_as_many_as_may_help(threads: int) -> None:
    done, crowd = list[int](), Crowd()

    def task(number: int) -> None:
        crowd.stay(0.002)
        done.append(number)

    shared_out([partial(task, number) for number in range(9)])
    assert sorted(done) == list(range(9))
    assert crowd.peak <= threads


def test_a_helper_s_error_reaches_the_caller(threads: int) -> None:
    def broken() -> None:
        time.sleep(0.002)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        shared_out([broken] * 5)


def test_a_task_runs_beside_a_block_where_there_are_threads(threads: int) -> None:
    begun, seen, ended = threading.Event(), threading.Event(), list[bool]()

    def task() -> None:
        begun.set()
        ended.append(seen.wait(10))

    with beside(task):
        assert threads == 1 or begun.wait(10)
        seen.set()
    assert ended == [True] * (threads > 1)


def test_a_block_s_error_is_told_and_its_task_left_alone(threads: int) -> None:
    with pytest.raises(ValueError, match="broken"), beside(lambda: time.sleep(0.001)):
        raise ValueError("broken")


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_matrix_products_keep_to_their_thread_while_anybody_is_inside() -> None:
    with threadpool_limits(2, user_api="blas"):
        with one_thread_each():
            with one_thread_each():
                assert blas_threads() == {1}
            assert blas_threads() == {1}
        assert blas_threads() == {2}


def test_matrix_products_keep_to_their_thread_whichever_thread_asks() -> None:
    """threadpoolctl heeds one thread alone, the first one, unless it is told that another takes over."""
    found = set[int]()

    def inside() -> None:
        with one_thread_each():
            found.update(blas_threads())

    with threadpool_limits(2, user_api="blas"):
        for work in (inside, lambda: None):
            worker = threading.Thread(target=inside)
            worker.start()
            work()
            worker.join()
        assert blas_threads() == {2}
    assert found == {1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_copy_waits_for_nobody(threads: int) -> None:
    shared_out([lambda: time.sleep(0.001)] * 9)
    child = multiprocessing.get_context("fork").Process(target=shared_out, args=([lambda: None] * 9,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python, which warns of forks of threads
        child.start()
    child.join(10)
    assert child.exitcode == 0
