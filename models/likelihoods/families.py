"""All families by kind. A new one is a file beside this one, and a name here."""

from __future__ import annotations

from typing import Any

from selfcodec.models.likelihoods.context import Context
from selfcodec.models.likelihoods.likelihood import PixelLikelihood
from selfcodec.models.likelihoods.phases import Phases
from selfcodec.models.likelihoods.posterior import Gaussian, Posterior, Uniform
from selfcodec.models.likelihoods.reconstruction import Reconstruction

PIXELS: dict[str, type[PixelLikelihood[Any]]] = {family.kind: family for family in (Phases, Context, Reconstruction)}
"""Pixel variables have these families, by the kind of the recipe's table."""
POSTERIORS: dict[str, type[Posterior]] = {family.kind: family for family in (Uniform, Gaussian)}
"""Latents have these posteriors, likewise."""
