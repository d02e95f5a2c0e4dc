"""Files of `tests/vectors`: a text header, an empty line, and the octets of an `.sv` file in hexadecimal."""

from __future__ import annotations

import hashlib
import textwrap
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

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


def pixels_of(image: Image.Image) -> str:
    """What an image shows."""
    return f"rgba8 {hashlib.sha256(image.convert('RGBA').tobytes()).hexdigest()}"


def metadata_of(image: Image.Image) -> str:
    """An image's metadata, as far as files keep them."""
    found = {name: image.info[name] for name in ("icc_profile", "exif", "xmp") if name in image.info}
    return ", ".join(f"{name} {hashlib.sha256(value).hexdigest()}" for name, value in found.items())
