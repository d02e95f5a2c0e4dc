"""Models for tests beside the `tiny` one: other transformations and depths, smaller tiles; and images to code."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from recipe_changes import changed
from safetensors.numpy import load as load_safetensors

from selfcodec.arrays import UInt8
from selfcodec.encoding import Encoded, encode_picture
from selfcodec.images import from_image
from selfcodec.likelihoods.layout import PixelLayout
from selfcodec.models.config import HeadConfig, Recipe
from selfcodec.models.data import ImageSet
from selfcodec.models.export import export_model
from selfcodec.models.selfvae import SelfVAE
from selfcodec.modes import Mode
from selfcodec.settings import Settings
from selfcodec.zoo import MANIFEST, WEIGHTS, Model, find_model, pack_model, read_contents

ONE_PHASE = {"kind": "phases", "phases": 1}
VARIANTS: dict[str, dict[str, Any]] = {
    "vae": {"levels": 0},
    "deep": {"levels": 2},
    "sketch": {
        "transformation": "sketch",
        "posterior": {"kind": "gaussian"},
        "prior": {"kind": "mog", "mixtures": 2},
        "network": {
            "kind": "densenet",
            "width": 8,
            "blocks": 1,
            "finest": 0,
            "encoder_width": 8,
            "encoder_blocks": 1,
            "encoder_folds": 1,
            "growth": 2,
            "layers": 1,
        },
        "likelihood": ONE_PHASE,
    },
    "context": {
        "transformation": "downscale4",
        "u": {"down": 1},
        "network": {"finest": 4, "encoder_folds": 2},
        "likelihood": {"kind": "context", "mixtures": 2, "head_width": 12, "head_blocks": 1},
    },
    "predicted": {
        "transformation": "downscale4",
        "u": {"down": 1},
        "network": {"finest": 4, "encoder_folds": 2},
        "likelihood": {"kind": "context", "mixtures": 2, "head_width": 12, "head_blocks": 1, "predictions": True},
    },
    "bicubic": {
        "transformation": "bicubic",
        "z": {"down": 1},
        "prior": {"kind": "gaussian"},
        "likelihood": ONE_PHASE,
    },
}
"""What differs from the tiny recipe."""
NAMES = ("tiny", "tiled", *VARIANTS)
LOSSY = (Mode.RS1, Mode.RS2, Mode.CG, Mode.CR)


def install(folder: Path, name: str, data: bytes) -> Model:
    """Writes a model's folder below `folder` and loads it."""
    own = folder / name
    own.mkdir(parents=True)
    (own / WEIGHTS).write_bytes(data)
    manifest = {"name": name, "sha256": hashlib.sha256(data).hexdigest()}
    (own / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return find_model(str(own))


def build(recipe: Recipe, name: str, patches: UInt8) -> tuple[SelfVAE, Model, bytes]:
    """A variant as it is before training: the network, the exported model and its weights file."""
    own = changed(recipe, name=name, model=VARIANTS.get(name, {}))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(sum(name.encode()))
        model = SelfVAE(own.model).eval()
        for net_name, net in model.graphs():
            if net_name.startswith("q_"):
                net.weight(net.graph.output).mul_(0.08)  # latents within what their priors expect
            if net_name == "p_x_3" and model.pixels["x"].settings()["known_sum"]:  # what is nearly known is expected so
                assert isinstance(own.model.likelihood, HeadConfig)
                layout = PixelLayout(3, own.model.likelihood.mixtures)
                net.weight(net.graph.output).mul_(0.1)
                net.bias(net.graph.output)[layout.log_scales(0).start : layout.log_scales(2).stop] = -2.5
        for width in model.log_widths.values():
            width.fill_(-1.5)
        levels, transformation = own.model.levels, own.model.transformation
        images = ImageSet.build(patches[:16], transformation, levels, flip=False, device=torch.device("cpu"))
        data = export_model(own, model, images)
    return model, Model(data), data


def with_tiles(model_folder: Path, tile: int) -> bytes:
    """The weights file of a model, for tiles of another size."""
    return with_spec((model_folder / WEIGHTS).read_bytes(), tile=tile)


def with_blocks(data: bytes, block: int, **changes: Any) -> bytes:
    """The weights file of a model in context, in blocks of another size; and with other changes."""
    variables = {
        name: settings | ({"block": block} if "block" in settings else {})
        for name, settings in Model(data).spec.variables.items()
    }
    return with_spec(data, variables=variables, **changes)


def with_spec(data: bytes, **changes: Any) -> bytes:
    """A weights file with another specification."""
    spec = replace(Model(data).spec, **changes)
    return pack_model(spec, read_contents(data)["graphs"], load_safetensors(data))


def make_image(photo: UInt8, mode: str, width: int, height: int) -> Image.Image:
    """The photograph repeated to a size, in a mode; with an alpha plane that is not constant."""
    rows, columns = np.arange(height) % photo.shape[0], np.arange(width) % photo.shape[1]
    image = Image.fromarray(photo[rows][:, columns])
    if mode == "P":
        return image.quantize(16)
    image = image.convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(((rows[:, None] * 5 + columns) % 256).astype(np.uint8)))
    return image


def encode(image: Image.Image, model: Model, mode: Mode = Mode.LOSSLESS, **settings: Any) -> Encoded:
    return encode_picture(from_image(image), Settings(mode, **settings), model, verify=False)


def same(a: Image.Image, b: Image.Image) -> bool:
    return a.mode == b.mode and a.size == b.size and a.convert("RGBA").tobytes() == b.convert("RGBA").tobytes()


def samples(image: Image.Image) -> npt.NDArray[np.float64]:
    return np.asarray(image).astype(np.float64)
