"""Training within a budget: warm-up and cosine decay, EMA, clipping, resumable checkpoints."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from selfcodec.errors import InputError, ModelError, warn_of
from selfcodec.models import draws
from selfcodec.models.budget import BUDGETS, Budget, Minutes, in_last
from selfcodec.models.calibration import calibrate
from selfcodec.models.checkpoint import CHECKPOINT, read_checkpoint, taking, write_checkpoint
from selfcodec.models.computing import compiled, has_bfloat16, keep_float32
from selfcodec.models.config import Recipe
from selfcodec.models.data import Images, Place
from selfcodec.models.distributed import Alone
from selfcodec.models.objectives.choice import build_objective
from selfcodec.models.objectives.objective import Terms
from selfcodec.models.optimizers import build_optimizer
from selfcodec.models.progress import Progress, RunningMeans
from selfcodec.models.recipe import parse_recipe_dict
from selfcodec.models.selfvae import SelfVAE
from selfcodec.models.spikes import Spikes
from selfcodec.models.starting import take_weights
from selfcodec.zoo import find_model

LOG = "log.jsonl"
ALONE = Alone()


def differing_keys(before: dict[str, Any], after: dict[str, Any], name: str = "") -> list[str]:
    """The keys of a recipe's table that have other values than before, but for its time; with their tables' names."""
    found = []
    for key in dict.fromkeys([*before, *after]):
        old, new, own = before.get(key), after.get(key), f"{name}.{key}".lstrip(".")
        if isinstance(old, dict) and isinstance(new, dict):
            found += differing_keys(old, new, own)
        elif old != new and own != "train.minutes":
            found.append(own)
    return found


class Trainer:
    """One training run in one folder: `checkpoint.pt`, `log.jsonl`, pictures.

    Args:
        recipe: what is trained, and how.
        out: the folder.
        device: where.
        budget: how long; None for that of the run that goes on, if it was given one, and else for the recipe's minutes.
        resume: go on from the folder's checkpoint, which also says where the run started.
        processes: that train together, each with its rows of every batch.
        compile: whether steps are compiled, but for those that round, whose weights choose what is computed.

    Raises:
        InputError: batches do not divide among the processes, or nothing can be compiled.
        ModelError: the checkpoint is of another model or optimizer.
    """

    def __init__(
        self,
        recipe: Recipe,
        out: Path,
        device: torch.device,
        budget: Budget | None = None,
        *,
        resume: bool = False,
        processes: Alone = ALONE,
        compile: bool = False,
    ) -> None:
        for size in recipe.train.batches:
            processes.share.check(size)
        self.recipe, self.out, self.device, self.processes = recipe, out, device, processes
        self._given = budget
        torch.manual_seed(recipe.train.seed)
        keep_float32()
        self.model = SelfVAE(recipe.model).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = copy.deepcopy(self.model).requires_grad_(False)
        self._weights, self._averages = list(self.model.parameters()), list(self.ema.parameters())
        if recipe.train.networks == "pixels":
            if not recipe.train.start and not resume:
                raise InputError(
                    f"recipe {recipe.name}: to train the pixels' networks alone, start from a model (--from)"
                )
            self.model.requires_grad_(False)
            for net in self.model.pixel_networks():
                net.requires_grad_(True)
        self._fast = compiled(self.model, device) if compile else self.model
        self.optimizer = build_optimizer(recipe.train.optimizer, self.model)
        self.objective = build_objective(recipe.train.objective)
        self.generator = torch.Generator().manual_seed(recipe.train.seed)
        self.place = Place()
        self.step = 0
        self.elapsed = 0.0
        self._means = RunningMeans()
        self._spikes = Spikes()
        self.budget: Budget = budget or Minutes(recipe.train.minutes)
        if resume:
            self.load()
        elif recipe.train.start:
            take_weights(self.model, find_model(recipe.train.start))
            self.ema.load_state_dict(self.model.state_dict())

    @property
    def fraction(self) -> float:
        return self.budget.fraction(self.step, self.elapsed)

    @property
    def quantised(self) -> bool:
        """Whether networks round as the exported ones will."""
        return bool(next(self.model.graphs())[1].formats)

    def learning_rate(self) -> float:
        """The step's: a linear rise, then half a cosine over the budget, down to `final_rate` of the recipe's."""
        t = self.recipe.train.optimizer
        warm = min(1.0, (self.step + 1) / max(1, t.warmup))
        return (
            t.learning_rate * warm * (t.final_rate + (1 - t.final_rate) * 0.5 * (1 + math.cos(math.pi * self.fraction)))
        )

    # Checkpoints.

    def save(self) -> None:
        """Writes the checkpoint: all that the next step depends on."""
        if not self.processes.first:
            return
        state = {
            "recipe": asdict(self.recipe),
            "step": self.step,
            "elapsed": self.elapsed,
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "formats": {name: net.formats for name, net in self.ema.graphs()},
            "generator": self.generator.get_state(),
            "run": {
                "budget": self._given and {"unit": self._given.unit, "amount": self._given.amount},
                "random": draws.random_state(self.device),
                "place": asdict(self.place),
                "usual_norm": self._spikes.usual,
                "means": self._means.figures,
            },
        }
        self.out.mkdir(parents=True, exist_ok=True)
        write_checkpoint(self.out / CHECKPOINT, state)

    def load(self) -> None:
        """Continues from this folder's checkpoint; ModelError where it is of another model or optimizer, or damaged."""
        path = self.out / CHECKPOINT
        state = read_checkpoint(path)
        theirs, ours = parse_recipe_dict(state["recipe"], str(path)), self.recipe
        if (theirs.model, theirs.train.optimizer.kind) != (ours.model, ours.train.optimizer.kind):
            raise ModelError(f"{path}: was trained with another recipe; use another output folder")
        self.recipe = replace(ours, train=replace(ours.train, start=theirs.train.start))  # it was so
        if others := differing_keys(asdict(theirs), asdict(self.recipe)):
            warn_of([f"goes on with another {', '.join(others)} than before"], str(path))
        self.step, self.elapsed = state["step"], state["elapsed"]
        with taking(path):
            self.model.load_state_dict(state["model"])
            self.ema.load_state_dict(state["ema"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.generator.set_state(state["generator"].cpu())
            self._set_formats(state["formats"])
            if "run" in state:  # which older checkpoints have not
                self._go_on(**state["run"])

    def _go_on(
        self,
        budget: dict[str, Any] | None,
        random: dict[str, Tensor],
        place: dict[str, Any],
        usual_norm: float | None,
        means: dict[str, float],
    ) -> None:
        if budget and self._given is None:
            self._given = self.budget = BUDGETS[budget["unit"]](budget["amount"])
        draws.restore(random, self.device)
        self.place, self._spikes, self._means = Place(**place), Spikes(usual_norm), RunningMeans(means)

    def _set_formats(self, formats: dict[str, dict[str, int]]) -> None:
        for model in (self.model, self.ema):
            for name, net in model.graphs():
                net.formats = dict(formats[name])

    # Steps.

    def _initialise(self, images: Images) -> None:
        """Initialisation that depends on data, unless training starts from another model's weights."""
        if self.recipe.train.start:
            return
        self.objective.initialise(self.model, images, self.recipe.train.batch, self.generator)
        self.ema.load_state_dict(self.model.state_dict())

    def train_step(self, ys: list[Tensor]) -> Terms:
        """One update by this process's rows of a batch; a batch with an unusual gradient is skipped.

        Returns:
            the objective's terms of the whole batch, (B,), on the processor.
        """
        t = self.recipe.train
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        self.optimizer.zero_grad()
        fast = has_bfloat16(self.device) and not self.quantised  # rounding needs all of float32's bits
        with torch.autocast(self.device.type, torch.bfloat16, enabled=fast):
            model = self.model if self.quantised else self._fast
            loss, terms = self.objective.loss(model, ys, self.fraction)
        loss.backward()
        self.processes.average([weight.grad for weight in self._weights if weight.grad is not None])
        norm = torch.nn.utils.clip_grad_norm_(self._weights, t.clip)
        # The one place where the processor waits for a GPU, which then has the update to do while a batch is made.
        found = self.processes.gathered(torch.stack(list(terms.values())).detach()).cpu()
        if self._spikes.passes(float(norm)):
            self.optimizer.step()
        decay = min(t.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self._averages, [weight.detach() for weight in self._weights], 1 - decay)
        self.step += 1
        return dict(zip(terms, found, strict=True))

    def quantise(self, images: Images) -> None:
        """Chooses fixed-point formats from what the averaged model computes, and trains with rounding from now on."""
        calibrate(self.objective, self.ema, images, self.generator, self.recipe.train.batch)
        self._set_formats(self.processes.same({name: net.formats for name, net in self.ema.graphs()}))

    def run(
        self,
        images: Images,
        held_out: Images,
        report: Callable[[Progress], None],
        every: float = 300.0,
        on_log: Callable[[], None] = lambda: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Trains until the budget is spent; saves, evaluates and logs every `every` seconds and at the end.

        Args:
            images, held_out: to train on, and to evaluate on.
            report: called after every step.
            every: seconds.
            on_log: called after every evaluation, by the first process alone.
            stopping: asked after every step whether to save and stop; one process that says so stops all.

        Returns:
            whether the budget is spent.
        """
        t = self.recipe.train
        if self.step == 0:
            self._initialise(images)
        self.processes.take([*self.model.state_dict().values(), *self.ema.state_dict().values()])
        batches = images.random_batches(t.batch, self.generator, lambda: self.fraction, self.place)
        last, logged, seen = time.monotonic(), self.elapsed, 0
        while self.fraction < 1.0:
            if not self.quantised and in_last(t.quantise_share, self.fraction):
                self._save_and_log(held_out, "before rounding", on_log)
                self.quantise(images)
                last = time.monotonic()  # evaluation and calibration are not training time
            with draws.sharing(self.processes.share):
                ys = next(batches)
                terms = self.train_step(ys)
            self._means.take(self.objective.figures(terms, ys))
            now = time.monotonic()
            self.elapsed, stop = self.processes.agreed(self.elapsed + now - last, stopping())
            last, seen = now, seen + len(next(iter(terms.values())))
            report(self._progress(seen, self.elapsed - logged))
            if stop:
                self.save()
                return False
            if self.elapsed - logged >= every:
                self._save_and_log(held_out, "", on_log)
                logged, seen = self.elapsed, 0
                last = time.monotonic()
        if t.quantise_share and not self.quantised:  # one slow step can pass by the whole share
            self.quantise(images)
        self._save_and_log(held_out, "end", on_log)
        return True

    def _progress(self, seen: int, seconds: float) -> Progress:
        """What there is to report, with so many images seen in so many seconds."""
        figures, speed = dict(self._means.figures), seen / seconds if seconds else 0.0
        words = self.objective.words(figures)
        return Progress(self.step, self.elapsed, self.fraction, self.learning_rate(), figures, words, speed)

    def _save_and_log(self, held_out: Images, note: str, on_log: Callable[[], None]) -> None:
        """Saves first: whatever fails afterwards loses no step, and no line is of a step that is computed again."""
        if self.step:  # a run that is resumed before its first step would choose its first weights once more
            self.save()
        if self.processes.first:
            found = self.objective.evaluate(self.ema, held_out)
            line = {
                "step": self.step,
                "minutes": round(self.elapsed / 60, 2),
                "budget": str(self.budget),
                self.objective.unit: round(found.total, 4),
                **found.terms,
                "quantised": self.quantised,
                "note": note,
            }
            self.out.mkdir(parents=True, exist_ok=True)
            with (self.out / LOG).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            on_log()
        self.processes.wait()
