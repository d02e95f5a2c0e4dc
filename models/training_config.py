"""What recipes say of training: data, time, optimizer and objective.

As in `selfcodec.models.config`, every class is a table, and every attribute a key of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from selfcodec.errors import InputError
from selfcodec.models.parsing import Count, Positive, Range, Share, Size, Weight

EPSILON = 1e-5
"""Adam and AdaMax have this epsilon, far below the gradients of what matters. With their usual 1e-8, networks of a
latent that carries nothing, whose gradients are noise of 1e-6, would walk at random in steps of full length, until the
latent explodes."""


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """[train.optimizer], keys of every kind: the learning rate over time.

    Attributes:
        learning_rate: the peak.
        final_rate: what is left of it in the end, as a share; a half cosine leads there.
        warmup: steps in which it grows to the peak.
    """

    learning_rate: Positive
    final_rate: Share
    warmup: Size


@dataclass(frozen=True, kw_only=True)
class AdaMaxConfig(ScheduleConfig):
    """[train.optimizer], `adamax`: the paper's."""

    kind: Literal["adamax"] = field(default="adamax", init=False)


@dataclass(frozen=True, kw_only=True)
class AdamConfig(ScheduleConfig):
    """[train.optimizer], `adam`."""

    kind: Literal["adam"] = field(default="adam", init=False)


@dataclass(frozen=True, kw_only=True)
class MuonConfig(ScheduleConfig):
    """[train.optimizer], `muon`: for some convolutions, with Adam for the rest.

    Attributes:
        weights: which: those of the `pixels`' likelihoods, or the `inner` ones of all networks, see
            `selfcodec.models.optimizers`.
        second_decay: of Adam's mean of squared gradients.
        epsilon: of Adam.
    """

    kind: Literal["muon"] = field(default="muon", init=False)
    weights: Literal["pixels", "inner"] = "pixels"
    second_decay: Annotated[float, Range(0, 1, open=True)] = 0.999
    epsilon: Positive = EPSILON


@dataclass(frozen=True, kw_only=True)
class LikelihoodObjectiveConfig:
    """[train.objective], `likelihood`: the negative evidence lower bound (paper eq. 11, 23), its terms weighted.

    Attributes:
        free_share: share of images for which contexts are withheld, so that (y, z) alone stay informative.
        free_weight: weight of those images' likelihoods in the loss; above 1 / free_share, latents are worth at least
            what they are in a plain VAE.
        generated_share: share of those for which generated y take the place of true ones.
        latent_weight: weight of the latents' rates in the loss: below 1 they carry more, for the lossy modes' sake.
        latent_warmup: share of the time in which that weight grows geometrically from a hundredth of itself, so that
            decoders learn to read latents before latents are made to be cheap.
        rounded_share: share of images whose latents are rounded to their grids, as files have them, instead of drawn;
            the grids of uniform posteriors.
    """

    kind: Literal["likelihood"] = field(default="likelihood", init=False)
    free_share: Share
    free_weight: Weight
    generated_share: Share
    latent_weight: Weight
    latent_warmup: Share
    rounded_share: Share = 0.0


@dataclass(frozen=True, kw_only=True)
class RateDistortionObjectiveConfig:
    """[train.objective], `rate_distortion`: rate + lambda distortion, for models that are lossy only.

    Rates are in bits for each pixel of x (bpp), distortions mean squared errors of grey levels; lambda is in bpp for
    one of these.

    Attributes:
        lambda_low, lambda_high: every image has its own lambda, between these, its logarithm uniform.
        first_lambda, last_lambda: qualities 1 and 100 of an exported model stand for these.
        exponent: images are weighted by lambda**-exponent, so that no rate dominates.
        weight: of z's rate and x's distortion in the loss.
        top_weight: of u's rate, whatever lambda.
        thumbnail_weight: of the y's distortion, whatever lambda.
        thrifty_share: last share of the time, in which z is rounded as encoders do, and only decoders' networks learn.
    """

    kind: Literal["rate_distortion"] = field(default="rate_distortion", init=False)
    lambda_low: Positive
    lambda_high: Positive
    first_lambda: Positive
    last_lambda: Positive
    exponent: Share
    weight: Positive
    top_weight: Weight
    thumbnail_weight: Weight
    thrifty_share: Share = 0.0

    def __post_init__(self) -> None:
        if not self.lambda_low < self.lambda_high:
            raise InputError("lambda_low must be below lambda_high")
        if not self.first_lambda < self.last_lambda:
            raise InputError("first_lambda must be below last_lambda")


@dataclass(frozen=True, kw_only=True)
class PatchesConfig:
    """[train.images], `patches`: arrays of images of one size, or whole images cut once into patches."""

    kind: Literal["patches"] = field(default="patches", init=False)


@dataclass(frozen=True, kw_only=True)
class CropsConfig:
    """[train.images], `crops`: whole images of any sizes, of which every batch has new crops, by area.

    Attributes:
        held_out: images whose file names have one of these in them are held out, in every data set; where there are
            none, the last ones, a tenth.
        larger_share: last share of the time, in which crops are larger.
        larger_patch, larger_batch: then a crop's side, and crops a step.
        scaled_share: such a share of crops is of pictures made smaller, where they are large enough.
        least_scale: to this share of their sides at least.
    """

    kind: Literal["crops"] = field(default="crops", init=False)
    held_out: tuple[str, ...] = ()
    larger_share: Share = 0.0
    larger_patch: Size = 0
    larger_batch: Size = 0
    scaled_share: Share = 0.0
    least_scale: Share = 1.0

    def __post_init__(self) -> None:
        if not self.least_scale:
            raise InputError("least_scale must be above 0")
        if self.larger_share and not (self.larger_patch and self.larger_batch):
            raise InputError("larger_share needs a larger_patch and a larger_batch")


OptimizerConfig = AdaMaxConfig | AdamConfig | MuonConfig
ObjectiveConfig = LikelihoodObjectiveConfig | RateDistortionObjectiveConfig
ImagesConfig = PatchesConfig | CropsConfig


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """[train]: data, time and optimisation.

    Attributes:
        dataset: name of the data set; several, joined by `+`, are taken together.
        patch: side of the patches that whole images are cut into, or of crops.
        batch: images a step.
        minutes: default budget, in time.
        start: name or folder of an exported model whose weights training starts from; empty: from random ones.
        networks: what is trained: `all`, or the `pixels`' likelihoods alone, which leaves the latents of the model that
            training starts from as they are.
        flip: whether images are mirrored at random.
        affine: whether they are also turned, scaled, sheared and shifted a little, as in the paper; crops never.
        augment: whether whole images are also taken at other scales (which makes four times as many patches), and
            patches at random transposed, made darker, flatter, noisier, grey, or coarser in colour; crops only
            transposed and made grey.
        seed: of weights and data order, as torch takes them.
        ema: decay of the exponential moving average of the weights.
        clip: largest gradient norm.
        quantise_share: last share of the time, trained with the integer network's rounding.
        optimizer: how gradients are followed; see `selfcodec.models.optimizers`.
        objective: what is minimised; see `selfcodec.models.objectives`.
        images: how a data set's images are served.
    """

    dataset: str
    patch: Count
    batch: Count
    minutes: Positive
    start: str
    networks: Literal["all", "pixels"]
    flip: bool
    augment: bool
    seed: Annotated[int, Range(-(2**63), 2**64 - 1)]
    ema: Share
    clip: Positive
    quantise_share: Share
    optimizer: OptimizerConfig
    objective: ObjectiveConfig
    images: ImagesConfig = PatchesConfig()
    affine: bool = False

    @property
    def batches(self) -> tuple[int, ...]:
        """All sizes that batches have in a training."""
        if isinstance(self.images, CropsConfig) and self.images.larger_share:
            return self.batch, self.images.larger_batch
        return (self.batch,)
