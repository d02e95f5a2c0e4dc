"""Tasks on several processors: order, errors, how many at once, and PyTorch's threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import torch
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.codec import decode_file, encode_picture
from selfcodec.images import from_image
from selfcodec.parallel import check_wanted, mapped
from selfcodec.zoo import Model


@pytest.fixture(params=[1, 2, 4])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def returning(value: int) -> Callable[[], int]:
    def task() -> int:
        time.sleep(0.002 * (value % 3))  # later ones are ready earlier
        return value

    return task


@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_results_come_in_order(threads: int, count: int) -> None:
    assert list(mapped([returning(i) for i in range(count)])) == list(range(count))
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("most", [None, 1, 3])
def test_no_more_run_at_once_than_may(threads: int, most: int | None) -> None:
    running, peak, lock = 0, 0, threading.Lock()

    def task() -> int:
        nonlocal running, peak
        with lock:
            running += 1
            peak = max(peak, running)
        time.sleep(0.005)
        with lock:
            running -= 1
        return torch.get_num_threads()

    shares = set(mapped([task] * 8, most))
    assert peak <= min(threads, most or threads)
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
    assert torch.get_num_threads() == threads


def test_an_error_reaches_the_caller(threads: int) -> None:
    def broken() -> int:
        raise ValueError("broken")

    results = mapped([returning(1), broken, returning(2)])
    assert next(results) == 1
    with pytest.raises(ValueError, match="broken"):
        next(results)
    assert torch.get_num_threads() == threads


def test_after_an_error_nobody_waits_for_what_takes_long(threads: int) -> None:
    def broken() -> int:
        raise ValueError("broken")

    def endless() -> int:
        while True:
            check_wanted()
            time.sleep(0.001)

    with pytest.raises(ValueError, match="broken"):
        list(mapped([broken, endless]))
    check_wanted()  # the caller's own thread goes on
    assert torch.get_num_threads() == threads


def test_decoding_that_nobody_waits_for_ends(threads: int, tiny_model: Model, photo: UInt8) -> None:
    data = encode_picture(from_image(Image.fromarray(photo)), model=tiny_model, fallback=False, verify=False).data

    def interrupted() -> int:
        raise KeyboardInterrupt

    def endless() -> int:
        while True:
            decode_file(data, model=tiny_model)

    with pytest.raises(KeyboardInterrupt):
        list(mapped([interrupted, endless]))
