"""selfcodec train."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from selfcodec.cli.device import choose_device
from selfcodec.cli.options import folder_option, positive_option
from selfcodec.cli.output import complain
from selfcodec.errors import InputError, SelfcodecError
from selfcodec.signals import ENDING, Ended, handled

if TYPE_CHECKING:
    from selfcodec.models.budget import Budget
    from selfcodec.models.data import Images
    from selfcodec.models.progress import Progress
    from selfcodec.models.train import Trainer

PICTURE = "progress.png"
LINE_SECONDS = 30.0
"""So many seconds lie between lines where standard error is no terminal."""


class Reporter:
    """Shows every step's progress on standard error, and takes note of signals that ask the process to end.

    Args:
        budget: of the training.
        shown: whether anything is shown: one of several processes speaks for all.

    Attributes:
        stopped_by: the first such signal's number, 0 before.
    """

    def __init__(self, budget: Budget, *, shown: bool = True) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        self.budget = budget
        self.stopped_by = 0
        self._while_shown = ExitStack()
        self._shown = shown
        self._live = shown and sys.stderr.isatty()
        self._last = -LINE_SECONDS
        columns = (BarColumn(), TextColumn("{task.percentage:.0f} %"), TextColumn("{task.description}"))
        self._bar = Bar(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("", total=1.0)

    def _note(self, signal_number: int, frame: FrameType | None) -> None:
        if self.stopped_by:
            raise KeyboardInterrupt if signal_number == signal.SIGINT else Ended(signal_number)
        self.stopped_by = signal_number

    def __enter__(self) -> Reporter:
        self._while_shown.enter_context(handled(ENDING, self._note))
        if self._live:
            self._while_shown.enter_context(self._bar)
        return self

    def __exit__(self, *exception: object) -> None:
        self._while_shown.close()

    def __call__(self, progress: Progress) -> None:
        place = self.budget.words(progress.step, progress.elapsed)
        text = f"{place}: {progress.words}, {progress.images_per_second:.0f} images/s"
        if self._live:
            self._bar.update(self._task, completed=progress.fraction, description=text)
        elif self._shown and time.monotonic() - self._last >= LINE_SECONDS:
            self._last = time.monotonic()
            click.echo(text, err=True)


def _check_sizes(trainer: Trainer, images: Images) -> None:
    from selfcodec.schedule import padding_multiple

    multiple = padding_multiple(trainer.model.steps)
    for height, width in images.sizes:
        if height % multiple or width % multiple:
            raise InputError(f"training images of {width}×{height} pixels: this model needs multiples of {multiple}")


@contextmanager
def one_voice() -> Iterator[None]:
    """Has one of the processes on a machine speak of errors, since all of them meet the same."""
    from selfcodec.models.distributed import place_on_machine

    try:
        yield
    except SelfcodecError:
        if place_on_machine().index:
            click.get_current_context().exit(1)
        raise


def _conclude(trainer: Trainer, *, done: bool) -> None:
    """Says how training ended: with its budget spent, or interrupted."""
    from selfcodec.models.train import LOG

    if not done:
        complain(f"stopped after {trainer.step} steps and saved; --resume continues", "interrupted")
        return
    last = json.loads((trainer.out / LOG).read_text(encoding="utf-8").splitlines()[-1])
    unit = trainer.objective.unit
    words = f"{last['step']} steps, {last['minutes']} minutes, {last[unit]} {unit} on held-out images"
    click.echo(f"{trainer.out}: {words}")


@click.command()
@click.argument("recipe_name", metavar="RECIPE|NAME")
@folder_option("data", "Root of the data sets, or a folder of images.  [default: $SELFCODEC_DATA]")
@folder_option("output", "Folder of the run.  [default: runs/NAME]", "-o")
@positive_option("minutes", "Time budget.  [default: the recipe's]")
@click.option("--steps", type=click.IntRange(1), help="Budget in steps instead of time: the same work everywhere.")
@click.option("--from", "start", metavar="NAME|PATH", help="Start from the weights of this exported model.")
@click.option("--resume", is_flag=True, help="Continue from the folder's checkpoint.")
@click.option("--threads", type=click.IntRange(1), help="Processors to use.")
@click.option("--device", type=click.Choice(["cpu", "cuda", "auto"]), default="auto", show_default=True)
@click.option("--compile", is_flag=True, help="Compile the model first, which takes minutes; steps are then faster.")
def train(
    recipe_name: str,
    data: Path | None,
    output: Path | None,
    minutes: float | None,
    steps: int | None,
    start: str | None,
    resume: bool,
    threads: int | None,
    device: str,
    compile: bool,
) -> None:
    """Train a model from a recipe: the name of one in the box, or a .toml file.

    The folder of the run gets checkpoint.pt, log.jsonl, and progress.png with reconstructions and samples. Ctrl-C
    and SIGTERM save and stop; --resume goes on from there. Several processes, as torchrun starts them, share every
    batch.

    \b
    Example:
      selfcodec train photo-further --data archive/ -o runs/archive --minutes 60
      torchrun --nproc-per-node 8 -m selfcodec train celeba-downscale3-paper --steps 200000
    """
    import torch

    from selfcodec.models.budget import Minutes, Steps
    from selfcodec.models.checkpoint import CHECKPOINT
    from selfcodec.models.distributed import joined
    from selfcodec.models.image_sets import of_folder, training_sets
    from selfcodec.models.pictures import write_progress
    from selfcodec.models.recipe import load_recipe
    from selfcodec.models.train import Trainer

    given: list[Budget] = [kind(amount) for kind, amount in ((Minutes, minutes), (Steps, steps)) if amount is not None]
    if len(given) > 1:
        raise click.UsageError("--minutes and --steps are two budgets: give one.")
    with one_voice(), joined() as processes:
        recipe = of_folder(load_recipe(recipe_name), data)
        if start is not None:
            recipe = replace(recipe, train=replace(recipe.train, start=start))
        out = output or Path("runs") / recipe.name
        if (out / CHECKPOINT).exists() and not resume:
            raise InputError(f"{out / CHECKPOINT}: exists; --resume continues it, another -o starts anew")
        if threads is not None:
            torch.set_num_threads(threads)
        budget = next(iter(given), None)
        trainer = Trainer(
            recipe, out, choose_device(device), budget, resume=resume, processes=processes, compile=compile
        )
        images, held_out = training_sets(recipe, data, trainer.device)
        _check_sizes(trainer, images)
        out.mkdir(parents=True, exist_ok=True)

        def picture() -> None:
            write_progress(out / PICTURE, trainer.objective, trainer.ema, held_out)

        with Reporter(trainer.budget, shown=processes.first) as reporter:
            done = trainer.run(images, held_out, reporter, on_log=picture, stopping=lambda: bool(reporter.stopped_by))
    if processes.first:
        _conclude(trainer, done=done)
    if not done:
        told = reporter.stopped_by or signal.SIGTERM  # as another one of the processes was, where this one was not
        click.get_current_context().exit(128 + told)
