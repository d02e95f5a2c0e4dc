"""The negative evidence lower bound, for models that code every variable."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from selfcodec.models.data import Images
from selfcodec.models.draws import seeded
from selfcodec.models.evaluation import bits_per_dim, evaluate
from selfcodec.models.formats import CLAMP_WEIGHT
from selfcodec.models.likelihoods.likelihood import Withheld
from selfcodec.models.objectives.objective import Evaluation, Terms
from selfcodec.models.selfvae import SelfVAE
from selfcodec.models.training_config import LikelihoodObjectiveConfig
from selfcodec.modes import LOSSY_MODES, default_level, has_level, sent_variables


@torch.no_grad()
def reconstructions(model: SelfVAE, ys: list[Tensor]) -> dict[str, Tensor]:
    """What the decoder makes of images in every lossy mode that the model has, before latents are rounded to grids.

    Args:
        ys: [x, y_1, ..., y_K], each (B, C, H, W).

    Returns:
        by mode (B, 3, H, W), grey levels, from the smallest file to the largest.
    """
    inferred, levels = model.infer(ys), model.shape.levels
    batch, _, height, width = ys[0].shape
    out = {}
    for mode in LOSSY_MODES:
        if has_level(mode) and not levels:
            continue
        known = {name: inferred[name] for name in sent_variables(mode, levels, default_level(mode, levels))}
        out[str(mode)] = model.generate((height, width), known, draw=False, batch=batch)["x"]
    return out


class LikelihoodObjective:
    """The negative evidence lower bound (paper eq. 11, 23), with weights for latents and for withheld images.

    Its terms are rates (B,) in nats, for each variable in schedule order.
    """

    unit = "bpd"
    clamp_weight = CLAMP_WEIGHT
    planes: tuple[int, ...] = ()

    def __init__(self, config: LikelihoodObjectiveConfig) -> None:
        self.config = config

    def latent_weight(self, fraction: float) -> float:
        """The weight of the latents' rates once that share of the time is over."""
        c = self.config
        missing = max(0.0, 1 - fraction / c.latent_warmup) if c.latent_warmup else 0.0
        return c.latent_weight * 100.0**-missing

    def weighted(self, model: SelfVAE, rates: dict[str, Tensor], withheld: Withheld, fraction: float) -> Tensor:
        """The loss in nats an image from the rates (B,) in nats."""
        weight = torch.where(withheld.context, self.config.free_weight, 1.0)
        latents = {step.name for step in model.steps if step.target.kind == "latent"}
        terms = [
            (self.latent_weight(fraction) if name in latents else weight) * rate  # (B,)
            for name, rate in rates.items()
        ]
        return torch.stack([term.mean() for term in terms]).sum()

    def loss(self, model: SelfVAE, ys: list[Tensor], fraction: float) -> tuple[Tensor, Terms]:
        """See `Objective`; draws the images from which something is withheld."""
        c = self.config
        withheld = Withheld.draw(len(ys[0]), ys[0].device, c.free_share, c.generated_share, c.rounded_share)
        rates: dict[str, Tensor] = model(ys, withheld)
        return self.weighted(model, rates, withheld, fraction) / (ys[0][0].numel() * math.log(2)), rates

    def figures(self, terms: Terms, ys: list[Tensor]) -> dict[str, float]:
        """Rates in bits per dimension of x."""
        return bits_per_dim(terms, ys[0][0].numel())

    def words(self, figures: dict[str, float]) -> str:
        terms = " ".join(f"{name} {rate:.3f}" for name, rate in figures.items())
        return f"{sum(figures.values()):.3f} bpd ({terms})"

    def evaluate(self, model: SelfVAE, images: Images) -> Evaluation:
        rates = evaluate(model, images)
        return Evaluation(sum(rates.values()), {"rates": {name: round(rate, 4) for name, rate in rates.items()}})

    @torch.no_grad()
    def initialise(self, model: SelfVAE, images: Images, batch: int, generator: torch.Generator) -> None:
        """Data-dependent initialisation from one batch, for networks with weight norm."""
        nets = [net for _, net in model.graphs()]
        for net in nets:
            net.initialising(True)
        ys = images.batch(torch.randperm(len(images))[:batch])
        model(ys, Withheld.nothing(len(ys[0]), ys[0].device))
        for net in nets:
            net.initialising(False)

    @torch.no_grad()
    def exercise(self, model: SelfVAE, ys: list[Tensor]) -> None:
        model(ys, Withheld.draw(len(ys[0]), ys[0].device, 0.5, 0.5, 0.0))

    def errors(self, model: SelfVAE, images: Images | None, batch: int) -> dict[str, Tensor]:
        """None, since every variable has a likelihood."""
        return {}

    @torch.no_grad()
    def shown(self, model: SelfVAE, ys: list[Tensor]) -> dict[str, Tensor]:
        """Reconstructions by mode, and samples."""
        count, _, height, width = ys[0].shape
        with seeded(0, ys[0].device):
            samples = model.generate((height, width), {}, draw=True, batch=count)["x"]
        return {**reconstructions(model, ys), "sample": samples}
