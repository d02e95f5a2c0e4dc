"""selfcodec's models as coders, one a mode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from selfcodec.benchmarks.coders import OWN, Coded, Coder, Options, picture_of
from selfcodec.benchmarks.measure import Measured
from selfcodec.benchmarks.results import CoderInfo
from selfcodec.decoding import decode_file, open_file
from selfcodec.encoding import encode_picture
from selfcodec.format.container import header_bytes
from selfcodec.images import Picture, from_image
from selfcodec.modes import Mode, has_level
from selfcodec.networks.integer import DEFAULT_RUNTIME, Runtime
from selfcodec.refining import can_refine
from selfcodec.settings import Settings, usual_effort
from selfcodec.zoo import Model, default_model, find_model

QUALITIES = (25, 50, 75)
"""Lossy modes are measured at these qualities where none are asked for."""
WARM_UP = 64
"""A picture of so many pixels a side is coded before anything is measured."""


@dataclass(frozen=True, kw_only=True)
class Own(Coder):
    """One of selfcodec's models in one mode.

    Attributes:
        model: name or folder of the model.
        mode: what is sent.
        fallback: store an image where that is smaller than what the model makes of it.
        runtime: how networks run.
    """

    model: str
    mode: Mode
    fallback: bool = True
    runtime: Runtime = DEFAULT_RUNTIME

    def prepare(self, options: Options) -> None:
        """Code a small picture, once in a process: what coding loads and compiles is no part of a picture's time."""
        _warm_up(self.model, self.mode, options.get("effort", 0), self.runtime)

    def encode(self, picture: Picture, options: Options) -> Coded:
        """Return the picture's file."""
        settings, model = Settings(self.mode, **options), find_model(self.model)
        encoded = encode_picture(picture, settings, model, self.runtime, verify=False, fallback=self.fallback)
        return Coded(encoded.data, encoded.mode is Mode.STORED, encoded.model_bits)

    def decode(self, data: bytes) -> Picture:
        """Return the picture in a file."""
        return from_image(decode_file(data, model=find_model(self.model), runtime=self.runtime), strip=True)

    def payload(self, data: bytes) -> int:
        """Return the bytes of a file without its header."""
        return len(data) - header_bytes(open_file(data, model=find_model(self.model)))

    def restores(self, picture: Picture, decoded: Picture) -> bool:
        """Return whether the image came back in its own mode, with all its samples, and its palette if it has one."""
        same = picture.mode == decoded.mode and super().restores(picture, decoded)
        return same and (picture.source is None or picture.exact.tobytes() == decoded.exact.tobytes())


@cache
def _warm_up(model: str, mode: Mode, effort: int, runtime: Runtime) -> None:
    """Code and decode a picture of noise with a model, which does not store it."""
    noise = np.random.default_rng(0).integers(0, 256, (WARM_UP, WARM_UP, 3), dtype=np.uint8)
    coder = replace(own_coder(model, mode), runtime=runtime, fallback=False)
    coder.decode(coder.encode(picture_of(noise), {"effort": effort}).data)


def with_model_bits(found: Measured, picture: Picture, own: Own) -> Measured:
    """Return what was measured with usual settings; with the model's bits also where the file stores the picture."""
    if not found.stored:
        return found
    coded = replace(own, fallback=False).encode(picture, own.settings[""])
    return replace(found, model_bits=coded.model_bits)


_USUAL = {mode: {"effort": effort} if (effort := usual_effort(mode)) else {} for mode in Mode}
"""Where no settings are given, files are measured as users get them."""


def own_coder(name: str | None, mode: Mode, settings: Mapping[str, Options] | None = None) -> Own:
    """Return a model's coder in one mode, with usual settings if none are given; None: the mode's default."""
    model = name or default_model(mode, usual_effort(mode))
    info = CoderInfo(f"{Path(model).name} {mode}", OWN, lossless=mode is Mode.LOSSLESS)
    return Own(info=info, settings=settings or {"": _USUAL[mode]}, model=model, mode=mode)


def own_settings(model: Model, mode: Mode, qualities: tuple[int, ...], effort: int = 0) -> dict[str, Options]:
    """Return a model's settings in one mode: every level with every quality, with one effort."""
    if mode is Mode.LOSSLESS:
        return {"": _USUAL[mode]}
    levels = range(1, model.levels + 1) if has_level(mode) else (None,)
    points = [(level, quality) for level in levels for quality in qualities]
    named = model.levels > 1 and has_level(mode)
    more = {"effort": effort} if effort else {}
    return {
        f"level={level} q={quality}" if named else f"q={quality}": {"level": level, "quality": quality, **more}
        for level, quality in points
    }


@cache
def own_coders(
    name: str,
    modes: tuple[Mode, ...] = (),
    qualities: tuple[int, ...] = QUALITIES,
    efforts: tuple[int, ...] = (0,),
) -> dict[str, Coder]:
    """Return a model's coders by key, one for each of `modes` that it offers; for all of them where none is given.

    Where encoders have something to look for, there is one for each effort, which stands in its key if it is not 0.
    """
    model, coders = find_model(name), dict[str, Coder]()
    for mode in (mode for mode in model.modes if not modes or mode in modes):
        sent, _ = Settings(mode).resolved(model.levels)
        for effort in efforts if can_refine(model, sent) else (0,):
            coder = own_coder(name, mode, own_settings(model, mode, qualities, effort))
            title = f"{coder.info.title} effort {effort}" if effort else coder.info.title
            coders[title] = replace(coder, info=replace(coder.info, title=title))
    return coders
