"""Training within a time budget: warm-up and cosine decay, EMA, clipping, resumable checkpoints."""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from selfcodec.errors import InputError, ModelError
from selfcodec.models.checkpoint import CHECKPOINT, read_checkpoint
from selfcodec.models.config import Recipe
from selfcodec.models.data import Images
from selfcodec.models.objectives.choice import build_objective
from selfcodec.models.objectives.objective import Objective, Terms
from selfcodec.models.optimizers import build_optimizer
from selfcodec.models.recipe import parse_recipe_dict
from selfcodec.models.selfvae import SelfVAE
from selfcodec.models.starting import take_weights
from selfcodec.zoo import find_model

LOG = "log.jsonl"
CALIBRATION_BATCHES = 20
SPIKE = 8.0
"""A gradient more than this many times as long as usual is not followed."""


@dataclass
class Progress:
    """What a training run reports.

    Attributes:
        figures: of the objective, averaged over recent batches.
        words: the same in one short line.
    """

    step: int
    elapsed: float
    fraction: float
    learning_rate: float
    figures: dict[str, float]
    words: str
    images_per_second: float


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 matrices in hardware; two CPU cores that do train 1.8 times as fast."""
    if device.type == "cpu":
        able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older versions of PyTorch do not tell
        return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    return device.type == "cuda"


class Trainer:
    """One training run in one folder: `checkpoint.pt`, `log.jsonl`, pictures.

    Args:
        recipe: what is trained, and how.
        out: the folder.
        device: where.
        minutes: time budget; None for the recipe's.
        resume: go on from the folder's checkpoint.
    """

    def __init__(
        self, recipe: Recipe, out: Path, device: torch.device, minutes: float | None = None, *, resume: bool = False
    ) -> None:
        self.recipe, self.out, self.device = recipe, out, device
        self.budget = 60 * (recipe.train.minutes if minutes is None else minutes)
        torch.manual_seed(recipe.train.seed)
        torch.backends.cudnn.allow_tf32 = False
        self.model = SelfVAE(recipe.model).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = copy.deepcopy(self.model).requires_grad_(False)
        if recipe.train.networks == "pixels":
            if not recipe.train.start:
                raise InputError(
                    f"recipe {recipe.name}: to train the pixels' networks alone, start from a model (--from)"
                )
            self.model.requires_grad_(False)
            for net in self.model.pixel_networks():
                net.requires_grad_(True)
        self.optimizer = build_optimizer(recipe.train.optimizer, self.model)
        self.objective = build_objective(recipe.train.objective)
        self.generator = torch.Generator().manual_seed(recipe.train.seed)
        self.step = 0
        self.elapsed = 0.0
        if resume:
            self.load()
        elif recipe.train.start:
            take_weights(self.model, find_model(recipe.train.start))
            self.ema.load_state_dict(self.model.state_dict())
        self._on_log: Callable[[], None] | None = None
        self._usual_norm: float | None = None

    @property
    def fraction(self) -> float:
        return min(1.0, self.elapsed / self.budget)

    @property
    def quantised(self) -> bool:
        return bool(next(self.model.graphs())[1].formats)

    def learning_rate(self) -> float:
        t = self.recipe.train.optimizer
        warm = min(1.0, (self.step + 1) / max(1, t.warmup))
        return (
            t.learning_rate * warm * (t.final_rate + (1 - t.final_rate) * 0.5 * (1 + math.cos(math.pi * self.fraction)))
        )

    # Checkpoints.

    def save(self) -> None:
        """Writes the checkpoint beside the old one and then replaces it, so that one whole file always exists."""
        state = {
            "recipe": asdict(self.recipe),
            "step": self.step,
            "elapsed": self.elapsed,
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "formats": {name: net.formats for name, net in self.ema.graphs()},
            "generator": self.generator.get_state(),
        }
        self.out.mkdir(parents=True, exist_ok=True)
        temporary = self.out / (CHECKPOINT + ".part")
        torch.save(state, temporary)
        os.replace(temporary, self.out / CHECKPOINT)

    def load(self) -> None:
        """Continues from this folder's checkpoint; ModelError where it is of another model or optimizer."""
        state = read_checkpoint(self.out / CHECKPOINT)
        theirs, ours = parse_recipe_dict(state["recipe"], str(self.out / CHECKPOINT)), self.recipe
        if (theirs.model, theirs.train.optimizer.kind) != (ours.model, ours.train.optimizer.kind):
            raise ModelError(f"{self.out / CHECKPOINT}: was trained with another recipe; use another output folder")
        self.model.load_state_dict(state["model"])
        self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"].cpu())
        self.step, self.elapsed = state["step"], state["elapsed"]
        self._set_formats(state["formats"])

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

    def _is_usual(self, norm: float) -> bool:
        """Whether a gradient of that norm is finite and at most SPIKE times as long as those before it.

        One batch, of an image that a latent's prior finds impossible, can undo hours (Child 2021,
        https://arxiv.org/abs/2011.10650, skips by a fixed norm).
        """
        if not math.isfinite(norm):
            return False
        most = SPIKE * (self._usual_norm or norm)
        self._usual_norm = 0.98 * (self._usual_norm or norm) + 0.02 * min(norm, most)
        return norm <= most

    def train_step(self, ys: list[Tensor]) -> Terms:
        """One update; returns the objective's terms, (B,). A batch with an unusual gradient is skipped."""
        t = self.recipe.train
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        fast = has_bfloat16(self.device) and not self.quantised  # rounding needs all of float32's bits
        with torch.autocast(self.device.type, torch.bfloat16, enabled=fast):
            loss, terms = self.objective.loss(self.model, ys, self.fraction)
        self.optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), t.clip)
        if self._is_usual(float(norm)):
            self.optimizer.step()
        decay = min(t.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for average, parameter in zip(self.ema.parameters(), self.model.parameters(), strict=True):
                average.lerp_(parameter, 1 - decay)
        self.step += 1
        return terms

    def quantise(self, images: Images) -> None:
        """Chooses fixed-point formats from what the averaged model computes, and trains with rounding from now on."""
        calibrate(self.objective, self.ema, images, self.generator, self.recipe.train.batch)
        self._set_formats({name: net.formats for name, net in self.ema.graphs()})

    def run(
        self,
        images: Images,
        held_out: Images,
        report: Callable[[Progress], None],
        every: float = 300.0,
        on_log: Callable[[], None] | None = None,
    ) -> None:
        """Trains until the budget is spent; saves, evaluates and logs every `every` seconds and at the end.

        Args:
            images, held_out: to train on, and to evaluate on.
            report: called after every step.
            every: seconds.
            on_log: called after every evaluation.
        """
        self._on_log = on_log
        t = self.recipe.train
        if self.step == 0:
            self._initialise(images)
        batches = images.random_batches(t.batch, self.generator, lambda: self.fraction)
        last, since_eval, seen = time.monotonic(), 0.0, 0
        smooth: dict[str, float] = {}
        while self.fraction < 1.0:
            if not self.quantised and self.fraction >= 1 - t.quantise_share:
                self._log(held_out, "before rounding")
                self.quantise(images)
                last = time.monotonic()  # evaluation and calibration are not training time
            ys = next(batches)
            for name, figure in self.objective.figures(self.train_step(ys), ys).items():
                if math.isfinite(figure):  # a batch that was skipped may have no rate
                    smooth[name] = figure if name not in smooth else 0.98 * smooth[name] + 0.02 * figure
            now = time.monotonic()
            self.elapsed, since_eval, seen = self.elapsed + now - last, since_eval + now - last, seen + len(ys[0])
            last = now
            speed = seen / since_eval if since_eval else 0.0
            words = self.objective.words(smooth)
            report(Progress(self.step, self.elapsed, self.fraction, self.learning_rate(), dict(smooth), words, speed))
            if since_eval >= every:
                self._log(held_out, "")
                self.save()
                since_eval, seen = 0.0, 0
                last = time.monotonic()
        if t.quantise_share and not self.quantised:  # one slow step can pass by the whole share
            self.quantise(images)
        self._log(held_out, "end")
        self.save()

    def _log(self, held_out: Images, note: str) -> None:
        found = self.objective.evaluate(self.ema, held_out)
        line = {
            "step": self.step,
            "minutes": round(self.elapsed / 60, 2),
            self.objective.unit: round(found.total, 4),
            **found.terms,
            "quantised": self.quantised,
            "note": note,
        }
        self.out.mkdir(parents=True, exist_ok=True)
        with (self.out / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if self._on_log is not None:
            self._on_log()


def calibrate(objective: Objective, model: SelfVAE, images: Images, generator: torch.Generator, batch: int) -> None:
    """Sets every network's fixed-point formats from the magnitudes seen on some batches."""
    nets = [net for _, net in model.graphs()]
    for net in nets:
        net.observe(True)
    stream = images.random_batches(min(batch, len(images)), generator)
    for _ in range(CALIBRATION_BATCHES):
        objective.exercise(model, next(stream))
    for net in nets:
        net.observe(False)
        net.calibrate(objective.clamp_weight)


def rounding_loss(objective: Objective, model: SelfVAE, images: Images) -> tuple[float, float]:
    """The objective in floating point, and in the integers of the exported networks."""
    rounded = objective.evaluate(model, images).total
    formats = {name: net.formats for name, net in model.graphs()}
    for _, net in model.graphs():
        net.formats = {}
    try:
        return objective.evaluate(model, images).total, rounded
    finally:
        for name, net in model.graphs():
            net.formats = formats[name]
