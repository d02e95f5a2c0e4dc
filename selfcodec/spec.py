"""What the codec must know of a model besides its networks, and how older descriptions are read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from selfcodec.errors import InputError, ModelError
from selfcodec.fixed_point import ACTIVATION_MAX, INPUT_FRACTION
from selfcodec.modes import MAX_QUALITY, MAX_TRANSFORMS
from selfcodec.schedule import Shape, Step, build_schedule
from selfcodec.transforms import get_transform

MAX_TILE = 2**24
"""A tile's side is at most this, which is an image's."""
SPEC_VERSION = 4
PLANE_CENTRE, PLANE_UNIT = 4.0, 0.5
"""Networks see a quality as PLANE_UNIT (ln(trade) + PLANE_CENTRE)."""
FamilySettings = dict[str, Any]
"""A variable's settings are its `kind`, and what that family is set by."""


def trade_of(plane: int) -> float:
    """What a squared error of one grey level at one pixel, averaged over its colours, counts in bits.

    Args:
        plane: a quality as networks see it, in 2**-6.
    """
    return math.exp(plane / 2**INPUT_FRACTION / PLANE_UNIT - PLANE_CENTRE)


@dataclass(frozen=True)
class Spec:
    """A model's specification.

    Attributes:
        version: of this structure.
        name: the model's name.
        transformation: name of d.
        shape: of the schedule.
        tile: largest tile in pixels in each direction.
        variables: for each variable of the schedule its family's `kind` and settings, see `selfcodec.likelihoods`.
        planes: the qualities 1..100 as networks see them, in 2**-6, see `trade_of`; none where they see none.
    """

    version: int
    name: str
    transformation: str
    shape: Shape
    tile: int
    variables: dict[str, FamilySettings]
    planes: tuple[int, ...]

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Spec:
        """ModelError where a key is unknown or missing, or the version is another."""
        try:
            found = {**values, "shape": Shape(**values["shape"])}
            if found["version"] == 1:
                found = _lifted(found)
            if found["version"] == 2:  # networks that see the quality came with version 3
                found |= {"version": 3, "planes": ()}
            if found["version"] == 3 and not any(own["kind"] == "context" for own in found["variables"].values()):
                found["version"] = 4  # in which values in context are coded in another way
            found["planes"] = tuple(found["planes"])
            if found["version"] != SPEC_VERSION or set(found) != {field.name for field in fields(Spec)}:
                raise ModelError("the model was written for another version of selfcodec: export it again")
            spec = Spec(**found)
            _check(spec)
            if set(spec.variables) != {step.name for step in build_schedule(spec.shape)}:
                raise ModelError("the model's specification is damaged: its variables are not those of its schedule")
            return spec
        except (InputError, TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            raise ModelError(f"the model's specification is damaged: {type(error).__name__} {error}") from error


def _check(spec: Spec) -> None:
    """ModelError where a number is none or out of range."""
    shape, transform = spec.shape, get_transform(spec.transformation)
    limits = {"levels": (0, MAX_TRANSFORMS), "factor": (transform.factor,) * 2, "y_channels": (transform.channels,) * 2}
    limits |= {f"{name}_channels": (1, 1024) for name in "uz"} | {f"{name}_down": (0, 8) for name in "uz"}
    numbers = [(f"shape.{name}", getattr(shape, name), *ends) for name, ends in limits.items()]
    for name, value, low, high in (*numbers, ("tile", spec.tile, 1, MAX_TILE)):
        if type(value) is not int or not low <= value <= high:
            raise ModelError(f"the model's specification is damaged: {name} is {value!r:.40}, not in {low}..{high}")
    if len(spec.planes) not in (0, MAX_QUALITY) or not all(
        type(p) is int and abs(p) <= ACTIVATION_MAX for p in spec.planes
    ):
        raise ModelError(f"the model's specification is damaged: planes are not of {MAX_QUALITY} qualities")


def _lifted(old: dict[str, Any]) -> dict[str, Any]:
    """Version 1, in which one setting for each thing served all variables, as version 2."""
    steps = build_schedule(old["shape"])
    kept = {key: old[key] for key in ("name", "transformation", "shape", "tile")}
    return kept | {"version": 2, "variables": {step.name: _lifted_variable(step, old) for step in steps}}


def _lifted_variable(step: Step, old: dict[str, Any]) -> FamilySettings:
    if step.target.kind == "latent":
        widths = {"widths": old["steps"][step.name]}
        if step.parents:
            return {"kind": "latent"} | widths
        return {"kind": "prior", "density": old["base"], "couplings": old["couplings"]} | widths
    if old.get("block", 0):
        return {"kind": "context", "mixtures": old["mixtures"], "block": old["block"]}
    known_sum = old["known_sum"] and step.parents[0].kind == "pixels"
    return {"kind": "phases", "phases": old["phases"], "mixtures": old["mixtures"], "known_sum": known_sum}
