"""Exported models as training had them, with likelihoods of images as their integer networks give them."""

from __future__ import annotations

from pathlib import Path

from selfcodec.models.config import Recipe
from selfcodec.models.recipe import parse_recipe_dict
from selfcodec.models.selfvae import SelfVAE
from selfcodec.models.starting import take_weights
from selfcodec.zoo import MANIFEST, Model, read_contents, read_manifest


def load_exported(source: Model) -> tuple[Recipe, SelfVAE]:
    """The recipe in a model's manifest, and its networks, which compute what the integer ones do.

    Raises:
        InputError: the manifest's recipe is none.
        ModelError: the weights are of another recipe.
    """
    weights = Path(source.where)
    manifest = weights.parent / MANIFEST
    recipe = parse_recipe_dict(read_manifest(weights.parent).get("recipe"), str(manifest))
    model = SelfVAE(recipe.model)
    take_weights(model, source)
    graphs = read_contents(weights.read_bytes())["graphs"]
    for name, net in model.graphs():
        net.formats = dict(graphs[name]["formats"])
    return recipe, model.eval().requires_grad_(False)
