"""What each format holds of an image, and how it is written."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from selfcodec.errors import InputError
from selfcodec.images.deep import AnyImage, DeepImage
from selfcodec.images.fitting import Keyed
from selfcodec.images.png import with_properties
from selfcodec.images.properties import PROPERTIES, Properties
from selfcodec.images.tiff import deep_tiff, tiff_tags

Pieces = list[bytes | memoryview]
"""A file's parts in order; not one, so that large files need not be copied."""


def _with_pillow(image: AnyImage, format: str, **options: Any) -> memoryview:
    """Return the file that Pillow writes."""
    if isinstance(image, DeepImage):
        raise InputError(f"Pillow cannot write {image.mode}")
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getbuffer()


def _write_plainly(image: AnyImage, properties: Properties, target: Target) -> Pieces:
    """Write with Pillow's options of the properties that the target holds."""
    options = {
        "icc_profile": properties.icc_profile,
        "exif": properties.exif,
        "xmp": properties.xmp,
        "dpi": properties.dpi,
        "text": properties.comment.encode(),
    }
    held = {
        "comment" if name == "text" else name: options[name] for name in target.holds & options.keys() if options[name]
    }
    return [_with_pillow(image, target.format, **target.options, **held)]


def _write_png(image: AnyImage, properties: Properties, target: Target) -> Pieces:
    if isinstance(image, DeepImage):
        from imagecodecs import png_encode

        return with_properties(memoryview(png_encode(image.samples)), properties)
    options: dict[str, int | None] = {"icc_profile": None}  # for Pillow would write the image's own as well
    if image.mode == "1" and "transparency" in image.info:
        options["transparency"] = int(image.info["transparency"] != 0)  # white is 255 to Pillow, and 1 in the file
    return with_properties(_with_pillow(image, "PNG", **options), properties)


def _write_tiff(image: AnyImage, properties: Properties, target: Target) -> Pieces:
    if isinstance(image, DeepImage):
        return deep_tiff(image, properties)
    return [_with_pillow(image, "TIFF", tiffinfo=tiff_tags(properties))]


def _write_ppm(image: AnyImage, properties: Properties, target: Target) -> Pieces:
    if isinstance(image, DeepImage):
        return [b"P6\n%d %d\n65535\n" % image.size, np.ascontiguousarray(image.samples, ">u2").data.cast("B")]
    return [_with_pillow(image, "PPM")]


def _write_checked(image: AnyImage, properties: Properties, target: Target) -> Pieces:
    """Write in a format of which nothing is known, and refuse it unless it reads back the same."""
    pieces = _write_plainly(image, properties, target)
    with Image.open(io.BytesIO(pieces[0])) as written:
        if not isinstance(image, DeepImage) and written.convert("RGBA") != image.convert("RGBA"):
            raise InputError("it does not come back the same")
    return pieces


@dataclass(frozen=True)
class Target:
    """A format that images are written in."""

    format: str
    """Pillow's name, or one of NETPBM."""
    modes: frozenset[str]
    """Of images that are written as they are."""
    holds: frozenset[str] = frozenset()
    """Names of PROPERTIES, and orientation where readers turn pictures as EXIF says."""
    keyed: Keyed = "none"
    inexact: frozenset[str] = frozenset()
    """Modes of images whose pixels are changed."""
    limit: str = ""
    """What it cannot hold, where that is more than a mode."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """For Pillow."""
    write: Callable[[AnyImage, Properties, Target], Pieces] = _write_plainly


def _target(format: str, modes: str, holds: str = "", *, inexact: str = "", **others: Any) -> Target:
    """Take names separated by spaces."""
    return Target(
        format, frozenset(modes.split()), frozenset(holds.split()), inexact=frozenset(inexact.split()), **others
    )


_COMMON = "1 L LA P RGB RGBA"
_DEEP = "I;16 LA;16 RGB;16 RGBA;16"
_PHOTOGRAPH = "icc_profile exif xmp orientation"
_HEIF = {"quality": -1, "chroma": 444, "matrix_coefficients": 0}
"""Without loss: colours as they are, in no other colour space."""
_DEEP_COLOUR = "16 bits a sample in colour or with alpha"
_JPEG = {"quality": 95, "subsampling": "4:4:4"}

NETPBM = {".pbm": "PBM", ".pgm": "PGM", ".ppm": "PPM", ".pnm": "PNM"}
"""Formats by suffixes that to Pillow are one format; strict readers take only the kind of picture that each names."""

TARGETS = {
    target.format: target
    for target in (
        _target("PNG", f"{_COMMON} {_DEEP}", " ".join(("orientation", *PROPERTIES)), keyed="any", write=_write_png),
        _target("TIFF", f"{_COMMON} {_DEEP} CMYK", f"{_PHOTOGRAPH} dpi text", write=_write_tiff),
        _target("WEBP", "RGB RGBA", _PHOTOGRAPH, options={"lossless": True, "exact": True}),
        _target("JXL", "L LA RGB RGBA I;16", "exif xmp", limit=_DEEP_COLOUR, options={"lossless": True}),
        _target("HEIF", "L RGB RGBA", "icc_profile exif xmp", options=_HEIF),
        # Pillow has AVIF turn pictures, but then writes the texts of EXIF anew, as ASCII.
        _target("AVIF", "L RGB RGBA", "icc_profile exif xmp", inexact="P RGB RGBA", options=_JPEG | {"quality": 100}),
        _target("JPEG2000", "L LA RGB RGBA I;16", "text", limit=_DEEP_COLOUR),
        *(
            _target(name, "L RGB CMYK", f"{_PHOTOGRAPH} dpi text", inexact=f"{_COMMON} CMYK", options=_JPEG)
            for name in ("JPEG", "MPO")
        ),
        _target("GIF", "L P", "text", keyed="entry", limit="more than 256 colours or partial transparency"),
        _target("BMP", "1 L P RGB", "dpi"),
        _target("DIB", "1 L P RGB", "dpi"),
        _target("PBM", "1", limit="more than black and white, as .pnm does", write=_write_ppm),
        _target("PGM", "L I;16", limit="colours, as .pnm does, or transparency", write=_write_ppm),
        _target("PPM", "RGB RGB;16", write=_write_ppm),
        _target("PNM", "1 L RGB I;16 RGB;16", write=_write_ppm),
        _target("QOI", "RGB RGBA", options={"colorspace": "sRGB"}),
        _target("TGA", "L LA P RGB RGBA"),
        _target("PCX", "1 L P RGB"),
        _target("SGI", "L RGB RGBA"),
        _target("DDS", "L LA RGB RGBA"),
        _target("MSP", "1", limit="more than black and white"),
        _target("XBM", "1", limit="more than black and white"),
    )
}


def target_of(format: str) -> Target:
    """Return a format's line in the table; of others, one that is checked each time."""
    return TARGETS.get(format) or _target(format, "L LA RGB RGBA", write=_write_checked)
