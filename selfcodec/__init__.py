"""selfcodec: a learned lossless and lossy image codec on self-supervised variational auto-encoders.

data = selfcodec.encode(image, mode="lossless")       # PIL image, array (H, W, C) or path to bytes
data = selfcodec.encode(image, mode="rs2", bpp=0.5)   # lossy, of at most half a bit per pixel
image = selfcodec.decode(data)                        # bytes or path to PIL image, or DeepImage
files = selfcodec.encode_many(images)                 # the same of many, small ones in half the time; decode_many
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from selfcodec import pillow as _pillow  # registers .sv with Pillow
from selfcodec.errors import FormatError, InputError, ModelError, SelfcodecError, SelfcodecWarning, TruncatedError

if TYPE_CHECKING:
    from selfcodec.api import decode, decode_many, encode, encode_many
    from selfcodec.images import DeepImage

__all__ = [
    "DeepImage",
    "FormatError",
    "InputError",
    "ModelError",
    "SelfcodecError",
    "SelfcodecWarning",
    "TruncatedError",
    "decode",
    "decode_many",
    "encode",
    "encode_many",
]
__version__ = "0.1.0"

# OpenMP reads it when PyTorch is loaded. Threads that wait for one another in a loop take the processor from those that
# they wait for, wherever another process is busy: docs/decisions/0009-waiting.md.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

_pillow.register()


def __dir__() -> list[str]:
    """Names what is loaded when it is first asked for as well."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Loads the functions and `DeepImage`, and the codec with them, when they are first asked for (PEP 562)."""
    if name not in ("DeepImage", "decode", "decode_many", "encode", "encode_many"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from selfcodec import api

    return getattr(api, name)
