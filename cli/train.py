"""selfcodec train."""

from __future__ import annotations

import json
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from selfcodec.cli.options import folder_option, positive_option
from selfcodec.cli.output import complain
from selfcodec.errors import InputError

if TYPE_CHECKING:
    import torch

    from selfcodec.models.data import Images
    from selfcodec.models.train import Progress, Trainer

PICTURE = "progress.png"
LINE_SECONDS = 30.0
"""So many seconds lie between lines where standard error is no terminal."""
INTERRUPTED = 130


class StopRequest(Exception):  # noqa: N818 - it is no error
    """Ctrl-C was pressed, and the step that was under way is done."""


class Reporter:
    """Shows every step's progress on standard error, and stops training between two steps on Ctrl-C."""

    def __init__(self, minutes: float) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        self.minutes = minutes
        self.stopping = False
        self._live = sys.stderr.isatty()
        self._last = -LINE_SECONDS
        columns = (BarColumn(), TextColumn("{task.percentage:.0f} %"), TextColumn("{task.description}"))
        self._bar = Bar(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("", total=1.0)

    def _interrupt(self, signal_number: int, frame: FrameType | None) -> None:
        if self.stopping:
            raise KeyboardInterrupt
        self.stopping = True

    def __enter__(self) -> Reporter:
        self._previous = signal.signal(signal.SIGINT, self._interrupt)
        if self._live:
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        signal.signal(signal.SIGINT, self._previous)
        if self._live:
            self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        text = f"step {progress.step}: {progress.words}, {progress.images_per_second:.0f} images/s"
        if self._live:
            self._bar.update(self._task, completed=progress.fraction, description=text)
        elif time.monotonic() - self._last >= LINE_SECONDS:
            self._last = time.monotonic()
            click.echo(f"{progress.elapsed / 60:.1f} of {self.minutes:g} minutes, {text}", err=True)
        if self.stopping:
            raise StopRequest


def choose_device(name: str) -> torch.device:
    """`cpu`, `cuda`, or the better one that there is for `auto`; InputError where there is no such device."""
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("torch finds no CUDA device: use --device cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def _check_sizes(trainer: Trainer, images: Images) -> None:
    from selfcodec.schedule import padding_multiple

    multiple = padding_multiple(trainer.model.steps)
    for height, width in images.sizes:
        if height % multiple or width % multiple:
            raise InputError(f"training images of {width}×{height} pixels: this model needs multiples of {multiple}")


@click.command()
@click.argument("recipe_name", metavar="RECIPE|NAME")
@folder_option("data", "Root of the data sets, or a folder of images.  [default: $SELFCODEC_DATA]")
@folder_option("output", "Folder of the run.  [default: runs/NAME]", "-o")
@positive_option("minutes", "Time budget.  [default: the recipe's]")
@click.option("--from", "start", metavar="NAME|PATH", help="Start from the weights of this exported model.")
@click.option("--resume", is_flag=True, help="Continue from the folder's checkpoint.")
@click.option("--threads", type=click.IntRange(1), help="Processors to use.")
@click.option("--device", type=click.Choice(["cpu", "cuda", "auto"]), default="auto", show_default=True)
def train(
    recipe_name: str,
    data: Path | None,
    output: Path | None,
    minutes: float | None,
    start: str | None,
    resume: bool,
    threads: int | None,
    device: str,
) -> None:
    """Train a model from a recipe: the name of one in the box, or a .toml file.

    The folder of the run gets checkpoint.pt, log.jsonl, and progress.png with reconstructions and samples. Ctrl-C
    saves and stops; --resume goes on from there.

    \b
    Example:
      selfcodec train photo-further --data archive/ -o runs/archive --minutes 60
    """
    import torch

    from selfcodec.models.checkpoint import CHECKPOINT
    from selfcodec.models.image_sets import training_sets
    from selfcodec.models.pictures import write_progress
    from selfcodec.models.recipe import load_recipe
    from selfcodec.models.train import LOG, Trainer

    recipe = load_recipe(recipe_name)
    if start is not None:
        recipe = replace(recipe, train=replace(recipe.train, start=start))
    out = output or Path("runs") / recipe.name
    if (out / CHECKPOINT).exists() and not resume:
        raise InputError(f"{out / CHECKPOINT}: exists; --resume continues it, another -o starts anew")
    if threads is not None:
        torch.set_num_threads(threads)
    trainer = Trainer(recipe, out, choose_device(device), minutes, resume=resume)
    images, held_out = training_sets(recipe, data, trainer.device)
    _check_sizes(trainer, images)
    out.mkdir(parents=True, exist_ok=True)

    def picture() -> None:
        write_progress(out / PICTURE, trainer.objective, trainer.ema, held_out)

    try:
        with Reporter(trainer.budget / 60) as reporter:
            trainer.run(images, held_out, reporter, on_log=picture)
    except StopRequest:
        trainer.save()
        complain(f"stopped after {trainer.step} steps and saved; --resume continues", "interrupted")
        click.get_current_context().exit(INTERRUPTED)
    last = json.loads((out / LOG).read_text(encoding="utf-8").splitlines()[-1])
    unit = trainer.objective.unit
    click.echo(f"{out}: {last['step']} steps, {last['minutes']} minutes, {last[unit]} {unit} on held-out images")
