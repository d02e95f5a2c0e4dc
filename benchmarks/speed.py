"""Where the time goes: start-up, encoding and decoding of one image by stage, and peak memory.

Run as `python -m selfcodec.benchmarks.speed [IMAGE] [--width N] [--height N] [--memory]`.
"""

from __future__ import annotations

import cProfile
import math
import os
import pstats
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np
import torch
from PIL import Image
from rich.table import Table

from selfcodec.benchmarks.demo import load_photograph
from selfcodec.benchmarks.metrics import BenchmarkCommand, provenance, show, write_report
from selfcodec.codec import Settings, decode_file, encode_picture
from selfcodec.errors import SelfcodecError
from selfcodec.images import from_image
from selfcodec.modes import Mode
from selfcodec.zoo import Model, find_model

T = TypeVar("T")
WIDTH, HEIGHT = 768, 512
"""Of the image where none is given."""
NOISY_ROWS = 256
"""Rows that are made noisy together."""
STAGES = {
    "networks": (("integer.py", "floats"), ("pointwise.py", "__call__")),
    "neighbours": (("neighbours.py", "gather"),),
    "likelihoods": (
        *(("context/mixture.py", name) for name in ("digits_of", "high_weights", "low_weights", "expected")),
        ("coding/mixture.py", "cumulative"),
    ),
    "entropy coder": (
        ("~", "<method 'encode_reverse' of 'builtins.AnsCoder' objects>"),
        ("~", "<method 'decode' of 'builtins.AnsCoder' objects>"),
    ),
    "stored fallback": (("py", "stored_size"),),
}
"""Functions whose time, with all that they call, counts for a stage; none calls another one's."""
START = "import sys; from selfcodec.codec import find_model; find_model(sys.argv[1] or None)"


def photograph(path: Path | None, width: int, height: int) -> Image.Image:
    """The image at `path`; or scikit-image's, mirrored again and again to that size.

    A little noise lies over the copies, or else a PNG of many of them would be smaller than anything.
    """
    image = load_photograph(path)[1].image
    if path is not None:
        return image
    pixels = np.asarray(image)
    whole = np.concatenate([pixels, pixels[:, ::-1]], 1)
    whole = np.concatenate([whole, whole[::-1]])
    rows, columns = np.arange(height) % whole.shape[0], np.arange(width) % whole.shape[1]
    copies, random = whole[rows[:, None], columns], np.random.default_rng(0)
    for top in range(0, height, NOISY_ROWS):  # a part at a time, to save memory
        part = copies[top : top + NOISY_ROWS]
        part[...] = np.clip(part + random.integers(-1, 2, part.shape, dtype=np.int16), 0, 255)
    return Image.fromarray(copies)


def staged(task: Callable[[], T]) -> tuple[T, dict[str, float]]:
    """What a task returns, and its seconds by stage, on one thread."""
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


def stages(pixels: Image.Image, model: Model, repeat: int) -> dict[str, dict[str, float]]:
    """Seconds of encoding and decoding by stage on one thread, and in all on every thread: the best of some runs.

    Raises:
        SelfcodecError: the image did not come back.
    """
    threads, best = torch.get_num_threads(), dict[str, dict[str, float]]()
    together = {"encode": math.inf, "decode": math.inf}
    for _ in range(repeat + 1):  # the first run compiles and warms up
        start = time.perf_counter()
        encoded = encode_picture(from_image(pixels), Settings(), model, verify=False)
        middle = time.perf_counter()
        decoded = decode_file(encoded.data, model=model)
        end = time.perf_counter()
        if encoded.mode is Mode.STORED or decoded.tobytes() != pixels.tobytes():
            raise SelfcodecError("the image was stored, or did not come back")
        torch.set_num_threads(1)
        try:
            picture = from_image(pixels)
            _, encoding = staged(partial(encode_picture, picture, Settings(), model, verify=False))
            _, decoding = staged(partial(decode_file, encoded.data, model=model))
        finally:
            torch.set_num_threads(threads)
        for name, found, seconds in (("encode", encoding, middle - start), ("decode", decoding, end - middle)):
            together[name] = min(together[name], seconds)
            if name not in best or found["total"] < best[name]["total"]:
                best[name] = found
    return {name: found | {f"total, threads: {threads}": together[name]} for name, found in best.items()}


def start_up(model: str | None) -> float:
    """Seconds until a new process has loaded the program and a model."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", START, model or ""], check=True)
    return time.perf_counter() - start


def command_memory(*arguments: str) -> tuple[float, float]:
    """Seconds, and peak resident memory in MiB, of one run of the command line; SelfcodecError where it fails."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "selfcodec.cli.main", *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # waited for here, since Popen tells no usage
    if process.returncode:
        raise SelfcodecError(f"selfcodec {arguments[0]} failed")
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, bytes
    return time.perf_counter() - start, usage.ru_maxrss * unit / 2**20


def memory(image: Image.Image, model: str | None, *flags: str) -> dict[str, dict[str, float]]:
    """Seconds and peak MiB of `selfcodec encode` and `decode` on an image."""
    with tempfile.TemporaryDirectory() as folder:
        source, coded, back = (str(Path(folder) / name) for name in ("image.png", "image.sv", "back.png"))
        image.save(source, compress_level=1)
        name = [] if model is None else ["--model", model]
        figures = {}
        for verb, arguments in (
            ("encode", ["encode", source, "-o", coded, "--quiet", *name, *flags]),
            ("decode", ["decode", coded, "-o", back]),
        ):
            seconds, peak = command_memory(*arguments)
            figures[verb] = {"seconds": seconds, "peak_mib": peak}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # it is as large as asked for
            decoded = Image.open(back)
        with decoded:
            if decoded.tobytes() != image.tobytes():
                raise SelfcodecError("the image did not come back")
    return figures


@click.command("speed", cls=BenchmarkCommand)
@click.argument("image", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--model", "model_name", help="Name or folder of a model; the default one if not given.")
@click.option("--width", default=WIDTH, show_default=True, type=click.IntRange(1), help="Where no IMAGE is given.")
@click.option("--height", default=HEIGHT, show_default=True, type=click.IntRange(1), help="Where no IMAGE is given.")
@click.option("--repeat", default=3, show_default=True, type=click.IntRange(1), help="Runs; the fastest counts.")
@click.option("--memory", "with_memory", is_flag=True, help="Run the commands, too, and report their peak memory.")
@click.option("--only-memory", is_flag=True, help="Nothing but that, and without verification.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures as JSON.")
def main(
    image: Path | None,
    model_name: str | None,
    width: int,
    height: int,
    repeat: int,
    with_memory: bool,
    only_memory: bool,
    output: Path | None,
) -> None:
    """Time lossless coding of IMAGE, or of a photograph that comes with scikit-image, repeated to a size."""
    model = find_model(model_name)
    pixels = photograph(image, width, height)
    report: dict[str, Any] = provenance(click.get_current_context(), model)
    report |= {"width": pixels.width, "height": pixels.height, "threads": torch.get_num_threads()}
    if not only_memory:
        report["start_up_seconds"] = start_up(model_name)
        report["stages"] = best = stages(pixels, model, repeat)
        table = Table(title=f"{pixels.width} × {pixels.height}, {model.spec.name}, one thread")
        table.add_column("seconds")
        for name in best:
            table.add_column(name, justify="right")
        for stage in best["encode"]:
            table.add_row(stage, *(f"{found[stage]:.2f}" for found in best.values()))
        show(table)
        click.echo(f"start-up, the model loaded: {report['start_up_seconds']:.2f} s")
    if with_memory or only_memory:
        report["memory"] = memory(pixels, model_name, *(["--no-verify"] if only_memory else []))
        for verb, figures in report["memory"].items():
            click.echo(f"selfcodec {verb}: {figures['seconds']:.1f} s, peak memory {figures['peak_mib']:.0f} MiB")
    if output is not None:
        write_report(output, report)


if __name__ == "__main__":
    main()
