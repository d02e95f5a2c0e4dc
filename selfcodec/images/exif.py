"""EXIF as Pillow's directories of tags, with texts that are written as they were read."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from PIL import Image, TiffTags

# TIFF tags that describe the layout of the source file, or that Pillow hands over separately (ICC, XMP).
TIFF_LAYOUT = frozenset((254, 255, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 320, 322, 323))
TIFF_LAYOUT |= frozenset((324, 325, 338, 339, 347, 530, 532, 700, 34675))


def entries(exif: Image.Exif, without: Container[int] = ()) -> dict[int, Any]:
    """Return values by tag, of further directories as such dictionaries, but for the tags in `without`.

    Texts become bytes, since Pillow reads them as Latin-1 and writes them as ASCII.
    """
    found: dict[int, Any] = {}
    for tag in exif:
        if tag not in without:
            further = tag in TiffTags.TAGS_V2_GROUPS
            found[tag] = {t: _raw(v) for t, v in exif.get_ifd(tag).items()} if further else _raw(exif[tag])
    return found


def _raw(value: Any) -> Any:
    return value.encode("latin-1") if isinstance(value, str) else value


def packed(tags: dict[int, Any]) -> bytes:
    """Return the tags as `info["exif"]` has them, but for those that cannot be written; b"" of none."""
    kept = writable(tags)
    return _written(kept) if kept else b""


def writable(tags: dict[int, Any]) -> dict[int, Any]:
    """Return the tags whose values can be written, which are not all: Pillow reads values of types that no tag has."""
    return tags if _can_be_written(tags) else {t: v for t, v in tags.items() if _can_be_written({t: v})}


def unwritable(tags: dict[int, Any]) -> list[int]:
    """Return the other tags, in order."""
    return sorted(tags.keys() - writable(tags).keys())


def _can_be_written(tags: dict[int, Any]) -> bool:
    try:
        _written(tags)
    except Exception:  # Pillow raises nearly every type
        return False
    return True


def _written(tags: dict[int, Any]) -> bytes:
    exif = Image.Exif()
    exif.update(tags)
    return exif.tobytes()
