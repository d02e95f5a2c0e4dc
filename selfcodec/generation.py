"""Values of variables, apart from files: what an encoder infers, pictures completed from some, pictures from none."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping

import numpy as np

from selfcodec.arrays import Int64, UInt8
from selfcodec.errors import InputError
from selfcodec.fixed_point import LATENT_FRACTION
from selfcodec.modes import MAX_SEED
from selfcodec.networks.integer import DEFAULT_RUNTIME, Runtime
from selfcodec.settings import whole_number
from selfcodec.tiles import together
from selfcodec.walk import Batch, Known, filling, walk
from selfcodec.zoo import Model, find_model

Size = tuple[int, int]
"""It is (height, width) in pixels."""
LATENT_MAX = 16 << LATENT_FRACTION
"""Latents have at most this magnitude: encoders infer none that is larger, and networks see none."""
ModelOrName = Model | str | os.PathLike[str]
"""A model, or its name or folder, as of `find_model`."""


def _model(given: ModelOrName) -> Model:
    return given if isinstance(given, Model) else find_model(given)


def _check_images(images: UInt8) -> None:
    """InputError for what is no array of images."""
    if not isinstance(images, np.ndarray):
        raise InputError(f"images of {type(images).__name__}: give an array (B, H, W, 3) of uint8")
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise InputError(f"images {images.shape} of {images.dtype}: give (B, H, W, 3) of uint8")


def _parts(count: int, size: Size, model: Model, runtime: Runtime) -> Iterator[tuple[slice, Batch]]:
    """Images in batches that fit into memory; InputError where there are none, or they are larger than a tile."""
    tile = model.spec.tile
    if not 1 <= min(size) <= max(size) <= tile:
        raise InputError(f"this model's pictures have 1×1 up to {tile}×{tile} pixels here, not {size[1]}×{size[0]}")
    most = together(size, runtime.batch)
    for start in range(0, count, most):
        part = slice(start, min(start + most, count))
        yield part, Batch(model, size, part.stop - start, False, runtime)


def infer(images: UInt8, model: ModelOrName, runtime: Runtime = DEFAULT_RUNTIME) -> dict[str, Int64]:
    """Every variable of some images of one size: x and y_k as they are, latents' posterior means in 2**-12.

    Args:
        images: (B, H, W, 3), at most a tile of the model in size.
        model: the model, or its name or folder.
        runtime: how networks run; has no influence on the result.

    Returns:
        by name int64 (B, C, h, w).

    Raises:
        InputError: the images are no uint8 (B, H, W, 3), there are none, or they are larger than a tile.
    """
    _check_images(images)
    model = _model(model)
    whole_number("the number of images", len(images), 1)
    names = [step.name for step in model.steps]
    batches = _parts(len(images), (images.shape[1], images.shape[2]), model, runtime)
    found = [batch.infer(images[part], names) for part, batch in batches]
    return {name: np.concatenate([values[name] for values in found]).astype(np.int64) for name in names}


def render(
    known: Mapping[str, Int64],
    count: int,
    size: Size,
    model: ModelOrName,
    seed: int | None = None,
    runtime: Runtime = DEFAULT_RUNTIME,
    drawn: Collection[str] | None = None,
) -> UInt8:
    """Images completed from the values of any variables, (count, H, W, 3); the same on every machine.

    With u and all z of `infer` this is the mode rs2 without rounding to grids; with y alone, super-resolution; with u
    alone and a seed, other pictures of the same thing (paper, section 3.3).

    Args:
        known: by name int64 (count, C, h, w), in units as of `infer`; what is not known is filled in.
        count: images.
        size: (height, width) of x in pixels, at most a tile of the model.
        model: the model, or its name or folder.
        seed: draws what is not known, for image i from seed + i; None takes means.
        runtime: how networks run; has no influence on the result.
        drawn: names of the variables that the seed draws, the others that are not known take means; None for all.

    Raises:
        InputError: the size is none, or larger than a tile, there are no images, the seed is out of range, or values or
            what is drawn are of no variable of the model, or values misshapen or out of range.
    """
    model = _model(model)
    count, size = whole_number("the number of images", count, 1), _checked(size)
    first = None if seed is None else whole_number("seed", seed, 0, MAX_SEED - count + 1)
    known = _arrays(known)
    _check_names((*known, *(drawn or ())), model)
    images = []
    for part, batch in _parts(count, size, model, runtime):
        if not part.start:
            _check(known, count, batch)
        draws = filling(None if first is None else [(first + i) << 32 for i in range(part.start, part.stop)])
        sources = {step.name: draws if drawn is None or step.name in drawn else filling(None) for step in model.steps}
        given = Known({name: values[part] for name, values in known.items()})
        walk([batch], sources | dict.fromkeys(known, given))
        images.append(batch.values["x"].transpose(0, 2, 3, 1).astype(np.uint8))
    return np.concatenate(images)


def _checked(size: Size) -> Size:
    """Height and width as Python's own numbers; InputError for anything else."""
    try:
        height, width = size
    except (TypeError, ValueError) as error:
        raise InputError(f"a size is (height, width) in pixels, not {size!r}") from error
    return whole_number("a height in pixels", height, 1), whole_number("a width in pixels", width, 1)


def _arrays(known: Mapping[str, Int64]) -> dict[str, Int64]:
    """The values in memory as networks want them, contiguous; InputError for what are no arrays by name."""
    if not isinstance(known, Mapping):
        raise InputError(f"values are given by the names of their variables, not as {type(known).__name__}")
    try:
        return {name: np.array(values, order="C") for name, values in known.items()}
    except ValueError as error:  # of lists of different lengths
        raise InputError(f"values make no arrays: {error}") from error


def _check_names(names: Iterable[object], model: Model) -> None:
    """InputError for what is no variable of the model."""
    variables = [step.name for step in model.steps]
    for name in names:
        if name not in variables:
            raise InputError(f"the model has no variable {name!r}; it has {', '.join(variables)}")


def _check(known: Mapping[str, Int64], count: int, batch: Batch) -> None:
    """InputError for misshapen values, pixels that are none, and latents out of range."""
    variables = {step.name: step.target for step in batch.model.steps}
    for name, values in known.items():
        variable = variables[name]
        shape = (count, variable.channels, *batch.extent(variable))
        if values.shape != shape or values.dtype != np.int64:
            raise InputError(f"{name}: values {values.shape} of {values.dtype}: give {shape} of int64")
        if variable.kind == "pixels" and not (values.min() >= 0 and values.max() <= 255):
            raise InputError(f"{name}: pixels go from 0 to 255, not from {values.min()} to {values.max()}")
        if variable.kind == "latent" and not (values.min() >= -LATENT_MAX and values.max() <= LATENT_MAX):
            limits = f"from {-LATENT_MAX} to {LATENT_MAX}, in 2**-{LATENT_FRACTION}"
            raise InputError(f"{name}: latents go {limits}, not from {values.min()} to {values.max()}")


def sample_images(model: ModelOrName, count: int, size: Size, seed: int, runtime: Runtime = DEFAULT_RUNTIME) -> UInt8:
    """Images drawn from the model (paper: generation), (count, H, W, 3); see `render`."""
    return render({}, count, size, model, seed, runtime)


def interpolate(ends: UInt8, count: int, model: ModelOrName, runtime: Runtime = DEFAULT_RUNTIME) -> UInt8:
    """Images on the way from one to another through u, (count, H, W, 3); the ends are themselves as u has them.

    u moves on the straight line between the ends' posterior means; all else takes its mean given that u. The line is
    straight because nothing bends it: the sphere that others follow is where a standard Gaussian has its mass, and
    the prior of u, a flow or a mixture, has none (paper, Figure 6i, which leaves both open).

    Args:
        ends: (2, H, W, 3), as for `infer`.
        count: images, at least 2.
        model: the model, or its name or folder.
        runtime: how networks run; has no influence on the result.

    Raises:
        InputError: there are fewer images, or the ends are none.
    """
    whole_number("count", count, 2)
    _check_images(ends)
    model = _model(model)
    if len(ends) != 2:
        raise InputError(f"the ends are two images, not {len(ends)}")
    first, last = infer(ends, model, runtime)["u"]
    way = np.arange(count).reshape(-1, 1, 1, 1)
    u = ((count - 1 - way) * first + way * last + (count - 1) // 2) // (count - 1)
    return render({"u": u}, count, (ends.shape[1], ends.shape[2]), model, runtime=runtime)
