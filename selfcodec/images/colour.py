"""Whether samples with some description of their colours look as they do without: as sRGB."""

from __future__ import annotations

import functools
import io
import struct
from collections.abc import Mapping

import numpy as np
from PIL import Image

_STEPS = 9
_TOLERANCE = 2
"""Profiles that are all called sRGB differ by so many grey levels, in rounding and in how they treat black."""
_PNG_GAMMA = 45455
_PNG_PRIMARIES = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
_PNG_CICP = bytes((1, 13, 0, 1))
"""Primaries of BT.709, transfer function of sRGB, no matrix, full range."""


@functools.lru_cache(maxsize=8)
def profile_is_srgb(profile: bytes) -> bool:
    """Return whether an ICC profile shows colours, or greys, as sRGB does; False where it cannot be applied."""
    levels = np.linspace(0, 255, _STEPS).round().astype(np.uint8)
    try:
        from PIL import ImageCms  # missing where Pillow was built without LittleCMS

        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() == "GRAY":
            samples = Image.fromarray(levels[None])
        else:
            cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1)
            samples = Image.fromarray(cube.reshape(_STEPS, -1, 3))
        shown = ImageCms.profileToProfile(samples, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except Exception:  # LittleCMS refuses damaged profiles and those of other colour models
        return False
    difference = np.asarray(shown, np.int16) - np.asarray(samples.convert("RGB"), np.int16)
    return bool(np.abs(difference).max() <= _TOLERANCE)


def chunks_are_srgb(chunks: Mapping[bytes, bytes]) -> bool:
    """Return whether a PNG's colour chunks, by name, say nothing else than sRGB.

    Of several the first counts that there is of cICP, sRGB, and both gAMA and cHRM; what they say of a display that
    is brighter than usual (mDCV, cLLI) always does.
    """
    if b"mDCV" in chunks or b"cLLI" in chunks:
        return False
    if b"cICP" in chunks:
        return chunks[b"cICP"] == _PNG_CICP
    if b"sRGB" in chunks:
        return True
    gamma, primaries = chunks.get(b"gAMA"), chunks.get(b"cHRM")
    return (gamma is None or gamma == struct.pack(">I", _PNG_GAMMA)) and (
        primaries is None or primaries == struct.pack(">8I", *_PNG_PRIMARIES)
    )
