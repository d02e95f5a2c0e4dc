"""Training that starts from the weights of an exported model."""

from __future__ import annotations

from dataclasses import replace

import torch

from selfcodec.errors import ModelError
from selfcodec.fixed_point import LATENT_FRACTION
from selfcodec.models.likelihoods.posterior import MOST_WIDTH
from selfcodec.models.selfvae import SelfVAE
from selfcodec.networks.graph import CONVOLUTIONS, Graph
from selfcodec.zoo import Model


def widens(graph: Graph, narrower: Graph) -> bool:
    """Whether a network is another one, but perhaps for channels added to inputs, convolutions and sums."""
    if graph == narrower:
        return True
    if len(graph.nodes) != len(narrower.nodes):
        return False
    fixed = {graph.output.name, *(node.name for node in graph.inputs if node.op != "latent")}
    return all(
        node.op in ("pixels", "latent", "conv", "deconv", "add")
        and replace(node, channels=old.channels) == old
        and (node.channels == old.channels or (node.channels > old.channels and node.name not in fixed))
        for node, old in zip(graph.nodes, narrower.nodes, strict=True)
    )


def take_weights(model: SelfVAE, source: Model) -> None:
    """Takes the weights of an exported model, which may be narrower; ModelError where it is of another shape."""
    if source.spec.shape != model.shape:
        raise ModelError(f"training cannot start from {source.where}: its variables are not this recipe's")
    for name, net in model.graphs():
        other = source.nets.get(name)
        if other is None or not widens(net.graph, other.graph):
            raise ModelError(f"training cannot start from {source.where}: network {name!r} is not this recipe's")
        for node in net.graph.nodes:
            if node.op in CONVOLUTIONS:
                net.set_weights(node, *map(torch.from_numpy, other.real(node.name)))
    with torch.no_grad():
        for name, width in model.log_widths.items():
            widths = torch.tensor(source.spec.variables[name]["widths"], dtype=torch.float64) * 2.0**-LATENT_FRACTION
            if (widths > MOST_WIDTH).any():  # it would be narrower from now on, and what sends nothing cost bits
                raise ModelError(f"training cannot start from {source.where}: {name} has wider grids than are trained")
            width.copy_(widths.log())
    for name, latent in model.latents.items():
        latent.take(source.spec.variables[name], source.spec.planes)
