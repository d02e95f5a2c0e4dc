"""Signals that ask to end: raised as exceptions, and held back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from selfcodec import parallel
from selfcodec.signals import ENDING, Ended, raised

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="the system has other signals")


def send(name: str) -> None:
    os.kill(os.getpid(), signal.Signals[name])


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_deadly_signals_are_raised_once(name: str, status: int) -> None:
    found = None
    with raised():
        try:
            send(name)
        except Ended as ended:
            found = ended
            send("SIGTERM")  # must not disturb what is cleaned up here
            send("SIGHUP")
    assert found is not None
    assert (found.name, found.status) == (name, status)
    assert signal.getsignal(signal.Signals[name]) is signal.SIG_DFL


def test_ignored_signals_stay_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with raised():
            send("SIGHUP")
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_helpers_leave_signals_to_the_main_thread() -> None:
    def masked() -> set[signal.Signals]:
        return set(signal.pthread_sigmask(signal.SIG_BLOCK, ()))  # type: ignore[arg-type]

    assert set(ENDING) <= parallel._helpers().submit(masked).result()  # they would come by this thread otherwise
    before = parallel.threads()
    parallel.set_threads(2)
    assert all(set(ENDING) <= mask for mask in parallel.mapped([masked, masked]))
    parallel.set_threads(before)


def test_signals_are_held_back_and_not_lost() -> None:
    """In a process of its own: any thread that a library has started here could take the signal instead."""
    program = (
        "import os, signal\n"
        "from selfcodec.signals import held_back\n"
        "reached = False\n"
        "try:\n"
        "    with held_back():\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        reached = True\n"
        "except KeyboardInterrupt:\n"
        "    print(reached)\n"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "True\n"
