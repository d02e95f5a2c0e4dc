"""All families by kind. A new one is a file beside this one, and a name here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selfcodec.errors import ModelError
from selfcodec.likelihoods.context.likelihood import Context
from selfcodec.likelihoods.groups import Groups
from selfcodec.likelihoods.latent import Latent
from selfcodec.likelihoods.likelihood import Likelihood
from selfcodec.likelihoods.phases import Phases
from selfcodec.likelihoods.prior import Prior
from selfcodec.likelihoods.reconstruction import Reconstruction
from selfcodec.networks.windows import Network
from selfcodec.schedule import Step

FAMILIES: dict[str, type[Likelihood]] = {
    family.kind: family for family in (Prior, Latent, Groups, Phases, Context, Reconstruction)
}


def build_likelihood(step: Step, settings: Mapping[str, Any], nets: Mapping[str, Network]) -> Likelihood:
    """The family that a model names for a variable, with its networks.

    Args:
        step: the variable's factor.
        settings: `kind`, and what that kind is set by.
        nets: the model's networks by name.

    Raises:
        ModelError: the kind is unknown, or a setting or network is missing.
    """
    try:
        family = FAMILIES.get(str(settings["kind"]))
        if family is None:
            raise ModelError(f"unknown kind {settings['kind']!r}; known: {', '.join(FAMILIES)}")
        return family(step, settings, nets)
    except KeyError as error:
        raise ModelError(f"variable {step.name}: setting or network {error.args[0]!r} is missing") from error
    except (ModelError, TypeError, ValueError, OverflowError) as error:
        raise ModelError(f"variable {step.name}: {error}") from error
