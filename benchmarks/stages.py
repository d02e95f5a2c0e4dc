"""Where the time goes in coding one image, by stage."""

from __future__ import annotations

import cProfile
import math
import pstats
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from selfcodec import parallel
from selfcodec.benchmarks.measure import measure
from selfcodec.benchmarks.own import Own
from selfcodec.errors import SelfcodecError
from selfcodec.images import Picture

T = TypeVar("T")
STAGES = {
    "networks": (("integer.py", "floats"),),
    "pixels in context": (("context/passes.py", "coded"), ("context/passes.py", "expect")),  # with their heads
    "likelihoods": (
        ("coding/mixture.py", "cumulative"),
        *(("coding/grid.py", name) for name in ("of", "nearest")),
    ),
    "entropy coder": (
        ("~", "<method 'encode_reverse' of 'builtins.AnsCoder' objects>"),
        ("~", "<method 'decode' of 'builtins.AnsCoder' objects>"),
        ("coding/ans.py", "encode_intervals"),
    ),
    "stored fallback": (("images/picture.py", "stored_size"),),
}
"""The time of these functions, with all that they call, counts for a stage; none calls another one's."""


def staged(task: Callable[[], T]) -> tuple[T, dict[str, float]]:
    """Return what a task returns, and its seconds by stage, on one thread."""
    profile, start = cProfile.Profile(), time.perf_counter()
    result = profile.runcall(task)
    total = time.perf_counter() - start
    found = dict.fromkeys(STAGES, 0.0)
    for (file, _, function), (_, _, _, cumulative, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        for stage, functions in STAGES.items():
            if any(file.endswith(name) and function == wanted for name, wanted in functions):
                found[stage] += cumulative
    found["everything else"] = total - sum(found.values())
    return result, found | {"total": total}


def stages(picture: Picture, coder: Own, repeat: int) -> dict[str, dict[str, float]]:
    """Return seconds of encoding and decoding by stage on one thread, and in all on every thread: the best of runs.

    Raises:
        SelfcodecError: the image was stored, or did not come back.
    """
    threads, best = parallel.threads(), dict[str, dict[str, float]]()
    together = {"encode": math.inf, "decode": math.inf}
    for _ in range(repeat + 1):  # the first run compiles and warms up
        measured = measure(picture, coder)
        if measured.stored or measured.failure:
            raise SelfcodecError(measured.failure or "the image was stored, so that there are no stages to time")
        parallel.set_threads(1)
        try:
            # A copy remembers nothing of what coding it before has found out.
            _, encoding = staged(partial(coder.encode, replace(picture), coder.settings[""]))
            _, decoding = staged(partial(coder.decode, measured.data))
        finally:
            parallel.set_threads(None)
        for name, found, seconds in (
            ("encode", encoding, measured.encode_seconds),
            ("decode", decoding, measured.decode_seconds),
        ):
            together[name] = min(together[name], seconds)
            if name not in best or found["total"] < best[name]["total"]:
                best[name] = found
    return {name: found | {f"total, threads: {threads}": together[name]} for name, found in best.items()}
