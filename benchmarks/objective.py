"""The ELBO of a trained model on images to measure, by variable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load

from selfcodec.arrays import UInt8
from selfcodec.errors import InputError
from selfcodec.models.checkpoint import load_trained
from selfcodec.models.data import ImageSet
from selfcodec.models.evaluation import evaluate
from selfcodec.models.export import export_network
from selfcodec.models.selfvae import SelfVAE
from selfcodec.tiles import tile_boxes
from selfcodec.zoo import Model, read_contents


def tiles_by_size(images: Sequence[UInt8], side: int) -> Iterator[tuple[float, UInt8]]:
    """Yield all images' tiles (N, h, w, 3), as the codec cuts them, size by size, after their share of a mean image."""
    found: dict[tuple[float, tuple[int, ...]], list[UInt8]] = {}
    for image in images:
        for box in tile_boxes(image.shape[1], image.shape[0], side):
            tile = box.of(image)
            found.setdefault((tile.size / image.size / len(images), tile.shape), []).append(tile)
    for (share, _), tiles in found.items():
        yield share * len(tiles), np.stack(tiles)


def objective(checkpoint: Path, model: Model, images: Sequence[UInt8]) -> dict[str, dict[str, float]]:
    """Return the ELBO (paper eq. 11) by variable in bits per dimension, of float networks and of integer ones.

    Raises:
        InputError: the model was not exported from this checkpoint, or a side of a tile is no multiple of what its
            networks take without padding.
    """
    recipe, net, _ = load_trained(checkpoint)
    _round_like(net, model, checkpoint)
    config, device, sets = recipe.model, torch.device("cpu"), list[tuple[float, ImageSet]]()
    for share, tiles in tiles_by_size(images, model.spec.tile):
        if any(side % model.padding for side in tiles.shape[1:3]):
            raise InputError(f"the ELBO is measured on images whose tiles' sides are multiples of {model.padding} only")
        data = ImageSet.build(tiles, config.transformation, config.levels, flip=False, device=device)
        sets.append((share, data))

    def mean() -> dict[str, float]:
        parts = [(share, evaluate(net, data)) for share, data in sets]
        return {name: sum(share * rates[name] for share, rates in parts) for name in parts[0][1]}

    rounded = mean()
    for _, graph in net.graphs():
        graph.formats = {}
    return {"elbo_float": mean(), "elbo_integer": rounded}


def _round_like(net: SelfVAE, model: Model, checkpoint: Path) -> None:
    """Give the networks the model's fixed-point formats, with which they must export to the model's integers."""
    data = Path(model.where).read_bytes()
    weights, graphs = load(data), read_contents(data)["graphs"]
    for name, graph in net.graphs():
        same = name in graphs and tuple(model.nets[name].graph.nodes) == tuple(graph.graph.nodes)
        if same:
            graph.formats = dict(graphs[name]["formats"])
            own = export_network(name, graph)[1]
            same = all(key in weights and np.array_equal(own[key], weights[key]) for key in own)
        if not same:
            raise InputError(f"{checkpoint}: not what model {model.spec.name!r} was exported from ({name} differs)")
