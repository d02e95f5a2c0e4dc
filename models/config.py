"""What recipes say: one table describes a model and its training completely.

Every class is a table of a recipe file, every attribute a key. The tables that come in kinds have a key `kind`, and
their other keys are those that this kind reads. Recipes are read by `selfcodec.models.recipe`; `asdict` makes of one
what its file, with nothing left out, would hold.

A key that is added here needs a default that stands for what was done before, so that older recipes, checkpoints and
models' manifests stay readable.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from selfcodec.errors import InputError
from selfcodec.models.parsing import Range
from selfcodec.modes import MAX_TRANSFORMS

Count = Annotated[int, Range(1)]
Size = Annotated[int, Range(0)]
Share = Annotated[float, Range(0, 1)]
Weight = Annotated[float, Range(0)]
Positive = Annotated[float, Range(0, open=True)]


@dataclass(frozen=True, kw_only=True)
class LatentConfig:
    """[model.u], [model.z]: the size of a latent.

    Attributes:
        channels: of u, or of every z_k.
        down: log2 of its downscaling against y_K for u, against y_{k-1} for z_k.
    """

    channels: Count
    down: Size


@dataclass(frozen=True, kw_only=True)
class UniformPosteriorConfig:
    """[model.posterior], `uniform`: one learned width a channel, which is what the coder sends."""

    kind: Literal["uniform"] = field(default="uniform", init=False)


@dataclass(frozen=True, kw_only=True)
class GaussianPosteriorConfig:
    """[model.posterior], `gaussian`: mean and deviation from the image (paper eq. 17, 18)."""

    kind: Literal["gaussian"] = field(default="gaussian", init=False)


@dataclass(frozen=True, kw_only=True)
class GaussianPriorConfig:
    """[model.prior], `gaussian`: u is standard Gaussian."""

    kind: Literal["gaussian"] = field(default="gaussian", init=False)


@dataclass(frozen=True, kw_only=True)
class MixturePriorConfig:
    """[model.prior], `mog`: a mixture of Gaussians for every element of u.

    Attributes:
        mixtures: its components.
    """

    kind: Literal["mog"] = field(default="mog", init=False)
    mixtures: Count


@dataclass(frozen=True, kw_only=True)
class RealNVPConfig:
    """[model.prior], `realnvp`: coupling layers on a Gaussian; u needs an even number of channels.

    Attributes:
        layers: how many.
        width: of their networks.
    """

    kind: Literal["realnvp"] = field(default="realnvp", init=False)
    layers: Size
    width: Count


@dataclass(frozen=True, kw_only=True)
class TrunkConfig:
    """[model.network], keys of every kind: the sizes of the likelihoods' networks and of the encoders.

    Attributes:
        width, blocks: features and blocks of the likelihoods' networks.
        finest: their features at the finest resolution, twice as many at each coarser one up to `width`; 0 for `width`
            everywhere.
        encoder_width, encoder_blocks: the same of the encoders.
        encoder_folds: how often encoders fold 2x2 positions into channels first.
    """

    weight_norm: ClassVar[bool] = False
    """Whether weights are trained as directions and lengths, initialised from the first batch."""

    width: Count
    blocks: Size
    finest: Size
    encoder_width: Count
    encoder_blocks: Size
    encoder_folds: Size


@dataclass(frozen=True, kw_only=True)
class ResidualConfig(TrunkConfig):
    """[model.network], `residual`: cheap blocks with identity shortcuts, made for integers."""

    kind: Literal["residual"] = field(default="residual", init=False)


@dataclass(frozen=True, kw_only=True)
class DenseNetConfig(TrunkConfig):
    """[model.network], `densenet`: the paper's blocks (appendix A.1).

    Attributes:
        growth: channels that a dense layer adds.
        layers: dense layers of a block.
    """

    weight_norm = True
    kind: Literal["densenet"] = field(default="densenet", init=False)
    growth: Count
    layers: Count


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """[model.likelihood], keys of every kind: of pixel variables' mixtures and the heads that compute them.

    Attributes:
        mixtures: components of every pixel's mixture.
        head_width, head_blocks: features and blocks of the heads.
    """

    mixtures: Count
    head_width: Count
    head_blocks: Size


@dataclass(frozen=True, kw_only=True)
class PhasesConfig(HeadConfig):
    """[model.likelihood], `phases`: a pixel variable is coded in a few passes, each of very many pixels.

    Attributes:
        phases: 1 codes it in one pass; 4 codes its 2x2 sublattices one after another, each in the context of those
            before it.
    """

    kind: Literal["phases"] = field(default="phases", init=False)
    phases: Literal[1, 4]


@dataclass(frozen=True, kw_only=True)
class ContextConfig(HeadConfig):
    """[model.likelihood], `context`: coded pixel by pixel, given the neighbours before it, all channels jointly."""

    kind: Literal["context"] = field(default="context", init=False)


@dataclass(frozen=True, kw_only=True)
class ReconstructionConfig:
    """[model.x_likelihood], `reconstruction`: x is never sent; a network's output is the picture."""

    kind: Literal["reconstruction"] = field(default="reconstruction", init=False)


@dataclass(frozen=True, kw_only=True)
class SameConfig:
    """[model.x_likelihood], `same`: x is coded as every pixel variable, by [model.likelihood]."""

    kind: Literal["same"] = field(default="same", init=False)


PosteriorConfig = UniformPosteriorConfig | GaussianPosteriorConfig
PriorConfig = GaussianPriorConfig | MixturePriorConfig | RealNVPConfig
NetworkConfig = ResidualConfig | DenseNetConfig
LikelihoodConfig = PhasesConfig | ContextConfig
AnyLikelihoodConfig = LikelihoodConfig | ReconstructionConfig
XLikelihoodConfig = SameConfig | AnyLikelihoodConfig


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """[model]: the generative model and its variational family.

    Attributes:
        transformation: name of d, see `selfcodec.transforms`.
        levels: K, how often d is applied.
        u, z: sizes of the latents.
        posterior: the family of q(u) and q(z).
        prior: p(u).
        network: what all networks are made of.
        likelihood: of pixel variables.
        x_likelihood: of x, where it has another than the y.
    """

    transformation: str
    levels: Annotated[int, Range(0, MAX_TRANSFORMS)]
    u: LatentConfig
    z: LatentConfig
    posterior: PosteriorConfig
    prior: PriorConfig
    network: NetworkConfig
    likelihood: LikelihoodConfig
    x_likelihood: XLikelihoodConfig = SameConfig()

    def likelihood_of(self, name: str) -> AnyLikelihoodConfig:
        """The likelihood of the pixel variable of that name."""
        if name != "x" or isinstance(self.x_likelihood, SameConfig):
            return self.likelihood
        return self.x_likelihood

    def __post_init__(self) -> None:
        if isinstance(self.prior, RealNVPConfig) and self.u.channels % 2:
            raise InputError(f"u.channels must be even for a realnvp prior, not {self.u.channels}")


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
    """[train.optimizer], `muon`: for the pixels' likelihoods, with Adam for the rest."""

    kind: Literal["muon"] = field(default="muon", init=False)


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
    """

    kind: Literal["likelihood"] = field(default="likelihood", init=False)
    free_share: Share
    free_weight: Weight
    generated_share: Share
    latent_weight: Weight
    latent_warmup: Share


OptimizerConfig = AdaMaxConfig | AdamConfig | MuonConfig
ObjectiveConfig = LikelihoodObjectiveConfig


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """[train]: data, time and optimisation.

    Attributes:
        dataset: name of the data set; several, joined by `+`, are taken together.
        patch: side of the patches that whole images are cut into.
        batch: images a step.
        minutes: default time budget.
        start: name or folder of an exported model whose weights training starts from; empty: from random ones.
        networks: what is trained: `all`, or the `pixels`' likelihoods alone, which leaves the latents of the model that
            training starts from as they are.
        flip: whether images are mirrored at random.
        augment: whether whole images are also taken at other scales (which makes four times as many patches), and
            patches at random transposed, made darker, flatter, noisier, grey, or coarser in colour.
        seed: of weights and data order.
        ema: decay of the exponential moving average of the weights.
        clip: largest gradient norm.
        quantise_share: last share of the time, trained with the integer network's rounding.
        optimizer: how gradients are followed; see `selfcodec.models.optimizers`.
        objective: what is minimised; see `selfcodec.models.objectives`.
    """

    dataset: str
    patch: Count
    batch: Count
    minutes: Positive
    start: str
    networks: Literal["all", "pixels"]
    flip: bool
    augment: bool
    seed: int
    ema: Share
    clip: Positive
    quantise_share: Share
    optimizer: OptimizerConfig
    objective: ObjectiveConfig


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole recipe: the name of what is trained, the model, and its training."""

    name: str
    model: ModelConfig
    train: TrainConfig
