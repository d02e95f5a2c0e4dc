"""What whole commands take, measured from outside: start-up, seconds and peak memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

from PIL import Image

from selfcodec.errors import SelfcodecError
from selfcodec.modes import Mode

START = "import sys, selfcodec.encoding; from selfcodec.zoo import find_model; find_model(sys.argv[1])"
COMMAND = """
import os
from functools import partial
from selfcodec.cli.main import main
from selfcodec.processes import end_after
end_after(partial(os.read, 0, 1))
main()
"""
"""This is the command line, which ends with the process that holds the other end of its standard input."""


def start_up(model: str) -> float:
    """Return the seconds until a new process has loaded the program and a model."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", START, model], check=True)
    return time.perf_counter() - start


def command_memory(*arguments: str) -> tuple[float, float]:
    """Return seconds and peak resident memory in MiB of a run of the command line; SelfcodecError where it fails."""
    start = time.perf_counter()
    command = [sys.executable, "-c", COMMAND, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)  # waited for here, since Popen tells no usage
    if process.returncode:
        raise SelfcodecError(f"selfcodec {arguments[0]} failed")
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, bytes
    return time.perf_counter() - start, usage.ru_maxrss * unit / 2**20


def memory(image: Image.Image, model: str, mode: Mode, *flags: str) -> dict[str, dict[str, float]]:
    """Return seconds and peak MiB of `selfcodec encode` and `decode` on an image.

    Raises:
        SelfcodecError: one fails, or the image does not come back, where the mode is lossless with all its samples.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, coded, back = (str(Path(folder) / name) for name in ("image.png", "image.sv", "back.png"))
        image.save(source, compress_level=1)
        figures = {}
        for verb, arguments in (
            ("encode", ["encode", source, "-m", str(mode), "-o", coded, "--quiet", "--model", model, *flags]),
            ("decode", ["decode", coded, "-o", back]),
        ):
            seconds, peak = command_memory(*arguments)
            figures[verb] = {"seconds": seconds, "peak_mib": peak}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # it is as large as asked for
            decoded = Image.open(back)
        with decoded:
            lossless = mode is Mode.LOSSLESS
            if decoded.size != image.size or (lossless and decoded.tobytes() != image.tobytes()):
                raise SelfcodecError("the image did not come back")
    return figures
