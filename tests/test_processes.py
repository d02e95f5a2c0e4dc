"""Calls in processes of their own: results, errors, and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from selfcodec import parallel
from selfcodec.errors import InputError
from selfcodec.processes import submitted

FORKED = """
import multiprocessing
import numpy as np
import selfcodec
from selfcodec.parallel import set_threads

set_threads(2)
image = np.random.default_rng(1).integers(0, 256, (96, 96, 3), dtype=np.uint8)
expected = selfcodec.encode(image)
with multiprocessing.get_context("fork").Pool(2) as pool:
    print([coded == expected for coded in pool.map(selfcodec.encode, [image] * 2)])
"""


def test_results_errors_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "threads", lambda: 6)
    with submitted(divmod, [(7, 2), (1, 0), (9, 4)], 2) as futures:
        assert futures[0].result() == (3, 1)
        with pytest.raises(ZeroDivisionError):
            futures[1].result()
        assert futures[2].result() == (2, 1)
    asked = "__import__('selfcodec.parallel').parallel.threads()", "__import__('torch').get_num_threads()"
    with submitted(eval, [(question,) for question in asked], 2) as futures:
        assert futures[0].result() == 3
        assert futures[1].result() in (3, os.cpu_count())  # some of its libraries take no more than there are


def test_leaving_the_block_ends_calls() -> None:
    with pytest.raises(KeyboardInterrupt), submitted(time.sleep, [(600,)] * 3, 2):
        raise KeyboardInterrupt


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no such signals")
def test_signals_that_ask_to_end_do_not_reach_the_processes() -> None:
    program = (
        "import os, signal\nfor name in ('INT', 'TERM', 'HUP'): os.kill(os.getpid(), getattr(signal, 'SIG' + name))"
    )
    with submitted(exec, [(program,)], 1) as (future,):
        assert future.result() is None


def test_a_killed_process_is_one_error() -> None:
    with pytest.raises(InputError, match="perhaps for lack of memory"), submitted(os._exit, [(9,)], 1) as (future,):
        future.result()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no such processes")
def test_forked_copies_of_a_process_that_has_encoded_can_encode() -> None:
    found = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=300, check=False)
    assert found.stdout == "[True, True]\n", found.stderr


@pytest.mark.parametrize(("given", "found"), [(None, "passive"), ("active", "active")])
def test_waiting_threads_sleep_unless_a_user_wants_them_awake(given: str | None, found: str) -> None:
    others = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    program = "import os, selfcodec; print(os.environ['OMP_WAIT_POLICY'])"
    environment = others | ({"OMP_WAIT_POLICY": given} if given else {})
    assert subprocess.check_output([sys.executable, "-c", program], env=environment, text=True).strip() == found
