"""Recipes: one strictly parsed TOML file describes a model and its training completely."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from selfcodec.errors import InputError

OPTIMIZERS = ("adamax", "adam", "muon")
NETWORKS = ("all", "pixels")


@dataclass(frozen=True)
class ModelConfig:
    """The generative model and its variational family.

    Attributes:
        transformation: name of d, see `selfcodec.transforms`.
        levels: K, how often d is applied.
        phases: 1 codes a pixel variable in one pass; 4 codes its 2x2 sublattices one after another, each in the
            context of those before it.
        context: whether a pixel variable is coded pixel by pixel instead, in the context of the neighbours decoded
            before it; its mixture is then joint over the channels.
        mixtures: components of every pixel likelihood.
        u_channels, u_down: channels of u, and log2 of its downscaling against y_K.
        z_channels, z_down: channels of every z_k, and log2 of its downscaling against y_{k-1}.
        posterior: `gaussian` (paper eq. 17, 18) or `uniform` (one learned width a channel: what the coder sends).
        prior: p(u): `gaussian`, `mog` or `realnvp`.
        prior_layers, prior_width, prior_mixtures: sizes of the latter two.
        network: `residual` or `densenet`.
        width, blocks: of the likelihoods' networks; `width_q`, `blocks_q` of the encoders, `folds_q` how often they
            fold 2x2 positions into channels first; `width_head`, `blocks_head` of the phases' or contexts' heads.
        finest: features of the likelihoods' networks at their finest resolution, twice as many at each coarser one up
            to `width`; 0 for `width` everywhere.
        growth, layers: of DenseNet blocks.
    """

    transformation: str
    levels: int
    phases: int
    context: bool
    mixtures: int
    u_channels: int
    u_down: int
    z_channels: int
    z_down: int
    posterior: str
    prior: str
    prior_layers: int
    prior_width: int
    prior_mixtures: int
    network: str
    width: int
    blocks: int
    finest: int
    width_q: int
    blocks_q: int
    folds_q: int
    width_head: int
    blocks_head: int
    growth: int
    layers: int


@dataclass(frozen=True)
class TrainConfig:
    """Optimisation.

    Attributes:
        dataset: name of the data set; several, joined by `+`, are taken together.
        patch: side of the patches that whole images are cut into.
        optimizer: `adamax` (the paper's), `adam` or `muon`; see `selfcodec.models.optimizers`.
        batch: images a step.
        learning_rate: the peak; it warms up over `warmup` steps, then follows a half cosine to `final_rate` times
            the peak over the time budget.
        minutes: default time budget.
        start: name or folder of an exported model whose weights training starts from; empty: from random ones.
        networks: what is trained: `all`, or the `pixels`' likelihoods alone, which leaves the latents of the model that
            training starts from as they are.
        ema: decay of the exponential moving average of the weights.
        clip: largest gradient norm.
        free_share: share of images for which contexts are withheld, so that (y, z) alone stay informative.
        free_weight: weight of those images' likelihoods in the loss; above 1 / free_share, latents are worth at least
            what they are in a plain VAE.
        generated_share: share of those for which generated y take the place of true ones.
        latent_weight: weight of the latents' rates in the loss: below 1 they carry more, for the lossy modes' sake.
        latent_warmup: share of the time in which that weight grows geometrically from a hundredth of itself, so that
            decoders learn to read latents before latents are made to be cheap.
        quantise_share: last share of the time, trained with the integer network's rounding.
        flip: whether images are mirrored at random.
        augment: whether whole images are also taken at other scales (which makes four times as many patches), and
            patches at random transposed, made darker, flatter, noisier, grey, or coarser in colour.
        seed: of weights and data order.
    """

    dataset: str
    patch: int
    batch: int
    optimizer: str
    learning_rate: float
    final_rate: float
    warmup: int
    minutes: float
    start: str
    networks: str
    ema: float
    clip: float
    free_share: float
    free_weight: float
    generated_share: float
    latent_weight: float
    latent_warmup: float
    quantise_share: float
    flip: bool
    augment: bool
    seed: int


@dataclass(frozen=True)
class Recipe:
    """A whole recipe file."""

    name: str
    model: ModelConfig
    train: TrainConfig


def _check(t: TrainConfig, where: str) -> None:
    """InputError naming the first value that no training can go by."""
    for valid, what in (
        (t.batch >= 1, f"batch must be at least 1, not {t.batch}"),
        (t.patch >= 1, f"patch must be at least 1, not {t.patch}"),
        (t.optimizer in OPTIMIZERS, f"unknown optimizer {t.optimizer!r}"),
        (t.networks in NETWORKS, f"unknown networks {t.networks!r}; known: {', '.join(NETWORKS)}"),
        (0 < t.learning_rate < math.inf, f"learning_rate must be above 0, not {t.learning_rate}"),
        (0 < t.minutes < math.inf, f"minutes must be above 0, not {t.minutes}"),
        (t.warmup >= 0, f"warmup must be at least 0, not {t.warmup}"),
        (t.clip > 0, f"clip must be above 0, not {t.clip}"),
        (t.free_weight >= 0, f"free_weight must be at least 0, not {t.free_weight}"),
        (t.latent_weight >= 0, f"latent_weight must be at least 0, not {t.latent_weight}"),
    ):
        if not valid:
            raise InputError(f"{where}, [train]: {what}")
    for name in ("final_rate", "ema", "free_share", "generated_share", "latent_warmup", "quantise_share"):
        if not 0 <= getattr(t, name) <= 1:
            raise InputError(f"{where}, [train]: {name} must be from 0 to 1, not {getattr(t, name)}")


def _parse(kind: type[Any], values: Any, where: str) -> Any:
    if not isinstance(values, dict):
        raise InputError(f"{where}: expected a table")
    hints = get_type_hints(kind)
    names = {field.name for field in fields(kind)}
    if unknown := sorted(set(values) - names):
        raise InputError(f"{where}: unknown key {unknown[0]!r}; known: {', '.join(sorted(names))}")
    if missing := sorted(names - set(values)):
        raise InputError(f"{where}: missing key {missing[0]!r}")
    parsed = {}
    for name, value in values.items():
        hint = hints[name]
        if is_dataclass(hint):
            parsed[name] = _parse(hint, value, f"{where}, [{name}]")  # type: ignore[arg-type]
            continue
        if hint is float and type(value) is int:
            value = float(value)
        if type(value) is not hint:
            raise InputError(f"{where}: {name} must be {hint.__name__}, not {value!r}")
        parsed[name] = value
    return kind(**parsed)


def parse_recipe(text: str, where: str = "recipe") -> Recipe:
    """Parses TOML; InputError names an unknown, missing or ill-typed key."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where}: not valid TOML: {error}") from error
    return parse_recipe_dict(values, where)


def parse_recipe_dict(values: dict[str, Any], where: str = "recipe") -> Recipe:
    """The same from parsed values, as a checkpoint holds them."""
    recipe: Recipe = _parse(Recipe, values, where)
    _check(recipe.train, where)
    return recipe


def recipe_directory() -> Path:
    return Path(__file__).parent / "recipes"


def load_recipe(name_or_path: str) -> Recipe:
    """A recipe in the box by its name, or a file by its path."""
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = recipe_directory() / f"{name_or_path}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in recipe_directory().glob("*.toml")))
        raise InputError(f"no recipe {name_or_path!r}; give a .toml file or one of: {known}")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({type(error).__name__})") from error
    return parse_recipe(text, str(path))
