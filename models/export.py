"""Turns a trained model into integers: weights, formats, overflow proofs, grid widths."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from selfcodec.arrays import Int16, Integers
from selfcodec.errors import InputError
from selfcodec.files import write_atomically
from selfcodec.fixed_point import LATENT_FRACTION
from selfcodec.models.calibration import calibrate
from selfcodec.models.config import Recipe
from selfcodec.models.data import Images, by_name
from selfcodec.models.layers import FloatGraph, integer_weights
from selfcodec.models.likelihoods.latent import to_integers
from selfcodec.models.objectives.choice import build_objective
from selfcodec.models.selfvae import SelfVAE
from selfcodec.networks.graph import CONVOLUTIONS, TABLED, Node
from selfcodec.networks.integer import IntegerGraph
from selfcodec.spec import SPEC_VERSION, Spec
from selfcodec.zoo import CARD, MANIFEST, WEIGHTS, Model, pack_model

CALIBRATION_PIXELS = 1 << 19
"""Networks are calibrated, and errors measured, on batches of at most so many pixels."""
WIDTH_IMAGES = 256
"""Grids' widths are measured on at most so many images."""


def _table(net: FloatGraph, node: Node) -> Int16:
    """An activation's result for every input integer, int16; clamped, as the layers after it are proven for."""
    limit, fraction = net.input_format(node)
    largest = net.graph.limits()[node.name]
    x = torch.arange(-limit, limit + 1, dtype=torch.float32) * 2.0**-fraction
    y = F.elu(x) if node.op == "elu" else torch.sigmoid(x)
    return torch.floor(y * 2.0 ** net.formats[node.name] + 0.5).clamp(-largest, largest).numpy().astype(np.int16)


@torch.no_grad()
def export_network(name: str, net: FloatGraph) -> tuple[dict[str, Any], dict[str, Integers]]:
    """One network's description (nodes, formats, bounds) and its tensors, named `NAME/NODE.kind`."""
    tensors: dict[str, Integers] = {}
    for node in net.graph.nodes:
        if node.op in CONVOLUTIONS:
            *integers, _ = integer_weights(
                net.weight(node), net.bias(node), *net.input_format(node), transposed=node.op == "deconv"
            )
            weight, bias, exponent = (values.cpu().numpy() for values in integers)
            narrow = int(np.abs(weight).max()) <= np.iinfo(np.int8).max
            tensors[f"{node.name}.weight"] = weight.astype(np.int8 if narrow else np.int16)
            tensors[f"{node.name}.bias"] = bias.astype(np.int32)
            tensors[f"{node.name}.exponent"] = exponent.astype(np.int8)
        elif node.op in TABLED:
            tensors[f"{node.name}.table"] = _table(net, node)
    proof = IntegerGraph(net.graph, net.formats, tensors).bounds
    graph = {"nodes": net.graph.to_json(), "formats": net.formats, "bounds": proof}
    return graph, {f"{name}/{key}": tensor for key, tensor in tensors.items()}


def _spread(count: int) -> Tensor:
    """At most WIDTH_IMAGES indices of so many images, from all over them: data sets may be sorted by what they show."""
    return torch.linspace(0, count - 1, min(WIDTH_IMAGES, count), dtype=torch.float64).long()


@torch.no_grad()
def calibrated_widths(model: SelfVAE, images: Images | None, planes: tuple[int, ...]) -> dict[str, Tensor]:
    """Widths of every latent's grid, real, (C,) or by quality (100, C): as its posterior has it, or measured on images.

    Args:
        model: the model.
        images: to measure on.
        planes: the qualities 1..100 as networks see them, in 2**-6; none where they see none.

    Raises:
        InputError: images are needed and not there.
    """
    ys = [] if images is None else images.batch(_spread(len(images)).to(images.device))
    pictures = by_name(ys)
    sources = {step.name: pictures.get(step.inferred_from or "") for step in model.steps}
    return {
        name: posterior.grid_widths(model.latents[name], sources[name], planes)
        for name, posterior in model.posteriors.items()
    }


@torch.no_grad()
def export_model(recipe: Recipe, model: SelfVAE, images: Images | None) -> bytes:
    """The weights file of a trained model.

    Args:
        recipe: of the model.
        model: its networks.
        images: formats that training has not set, the grids of a Gaussian posterior, and the errors of pictures are
            measured on them; None where nothing of this is needed.

    Raises:
        InputError: images are needed and not there.
    """
    objective, t = build_objective(recipe.train.objective), recipe.train
    batch = max(1, min(t.batch, CALIBRATION_PIXELS // t.patch**2))
    if not next(model.graphs())[1].formats:
        if images is None:
            raise InputError("the model was trained without rounding; its formats are measured on images: give --data")
        calibrate(objective, model, images, torch.Generator().manual_seed(0), batch)
    graphs, tensors = {}, {}
    for name, net in model.graphs():
        graphs[name], own = export_network(name, net)
        tensors.update(own)
    errors = objective.errors(model, images, batch)
    variables = {name: pixels.settings(errors) for name, pixels in model.pixels.items()}
    for name, width in calibrated_widths(model, images, objective.planes).items():
        smallest = width.double().clamp_min(2.0**-LATENT_FRACTION)
        variables[name] = model.latents[name].settings(to_integers(smallest, LATENT_FRACTION))
    spec = Spec(
        version=SPEC_VERSION,
        name=recipe.name,
        transformation=recipe.model.transformation,
        shape=model.shape,
        tile=min(pixels.tile for pixels in model.pixels.values()),
        variables={step.name: variables[step.name] for step in model.steps},
        planes=objective.planes,
    )
    return pack_model(spec, graphs, tensors)


def write_model(folder: Path, data: bytes, recipe: Recipe, training: dict[str, Any], *, force: bool = False) -> Model:
    """Writes a model's folder; InputError where one is there and `force` is not given."""
    if (folder / WEIGHTS).exists() and not force:
        raise InputError(f"{folder / WEIGHTS} exists; --force replaces it")
    model = Model(data, str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    largest = max((bound, f"{name}/{node}") for name, net in model.nets.items() for node, bound in net.bounds.items())
    manifest = {
        "name": recipe.name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "parameters": model.parameters,
        "largest_sum": {"bound": largest[0], "of": 1 << 24, "node": largest[1]},
        "recipe": asdict(recipe),
        "training": training,
        "measured": {},
    }
    write_atomically(folder / WEIGHTS, data)
    write_atomically(folder / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())
    write_atomically(folder / CARD, f"# {recipe.name}\n\nNot evaluated yet.\n".encode())
    return model
