"""All families by kind. A new one is a file beside this one, and a name here."""

from __future__ import annotations

from typing import Any

from selfcodec.models.likelihoods.context import Context
from selfcodec.models.likelihoods.groups import Groups
from selfcodec.models.likelihoods.latent import GivenLatent, Latent
from selfcodec.models.likelihoods.likelihood import PixelLikelihood
from selfcodec.models.likelihoods.phases import Phases
from selfcodec.models.likelihoods.posterior import Gaussian, Posterior, Uniform
from selfcodec.models.likelihoods.reconstruction import Reconstruction
from selfcodec.models.likelihoods.transform import Transform

PIXELS: dict[str, type[PixelLikelihood[Any]]] = {family.kind: family for family in (Phases, Context, Reconstruction)}
"""Pixel variables have these families, by the kind of the recipe's table."""
LATENTS: dict[str, type[GivenLatent]] = {family.kind: family for family in (Latent, Groups)}
"""Latents with parents have these, likewise."""
POSTERIORS: dict[str, type[Posterior]] = {family.kind: family for family in (Uniform, Gaussian, Transform)}
"""Latents have these posteriors, likewise."""
