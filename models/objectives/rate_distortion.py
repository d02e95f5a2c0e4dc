"""Rate and distortion together, for models that are lossy only: rate + lambda * squared error, for every lambda."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from selfcodec.errors import InputError
from selfcodec.fidelity import decibels
from selfcodec.models import draws
from selfcodec.models.block_transform import start_as_block_transform
from selfcodec.models.budget import in_last
from selfcodec.models.data import Images, by_name
from selfcodec.models.likelihoods.likelihood import Rounding
from selfcodec.models.likelihoods.quality import PLANE_FRACTION, planes_of
from selfcodec.models.objectives.objective import Evaluation, Terms
from selfcodec.models.selfvae import SelfVAE, Transmission
from selfcodec.models.training_config import RateDistortionObjectiveConfig
from selfcodec.modes import MAX_QUALITY

CLAMP_WEIGHT = 0.6
"""Squared errors by clamping count almost as much as those by rounding: a picture shows either, and the smooth groups'
predictions are spoilt by either (docs/decisions/0008-lossy-photographs.md)."""
POINTS = 5
"""Models are evaluated at so many lambdas, from the lowest to the highest."""
SHOWN = (1, 50, 100)
"""Pictures of a training run show these qualities."""
MEASURED_BATCHES = 20
"""Errors of pictures are measured on so many batches."""


class RateDistortionObjective:
    """R_z + lambda D_x for every image, weighted by lambda**-exponent; and R_u and the D_y, whatever lambda.

    Rates R are of noisy latents, in bits for each pixel of x (bpp); distortions D of pictures that are made of rounded
    ones, mean squared errors of grey levels. In a last share of the time latents are those that encoders send, who
    weigh bits against errors, and what decoders need alone gets used to them. One model serves all rates (Duan et al.
    2023, https://arxiv.org/abs/2302.08899, draw lambda for each image). Its terms are, for each image, latents' rates
    in bpp and pictures' squared errors, by variable.
    """

    unit = "J"
    clamp_weight = CLAMP_WEIGHT

    def __init__(self, config: RateDistortionObjectiveConfig) -> None:
        self.config = config

    def log_lambdas(self, count: int, device: torch.device) -> Tensor:
        """log lambda of a batch's images, (count,): uniform, and every part of the range has its share of the batch."""
        low, high = math.log(self.config.lambda_low), math.log(self.config.lambda_high)
        n = draws.whole(count)
        place = (torch.rand(n, device=device) + torch.arange(n, device=device)) / n
        return draws.rows(place) * (high - low) + low

    @property
    def _log_lambdas_by_quality(self) -> Tensor:
        first, last = math.log(self.config.first_lambda), math.log(self.config.last_lambda)
        return first + torch.arange(MAX_QUALITY) / (MAX_QUALITY - 1) * (last - first)

    @property
    def planes(self) -> tuple[int, ...]:
        values = planes_of(self._log_lambdas_by_quality)[:, 0, 0, 0]
        return tuple(torch.floor(values.double() * 2**PLANE_FRACTION + 0.5).long().tolist())

    @staticmethod
    def terms(sent: Transmission, ys: list[Tensor]) -> Terms:
        """Rates in bpp and mean squared errors, (B,), by variable."""
        pixels = ys[0].shape[2] * ys[0].shape[3]
        truths = by_name(ys)
        rates = {name: rate / (pixels * math.log(2)) for name, rate in sent.rates.items()}
        errors = {name: (truths[name] - shown).square().mean((1, 2, 3)) for name, shown in sent.pictures.items()}
        return rates | errors

    def weighted(self, terms: Terms, log_lambda: Tensor) -> Tensor:
        """The loss of every image, (B,)."""
        c, weight = self.config, torch.exp(log_lambda)
        loss = c.weight * weight**-c.exponent * weight * terms["x"]
        for name, term in terms.items():
            if name == "u":
                loss = loss + c.top_weight * term
            elif name.startswith("z"):
                loss = loss + c.weight * weight**-c.exponent * term
            elif name != "x":
                loss = loss + c.thumbnail_weight * term
        return loss

    def loss(self, model: SelfVAE, ys: list[Tensor], fraction: float) -> tuple[Tensor, Terms]:
        log_lambda = self.log_lambdas(len(ys[0]), ys[0].device)
        rounding = Rounding.THRIFTY if in_last(self.config.thrifty_share, fraction) else Rounding.NOISY
        terms = self.terms(model.transmit(ys, planes_of(log_lambda), rounding), ys)
        return self.weighted(terms, log_lambda).mean(), {name: term.detach() for name, term in terms.items()}

    def figures(self, terms: Terms, ys: list[Tensor]) -> dict[str, float]:
        """Latents' rates in bpp, pictures' PSNR in dB."""
        return {name: self._figure(name, float(term.mean())) for name, term in terms.items()}

    @staticmethod
    def _figure(name: str, mean: float) -> float:
        return mean if name[0] in "uz" else decibels(mean)

    def words(self, figures: dict[str, float]) -> str:
        rates = {name: value for name, value in figures.items() if name[0] in "uz"}
        shown = ", ".join(f"{name} {value:.2f} dB" for name, value in figures.items() if name not in rates)
        terms = " ".join(f"{name} {value:.3f}" for name, value in rates.items())
        return f"{sum(rates.values()):.3f} bpp ({terms}), {shown}"

    @torch.no_grad()
    def evaluate(self, model: SelfVAE, images: Images) -> Evaluation:
        """At POINTS lambdas, as files would have it: of rounded latents, and x rounded to grey levels."""
        c, points, totals = self.config, [], []
        means: dict[str, float] = {}
        low, high = math.log(c.lambda_low), math.log(c.lambda_high)
        for log_lambda in torch.linspace(low, high, POINTS).tolist():
            found: list[Terms] = []
            for ys in images.batches(8):
                of_each = torch.full((len(ys[0]),), log_lambda, device=ys[0].device)
                sent = model.transmit(ys, planes_of(of_each), Rounding.THRIFTY)
                shown = {name: picture.round().clamp(0, 255) for name, picture in sent.pictures.items()}
                terms = self.terms(Transmission(sent.rates, shown), ys)
                found.append(terms | {"J": self.weighted(terms, of_each)})
            mean = {name: float(torch.cat([terms[name] for terms in found]).mean()) for name in found[0]}
            totals.append(mean.pop("J"))
            rate = sum(value for name, value in mean.items() if name[0] in "uz")
            points.append({"lambda": math.exp(log_lambda), "bpp": rate, "psnr": decibels(mean["x"])})
            for name, value in mean.items():
                means[name] = means.get(name, 0.0) + value / POINTS
        terms_logged = {name: round(self._figure(name, value), 4) for name, value in means.items()}
        rounded = [{key: round(value, 5) for key, value in point.items()} for point in points]
        return Evaluation(sum(totals) / POINTS, {"terms": terms_logged, "points": rounded})

    def initialise(self, model: SelfVAE, images: Images, batch: int, generator: torch.Generator) -> None:
        """As a block transform, see `selfcodec.models.block_transform`."""
        start_as_block_transform(model, images.random_batches(batch, generator, lambda: 0.0))

    @torch.no_grad()
    def exercise(self, model: SelfVAE, ys: list[Tensor]) -> None:
        model.transmit(ys, planes_of(self.log_lambdas(len(ys[0]), ys[0].device)), Rounding.THRIFTY)

    @torch.no_grad()
    def errors(self, model: SelfVAE, images: Images | None, batch: int) -> dict[str, Tensor]:
        if images is None:
            raise InputError("how far the model's pictures are from the truth is measured on images: give --data")
        found: dict[str, list[Tensor]] = {}
        batches = images.random_batches(min(batch, len(images)), torch.Generator().manual_seed(0))
        for _ in range(MEASURED_BATCHES):
            ys = next(batches)
            truths = by_name(ys)
            sent = model.transmit(ys, planes_of(self.log_lambdas(len(ys[0]), ys[0].device)), Rounding.THRIFTY)
            for name, picture in sent.pictures.items():
                found.setdefault(name, []).append((truths[name] - picture).abs().mean((0, 2, 3)))
        return {name: torch.stack(errors).mean(0) for name, errors in found.items()}

    @torch.no_grad()
    def shown(self, model: SelfVAE, ys: list[Tensor]) -> dict[str, Tensor]:
        """Pictures at some qualities."""
        out = {}
        for quality in SHOWN:
            log_lambda = self._log_lambdas_by_quality[quality - 1].expand(len(ys[0])).to(ys[0].device)
            out[f"-q {quality}"] = model.transmit(ys, planes_of(log_lambda), Rounding.THRIFTY).pictures["x"]
        return out
