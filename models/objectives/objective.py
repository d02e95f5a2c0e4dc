"""What a trainer needs to know of an objective."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from selfcodec.models.data import Images
from selfcodec.models.selfvae import SelfVAE

Terms = dict[str, Tensor]
"""By variable what an objective is made of, (B,)."""


@dataclass(frozen=True)
class Evaluation:
    """What an objective is on a data set.

    Attributes:
        total: what is minimised, in the objective's unit.
        terms: what it is made of, as the log shows it.
    """

    total: float
    terms: dict[str, Any]


class Objective(Protocol):
    """What training minimises, and what it reports.

    Attributes:
        unit: of what is minimised; the log has it under this key.
        clamp_weight: what errors by clamping count where networks' formats are chosen, see `models.formats`.
        planes: the qualities 1..100 as the exported model's networks see them, in 2**-6; none where they see none.
    """

    unit: str
    clamp_weight: float

    @property
    def planes(self) -> tuple[int, ...]: ...

    def loss(self, model: SelfVAE, ys: list[Tensor], fraction: float) -> tuple[Tensor, Terms]:
        """The loss of a batch.

        Args:
            model: the model in training.
            ys: [x, y_1, ..., y_K], each (B, C, H, W), float tensors of integers 0..255.
            fraction: how much of the training's time is over, from 0 to 1.

        Returns:
            the loss, a scalar; and its terms, to report.
        """

    def figures(self, terms: Terms, ys: list[Tensor]) -> dict[str, float]:
        """A batch's terms as means for people."""

    def words(self, figures: dict[str, float]) -> str:
        """Figures in one short line."""

    def evaluate(self, model: SelfVAE, images: Images) -> Evaluation:
        """The objective on a data set; always with the same random numbers."""

    def initialise(self, model: SelfVAE, images: Images, batch: int, generator: torch.Generator) -> None:
        """Sets weights that depend on data, before the first step; `batch` images a step."""

    def exercise(self, model: SelfVAE, ys: list[Tensor]) -> None:
        """Runs every network on what training gives it, for those that are observed (`FloatGraph.observe`)."""

    def errors(self, model: SelfVAE, images: Images | None, batch: int) -> dict[str, Tensor]:
        """Mean absolute errors by channel, (C,), in grey levels, of the pictures of variables that are never coded.

        Raises:
            InputError: images are needed and None.
        """

    def shown(self, model: SelfVAE, ys: list[Tensor]) -> dict[str, Tensor]:
        """What decoders make of images, by label (B, 3, H, W) in grey levels."""
