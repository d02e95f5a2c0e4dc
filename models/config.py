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
from selfcodec.models.parsing import Count, Range, Size
from selfcodec.models.training_config import LikelihoodObjectiveConfig, RateDistortionObjectiveConfig, TrainConfig
from selfcodec.modes import MAX_TRANSFORMS
from selfcodec.transforms import get_transform


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
class TransformPosteriorConfig:
    """[model.posterior], `transform`: transforms that are learned; u on a grid of learned widths, z on its prior's."""

    kind: Literal["transform"] = field(default="transform", init=False)


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
    """[model.network], keys of `residual` and `densenet`: the sizes of the likelihoods' networks and of the encoders.

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
class TransformConfig:
    """[model.network], `transform`: those of `selfcodec.models.transform_coding`, which start as a block transform.

    Attributes:
        widths: features of analysis and synthesis at every resolution, the finest first; the coarsest is z's.
        analysis_blocks, synthesis_blocks: their residual blocks, likewise.
        thumbnail_width, thumbnail_blocks: features and blocks of the networks between y and u.
        entropy_width: features of the networks of z's distribution.
    """

    weight_norm: ClassVar[bool] = False
    kind: Literal["transform"] = field(default="transform", init=False)
    widths: tuple[Count, ...]
    analysis_blocks: tuple[Size, ...]
    synthesis_blocks: tuple[Size, ...]
    thumbnail_width: Annotated[int, Range(4)]
    thumbnail_blocks: Size
    entropy_width: Count

    def __post_init__(self) -> None:
        if not len(self.widths) == len(self.analysis_blocks) == len(self.synthesis_blocks) > 0:
            raise InputError(
                "widths, analysis_blocks and synthesis_blocks must be of as many resolutions, at least one"
            )
        if min(self.widths) < 2:
            raise InputError("widths must be at least 2, since blocks have half as many features inside")


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
    """[model.likelihood], `context`: coded pixel by pixel, given the neighbours before it, all channels jointly.

    Attributes:
        predictions: heads also see linear predictions that are learned of every picture, see
            `selfcodec.likelihoods.context.predicting`.
    """

    kind: Literal["context"] = field(default="context", init=False)
    predictions: bool = False


@dataclass(frozen=True, kw_only=True)
class ReconstructionConfig:
    """[model.likelihood], [model.x_likelihood], `reconstruction`: a network's output is the picture."""

    kind: Literal["reconstruction"] = field(default="reconstruction", init=False)


@dataclass(frozen=True, kw_only=True)
class SameConfig:
    """[model.x_likelihood], `same`: x is coded as every pixel variable, by [model.likelihood]."""

    kind: Literal["same"] = field(default="same", init=False)


@dataclass(frozen=True, kw_only=True)
class LatentLikelihoodConfig:
    """[model.z_likelihood], `latent`: one Gaussian a value, all at once (paper eq. 15)."""

    kind: Literal["latent"] = field(default="latent", init=False)


@dataclass(frozen=True, kw_only=True)
class GroupsConfig:
    """[model.z_likelihood], `groups`: groups of channels one after another, each in two halves of a checkerboard.

    Attributes:
        groups: channels of each.
    """

    kind: Literal["groups"] = field(default="groups", init=False)
    groups: tuple[Count, ...]


PosteriorConfig = UniformPosteriorConfig | GaussianPosteriorConfig | TransformPosteriorConfig
PriorConfig = GaussianPriorConfig | MixturePriorConfig | RealNVPConfig
BlocksConfig = ResidualConfig | DenseNetConfig
NetworkConfig = BlocksConfig | TransformConfig
ZLikelihoodConfig = LatentLikelihoodConfig | GroupsConfig
LikelihoodConfig = PhasesConfig | ContextConfig | ReconstructionConfig
XLikelihoodConfig = SameConfig | LikelihoodConfig


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
        z_likelihood: of every z.
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
    z_likelihood: ZLikelihoodConfig = LatentLikelihoodConfig()

    def likelihood_of(self, name: str) -> LikelihoodConfig:
        """The likelihood of the pixel variable of that name."""
        if name != "x" or isinstance(self.x_likelihood, SameConfig):
            return self.likelihood
        return self.x_likelihood

    @property
    def blocks(self) -> BlocksConfig:
        """The network's table, for families whose networks are made of blocks; InputError for `transform`."""
        if isinstance(self.network, TransformConfig):
            raise InputError(f"networks of kind {self.network.kind!r} have no such blocks")
        return self.network

    @property
    def transform(self) -> TransformConfig:
        """The network's table, for families whose networks are transforms; InputError for other kinds."""
        if not isinstance(self.network, TransformConfig):
            raise InputError(f"networks of kind {self.network.kind!r} are no transforms")
        return self.network

    @property
    def is_transform(self) -> bool:
        """Whether the model is trained for rate and distortion, rather than for likelihood."""
        return isinstance(self.network, TransformConfig)

    def _check_kinds(self) -> None:
        """InputError where a table is made for transforms and another is not."""
        made = {
            "posterior": isinstance(self.posterior, TransformPosteriorConfig),
            "z_likelihood": isinstance(self.z_likelihood, GroupsConfig),
            "likelihood": isinstance(self.likelihood, ReconstructionConfig),
            "x_likelihood": isinstance(self.likelihood_of("x"), ReconstructionConfig),
        }
        for name, of_transforms in made.items():
            if of_transforms != self.is_transform:
                own = getattr(self, name).kind
                raise InputError(f"{name} of kind {own!r} does not go with a network of kind {self.network.kind!r}")

    def _check_transform(self, network: TransformConfig) -> None:
        """InputError for sizes that the transforms' networks are not made for."""
        pixels = 4**self.z.down * 3
        if self.levels != 1:
            raise InputError(f"a network of kind 'transform' needs levels = 1, not {self.levels}")
        if get_transform(self.transformation).factor != 2**self.z.down:
            raise InputError(f"z.down must be y's downscaling, as networks of kind 'transform' have it: {self.z.down}")
        if self.u.down != 1:
            raise InputError(f"u.down must be 1 with a network of kind 'transform', not {self.u.down}")
        if len(network.widths) > self.z.down + 1:
            raise InputError(f"network.widths are of more resolutions than lie between x and z, {self.z.down + 1}")
        if self.z.channels > pixels:
            raise InputError(f"z.channels are more than the {pixels} values of a block of pixels: {self.z.channels}")
        if isinstance(self.prior, RealNVPConfig):
            raise InputError("a network of kind 'transform' goes with the priors gaussian and mog alone")
        if isinstance(self.z_likelihood, GroupsConfig) and sum(self.z_likelihood.groups) != self.z.channels:
            raise InputError(f"z_likelihood.groups must have {self.z.channels} channels in all, as z has")

    def __post_init__(self) -> None:
        self._check_kinds()
        if isinstance(self.network, TransformConfig):
            self._check_transform(self.network)
        if isinstance(self.prior, RealNVPConfig) and self.u.channels % 2:
            raise InputError(f"u.channels must be even for a realnvp prior, not {self.u.channels}")
        in_context = any(isinstance(own, ContextConfig) for own in (self.likelihood, self.x_likelihood))
        if in_context and self.blocks.width % 4:  # which 2x2 pixels share out
            raise InputError(f"network.width must be a multiple of 4 for a context likelihood, not {self.blocks.width}")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole recipe.

    Attributes:
        name: of what is trained.
        model: what it is.
        train: how it is trained.
    """

    name: str
    model: ModelConfig
    train: TrainConfig

    def __post_init__(self) -> None:
        objective = self.train.objective
        if isinstance(objective, RateDistortionObjectiveConfig) != self.model.is_transform:
            raise InputError(
                f"train.objective of kind {objective.kind!r} does not go with a network of kind"
                f" {self.model.network.kind!r}"
            )
        kind = self.model.posterior.kind
        if isinstance(objective, LikelihoodObjectiveConfig) and objective.rounded_share and kind != "uniform":
            raise InputError(f"train.objective.rounded_share needs posteriors of kind 'uniform', not {kind!r}")
