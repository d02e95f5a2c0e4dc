"""What to tell of settings before anything is coded: which of them change nothing, and what decoding will need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from selfcodec.errors import ModelError, naming
from selfcodec.modes import DEFAULT_QUALITY
from selfcodec.rate_control import Target
from selfcodec.refining import can_refine
from selfcodec.settings import Settings
from selfcodec.zoo import Model, is_boxed, model_by_id


def advice(settings: Settings, target: Target, model: Model, effort: int | None, *, named: bool) -> Iterator[str]:
    """One line each, for SelfcodecWarnings.

    Args:
        settings: of the files.
        target: what they are to keep to, if anything.
        model: what codes them.
        effort: the one that was asked for, if any.
        named: whether the model was asked for, and is not the default.

    Raises:
        InputError: the settings do not fit the model.
    """
    with naming(f"model {model.spec.name}"):
        sent, _ = settings.resolved(model.levels)
    model.check_offers(settings.mode)
    where = f"changes nothing in mode {settings.mode} of {model.spec.name}"
    if effort and not (can_refine(model, sent) or model.adapts(settings.mode)):
        yield f"the effort {where}"
    if not model.tuned(sent):
        if settings.quality != DEFAULT_QUALITY:
            yield f"the quality {where}"
        if target.given:
            yield f"the quality {where}: files may keep to the target, but none can come nearer to it"
    if is_boxed(model):  # everybody has it
        return
    if not named:
        folder = Path(model.where).parent
        yield (
            f"the default model {folder.name} is that of {folder}, which hides the one in the box: others cannot decode"
            " without it; rename that folder, or name the model if it is meant"
        )
    try:
        model_by_id(model.id)
    except ModelError:
        yield "decoding will need this model's folder below one named in $SELFCODEC_MODELS"
