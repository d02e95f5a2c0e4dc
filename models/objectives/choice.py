"""The objective that a recipe names."""

from __future__ import annotations

from selfcodec.models.objectives.likelihood import LikelihoodObjective
from selfcodec.models.objectives.objective import Objective
from selfcodec.models.objectives.rate_distortion import RateDistortionObjective
from selfcodec.models.training_config import LikelihoodObjectiveConfig, ObjectiveConfig


def build_objective(config: ObjectiveConfig) -> Objective:
    """The objective that a recipe names."""
    if isinstance(config, LikelihoodObjectiveConfig):
        return LikelihoodObjective(config)
    return RateDistortionObjective(config)
