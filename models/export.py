"""Turns a trained model into integers: weights, formats, overflow proofs, grid steps."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from selfcodec.errors import InputError
from selfcodec.files import write_atomically
from selfcodec.fixed_point import LATENT_FRACTION, PARAM_FRACTION
from selfcodec.models.config import Recipe
from selfcodec.models.data import ImageSet
from selfcodec.models.layers import FloatGraph, integer_weights
from selfcodec.models.selfvae import SelfVAE
from selfcodec.models.train import calibrate
from selfcodec.networks.graph import Node
from selfcodec.networks.integer import IntegerGraph
from selfcodec.schedule import Step
from selfcodec.spec import SPEC_VERSION, Spec
from selfcodec.zoo import CARD, MANIFEST, WEIGHTS, Model, pack_model

TILE = 512
"""Side of a tile: smaller ones can be decoded side by side, larger ones have fewer edges."""
CONTEXT_BLOCK = 256
"""Side of a context's block, and of the tiles of models that have one: larger ones cost the decoder steps, smaller ones
cost context, and blocks do not see each other anyway."""


def _table(net: FloatGraph, node: Node) -> Tensor:
    """An activation's result for every input integer, int16; clamped, as the layers after it are proven for."""
    limit, fraction = net.input_format(node)
    largest = net.graph.limits()[node.name]
    x = torch.arange(-limit, limit + 1, dtype=torch.float32) * 2.0**-fraction
    y = F.elu(x) if node.op == "elu" else torch.sigmoid(x)
    return torch.floor(y * 2.0 ** net.formats[node.name] + 0.5).clamp(-largest, largest).to(torch.int16)


@torch.no_grad()
def export_network(name: str, net: FloatGraph) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """One network's description (nodes, formats, bounds) and its tensors, named `NAME/NODE.kind`."""
    tensors: dict[str, Tensor] = {}
    for node in net.graph.nodes:
        if node.op in ("conv", "deconv"):
            weight, bias, exponent, _ = integer_weights(
                net.weight(node), net.bias(node), *net.input_format(node), transposed=node.op == "deconv"
            )
            narrow = int(weight.abs().max()) <= torch.iinfo(torch.int8).max
            tensors[f"{node.name}.weight"] = weight.to(torch.int8 if narrow else torch.int16).contiguous()
            tensors[f"{node.name}.bias"] = bias.to(torch.int32)
            tensors[f"{node.name}.exponent"] = exponent.to(torch.int8)
        elif node.op in ("elu", "sigmoid"):
            tensors[f"{node.name}.table"] = _table(net, node)
    proof = IntegerGraph(net.graph, net.formats, tensors).bounds
    graph = {"nodes": net.graph.to_json(), "formats": net.formats, "bounds": proof}
    return graph, {f"{name}/{key}": tensor for key, tensor in tensors.items()}


@torch.no_grad()
def calibrated_widths(model: SelfVAE, images: ImageSet | None) -> dict[str, Tensor]:
    """Grid step of every latent by channel, real, (C,).

    A uniform posterior's own width; for a Gaussian one sqrt(12) times the mean posterior deviation, which adds the
    same noise variance. Of u the deviation is taken in the base space, where the grid lies.
    """
    if model.uniform:
        return {name: model.width(name) for name in model.log_widths}
    if images is None:
        raise InputError("the grids of a Gaussian posterior are measured on images: give --data")
    ys = images.batch(torch.arange(min(256, len(images)), device=images.ys[0].device))
    by_name = {("x" if k == 0 else f"y{k}"): y for k, y in enumerate(ys)}
    widths = {}
    for step in model.steps:
        if step.inferred_from is None:
            continue
        mean, log_scale = model.posterior(step, by_name[step.inferred_from])
        assert log_scale is not None
        deviation = log_scale.exp()
        if not step.parents:
            high, low = (model.prior.inverse_map(mean + sign * deviation)[0] for sign in (1, -1))
            deviation = (high - low).abs() / 2
        widths[step.name] = math.sqrt(12) * deviation.mean((0, 2, 3))
    return widths


def _integers(values: Tensor, bits: int) -> list[Any]:
    return torch.floor(values.double() * 2**bits + 0.5).long().tolist()


def _settings(model: SelfVAE, step: Step, widths: Mapping[str, list[int]]) -> dict[str, Any]:
    """What a variable's family is set by, see `selfcodec.likelihoods`."""
    if step.target.kind == "latent" and step.parents:
        return {"kind": "latent", "widths": widths[step.name]}
    if step.target.kind == "latent":
        logits, means, log_scales = (_integers(p.detach(), PARAM_FRACTION) for p in model.prior.components())
        density = {"logits": logits, "means": means, "log_scales": log_scales}
        couplings = len(getattr(model.prior, "couplings", ()))
        return {"kind": "prior", "widths": widths[step.name], "density": density, "couplings": couplings}
    mixtures = model.config.likelihood.mixtures
    if model.in_context:
        return {"kind": "context", "mixtures": mixtures, "block": CONTEXT_BLOCK}
    known_sum = model.sum_is_known(step, model.phases - 1)
    return {"kind": "phases", "phases": model.phases, "mixtures": mixtures, "known_sum": known_sum}


@torch.no_grad()
def export_model(recipe: Recipe, model: SelfVAE, images: ImageSet | None) -> bytes:
    """The weights file of a trained model.

    Args:
        recipe: of the model.
        model: its networks.
        images: formats that training has not set, and the grids of a Gaussian posterior, are calibrated on them;
            None where neither is needed.

    Raises:
        InputError: images are needed and not there.
    """
    if not next(model.graphs())[1].formats:
        if images is None:
            raise InputError("the model was trained without rounding; its formats are measured on images: give --data")
        calibrate(model, images, torch.Generator().manual_seed(0), recipe.train.batch)
    graphs, tensors = {}, {}
    for name, net in model.graphs():
        graphs[name], own = export_network(name, net)
        tensors.update(own)
    widths = {
        name: [max(1, s) for s in _integers(width, LATENT_FRACTION)]
        for name, width in calibrated_widths(model, images).items()
    }
    spec = Spec(
        version=SPEC_VERSION,
        name=recipe.name,
        transformation=recipe.model.transformation,
        shape=model.shape,
        tile=CONTEXT_BLOCK if model.in_context else TILE,
        variables={step.name: _settings(model, step, widths) for step in model.steps},
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
