"""Which kinds of image files there are, and of which kind a file is by its content."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

_HEAD_BYTES = 64
_PREFIX_BYTES = 16
"""Pillow's readers are asked about so many first bytes."""
_NOT_READ = frozenset(("BUFR", "GRIB", "HDF5", "MPEG", "WMF", "SV"))
"""Pillow tells these kinds but has no decoder for them; and .sv files are what pictures are made to."""
_FAINT = frozenset(("BMP", "CUR", "DIB", "FITS", "FLI", "GBR", "ICO", "PCX", "PPM", "SGI", "XBM", "XVTHUMB"))
"""Files of other kinds, texts among them, may begin like these, so that their headers must be whole as well."""
_HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))

_warning_filters = threading.Lock()


@contextlib.contextmanager
def large_ones_welcome() -> Iterator[None]:
    """Within the block Pillow does not warn of 89 megapixels and more; its error for twice that stands."""
    with _warning_filters, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


@functools.cache
def register_formats() -> None:
    """Make Pillow know every kind of file that it, or a plugin that is installed, can read."""
    Image.init()
    with contextlib.suppress(ImportError):
        importlib.import_module("pillow_jxl")
    with contextlib.suppress(ImportError):
        importlib.import_module("pillow_heif").register_heif_opener()


def needs_plugin(head: bytes) -> str | None:
    """Return the kind of a file that Pillow cannot read without a plugin: JXL, HEIC, or None; by its first bytes."""
    if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")):
        return "JXL"
    return "HEIC" if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS else None


def kind_by_signature(head: bytes) -> str | None:
    """Return Pillow's name of the format that a file's first bytes clearly tell, if any."""
    register_formats()
    if kind := needs_plugin(head):
        return kind
    return next((kind for kind in _kinds() if kind not in _FAINT and _accepts(kind, head)), None)


def kind_of(path: str | os.PathLike[str]) -> str | None:
    """Return Pillow's name of an image file's format, by content; None where it is no image or cannot be read.

    Nothing is decoded. What is told by a clear signature may still be damaged.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return None
    if kind := kind_by_signature(head):
        return kind
    for kind in _kinds():
        if kind in _FAINT and _accepts(kind, head) and _opens(path, kind):
            return kind
    kind = Image.registered_extensions().get(Path(path).suffix.lower())
    unsigned = kind in _kinds() and Image.OPEN[kind][1] is None
    return kind if kind is not None and unsigned and _opens(path, kind) else None


def _kinds() -> list[str]:
    return [kind for kind in Image.ID if kind not in _NOT_READ]


def _accepts(kind: str, head: bytes) -> bool:
    accept = Image.OPEN[kind][1]
    try:
        return accept is not None and bool(accept(head[:_PREFIX_BYTES]))
    except Exception:  # on fewer bytes than they expect some raise
        return False


def _opens(path: str | os.PathLike[str], kind: str) -> bool:
    """Whether a file's header is one of this kind."""
    try:
        with large_ones_welcome(), Image.open(path, formats=[kind]):
            return True
    except Image.DecompressionBombError:
        return True
    except Exception:  # Pillow's readers raise nearly every type on what is not theirs
        return False
