"""Ends `selfcodec encode` in two processes by signals at random moments, and looks at what that leaves."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import click

from selfcodec.benchmarks.commands.options import model_option, output_folder_option
from selfcodec.benchmarks.sources import load_photograph
from selfcodec.cli.output import complain, finish, progress
from selfcodec.decoding import decode_file
from selfcodec.errors import SelfcodecError

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGKILL")
IMAGES, SIDE = 60, 40
"""So many images are coded, of so many pixels a side."""
START = 0.1
"""Until so many seconds Python itself starts, which ends as it likes."""
PATIENCE = 5.0
"""After so many seconds no process may be left."""
OURS = re.compile(r"Traceback.*(cli/group\.py|multiprocessing)", re.DOTALL)
"""So look tracebacks of a command that has begun, or of its processes; before, Python prints its own."""


def write_images(folder: Path) -> None:
    """Put parts of a photograph into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    photograph = load_photograph(None)[1].image
    for i in range(IMAGES):
        photograph.crop((6 * i, 4 * i, 6 * i + SIDE, 4 * i + SIDE)).save(folder / f"{i}.png")


def start(images: Path, coded: Path, model: str | None) -> subprocess.Popen[str]:
    """Begin to encode a folder, in a process group of its own."""
    command = [sys.executable, "-m", "selfcodec", "encode", str(images), "-o", str(coded), "-j", "2", "--quiet"]
    command += ["--skip-existing", *(["--model", model] if model else [])]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def whole_run(images: Path, coded: Path, model: str | None) -> float:
    """Return the seconds that encoding everything that is not there yet takes; SelfcodecError where that fails."""
    begun = time.perf_counter()
    process = start(images, coded, model)
    _, errors = process.communicate()
    if process.returncode or len(list(coded.glob("*.sv"))) != IMAGES:
        raise SelfcodecError(f"{images} was not encoded: {errors.strip()}")
    return time.perf_counter() - begun


def killed(process: subprocess.Popen[str], name: str, *, all_of_them: bool) -> list[str]:
    """Send a signal, to the process alone or to the processes that it has started as well; return what goes wrong."""
    number, faults = signal.Signals[name], list[str]()
    (os.killpg if all_of_them else os.kill)(process.pid, number)
    try:
        _, errors = process.communicate(timeout=PATIENCE)  # standard error ends with the last process that has it
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return [f"processes were left after {PATIENCE:g} s"]
    if name != "SIGKILL" and OURS.search(errors):
        faults.append(f"a traceback: {errors.splitlines()[-1]}")
    if process.returncode not in (0, -number, 128 + number):
        faults.append(f"exit status {process.returncode}")
    return faults


def left_behind(coded: Path) -> list[str]:
    """Return what is wrong with the files in a folder."""
    faults = [f"{path.name} was left" for path in coded.glob("*") if path.suffix != ".sv"]
    for path in coded.glob("*.sv"):
        try:
            decode_file(path.read_bytes())
        except SelfcodecError as error:
            faults.append(f"{path.name}: {error}")
    return faults


@click.command()
@click.option("--kills", metavar="N", default=100, show_default=True, type=click.IntRange(1), help="Signals to send.")
@click.option("--seed", metavar="SEED", default=0, show_default=True, help="Draws the moments.")
@model_option
@output_folder_option
def main(kills: int, seed: int, model_name: str | None, output: Path) -> None:
    """End `selfcodec encode -j 2` by SIGINT, SIGTERM, SIGHUP and SIGKILL in turn, at random moments.

    Afterwards no process and no temporary file may be left, every coded file must decode, and encoding what is
    missing must succeed. Ends with exit status 1 otherwise.
    """
    for name in SIGNALS[:3]:  # which may be ignored, as under nohup, and then in all that is started, too
        signal.signal(signal.Signals[name], signal.SIG_DFL)
    draw, failures, amid = random.Random(seed), 0, 0
    images, coded = output / "images", output / "coded"
    shutil.rmtree(coded, ignore_errors=True)
    write_images(images)
    seconds = whole_run(images, coded, model_name)
    with progress(kills, "kills") as advance:
        for kill in range(kills):
            shutil.rmtree(coded, ignore_errors=True)
            name, moment, all_of_them = SIGNALS[kill % len(SIGNALS)], draw.uniform(START, seconds), draw.random() < 0.5
            process = start(images, coded, model_name)
            time.sleep(moment)
            faults = killed(process, name, all_of_them=all_of_them) + left_behind(coded)
            if 0 < len(list(coded.glob("*.sv"))) < IMAGES:
                amid += 1
                whole_run(images, coded, model_name)
            for fault in faults:
                complain(f"{name} after {moment:.2f} s: {fault}")
            failures += bool(faults)
            advance()
    click.echo(f"{kills} kills within {seconds:.1f} s, {amid} of them amid writing: {failures} left something behind")
    finish(failures)
