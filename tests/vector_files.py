"""Files of `tests/vectors`: a text header, an empty line, and the octets of an `.sv` file in hexadecimal."""

from __future__ import annotations

import hashlib
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from selfcodec.arrays import UInt8, UInt16
from selfcodec.images import AnyImage
from selfcodec.images.deep import DEEP_CHANNELS, samples_of

_OCTETS = 32
"""In a line."""


@dataclass(frozen=True)
class Vector:
    """One scenario.

    Attributes:
        fields: of the header, by name; README.md beside the files explains them.
        data: the `.sv` file.
    """

    fields: dict[str, str]
    data: bytes


@dataclass(frozen=True)
class Vectors:
    """A folder of scenarios."""

    folder: Path

    def names(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("*.txt"))

    def read(self, name: str) -> Vector:
        header, _, octets = (self.folder / f"{name}.txt").read_text(encoding="utf-8").partition("\n\n")
        return Vector(dict(line.split(": ", 1) for line in header.splitlines()), bytes.fromhex(octets))

    def write(self, name: str, vector: Vector) -> None:
        lines = [f"{key}: {value}" for key, value in vector.fields.items()]
        octets = textwrap.wrap(vector.data.hex(" "), 3 * _OCTETS)
        (self.folder / f"{name}.txt").write_text("\n".join((*lines, "", *octets, "")), encoding="utf-8")


GOOD = Vectors(Path(__file__).parent / "vectors" / "good")
BAD = Vectors(Path(__file__).parent / "vectors" / "bad")


def pixels_of(image: AnyImage) -> str:
    """What an image shows."""
    if image.mode == "CMYK":
        form, samples = "cmyk8", samples_of(image).tobytes()
    elif image.mode in DEEP_CHANNELS:
        form, samples = "rgba16", _rgba16(samples_of(image)).astype(">u2").tobytes()
    else:
        assert isinstance(image, Image.Image)
        form, samples = "rgba8", image.convert("RGBA").tobytes()
    return f"{form} {hashlib.sha256(samples).hexdigest()}"


def _rgba16(samples: UInt8 | UInt16) -> UInt16:
    """Samples (H, W, 1..4) with three colours and alpha, (H, W, 4)."""
    channels = samples.shape[2]
    colours = samples[..., : channels - (channels % 2 == 0)].astype(np.uint16)
    alpha = samples[..., -1] if channels % 2 == 0 else np.full(samples.shape[:2], 65535)
    return np.dstack((np.broadcast_to(colours, (*samples.shape[:2], 3)), alpha)).astype(np.uint16)


def metadata_of(image: AnyImage) -> str:
    """An image's metadata, as far as files keep them."""
    found = {name: image.info[name] for name in ("icc_profile", "exif", "xmp") if name in image.info}
    if chunks := image.info.get("png_chunks"):
        found["png_chunks"] = b"".join(name + body for name, body in chunks)
    return ", ".join(f"{name} {hashlib.sha256(value).hexdigest()}" for name, value in found.items())
