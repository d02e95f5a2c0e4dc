"""What is measured: selfcodec's models by mode, and other coders as imagecodecs wraps them, behind one interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.benchmarks import learned, payload
from selfcodec.benchmarks.results import CoderInfo
from selfcodec.codec import Settings, decode_file, encode_picture, open_file
from selfcodec.errors import InputError
from selfcodec.format.container import header_bytes
from selfcodec.images import from_image
from selfcodec.modes import Mode, has_level
from selfcodec.zoo import Model, find_model

Options = Mapping[str, Any]

OWN, PEER = "selfcodec", "peer"
QUALITIES = (25, 50, 75)
"""Of our lossy modes, where none are asked for."""
JPEGLS_HEADER = 1024
"""More bytes than one has."""


def _nothing(options: Options) -> None:
    """Prepares nothing."""


@dataclass(frozen=True)
class Coder:
    """From an image (H, W, 3) to a file and back.

    Attributes:
        info: for reports.
        how: what is called with which fixed options, for readers.
        settings: options of `encode` by the name of the setting; a lossless coder has one setting, "".
        encode: image and options to a file.
        decode: back.
        payload: bytes of a file without its header, as far as the format tells them apart.
        prepare: called with the options before `encode`, outside the time that is measured.
        model: name or folder of the model, of our own coders.
    """

    info: CoderInfo
    how: str
    settings: Mapping[str, Options]
    encode: Callable[[UInt8, Options], bytes]
    decode: Callable[[bytes], UInt8]
    payload: Callable[[bytes], int]
    prepare: Callable[[Options], None] = _nothing
    model: str | None = None


def _imagecodecs() -> Any:
    try:
        import imagecodecs
    except ImportError as error:
        raise InputError("other coders need the package imagecodecs: pip install 'selfcodec[bench]'") from error
    return imagecodecs


def _write(image: UInt8, options: Options, *, format: str) -> bytes:
    room = {"out": 2 * image.nbytes + JPEGLS_HEADER} if format == "jpegls" else {}  # its own guess fails on noise
    return bytes(getattr(_imagecodecs(), f"{format}_encode")(np.ascontiguousarray(image), **options, **room))


def _read(data: bytes, *, format: str) -> UInt8:
    image = np.asarray(getattr(_imagecodecs(), f"{format}_decode")(data))
    if image.ndim == 2:  # some formats notice that an image is grey
        image = image[:, :, None].repeat(3, 2)
    return image[:, :, :3]


def _peer(
    title: str, format: str, how: str, settings: Mapping[str, Options], measure: Callable[[bytes], int] = len
) -> Coder:
    lossless = list(settings) == [""]
    encode, decode = partial(_write, format=format), partial(_read, format=format)
    return Coder(CoderInfo(title, PEER, lossless), how, settings, encode, decode, measure)


def _sweep(name: str, values: tuple[float, ...], option: str = "level", **fixed: Any) -> dict[str, Options]:
    return {f"{name}={value:g}": {option: value, **fixed} for value in values}


PEERS: dict[str, Coder] = {
    "png": _peer("PNG", "png", "level 9", {"": {"level": 9}}, payload.png),
    "webp-lossless": _peer(
        "WebP lossless",
        "webp",
        "level 100, method 6",
        {"": {"lossless": True, "level": 100, "method": 6}},
        payload.webp,
    ),
    "jxl-lossless": _peer("JPEG XL lossless", "jpegxl", "effort 7", {"": {"lossless": True, "effort": 7}}),
    "jpegls": _peer("JPEG-LS", "jpegls", "lossless", {"": {}}, payload.jpeg),
    "jp2-lossless": _peer(
        "JPEG 2000 lossless", "jpeg2k", "reversible", {"": {"reversible": True, "codecformat": "j2k"}}, payload.jpeg2k
    ),
    "qoi": _peer("QOI", "qoi", "", {"": {}}, payload.qoi),
    "jpeg": _peer(
        "JPEG",
        "jpeg",
        "4:2:0, optimised Huffman tables",
        _sweep("q", (5, 10, 20, 35, 50, 65, 75, 85, 92, 97), subsampling="420", optimize=True),
        payload.jpeg,
    ),
    "webp": _peer(
        "WebP", "webp", "method 6", _sweep("q", (1, 10, 25, 50, 70, 80, 90, 97), method=6, lossless=False), payload.webp
    ),
    "avif": _peer("AVIF", "avif", "speed 6", _sweep("q", (10, 25, 40, 50, 60, 70, 80, 90), speed=6), payload.avif),
    "jxl": _peer(
        "JPEG XL", "jpegxl", "effort 7", _sweep("d", (15, 10, 7, 4.5, 3, 2, 1, 0.5, 0.2), "distance", effort=7)
    ),
    "jp2": _peer(
        "JPEG 2000",
        "jpeg2k",
        "9/7 wavelet, PSNR asked for",
        _sweep("dB", (24, 27, 30, 33, 36, 39, 42, 45), reversible=False, codecformat="j2k"),
        payload.jpeg2k,
    ),
}
"""Other coders by key: lossless ones, then lossy ones with a sweep of quality."""


def _learned(name: str, qualities: int) -> Coder:
    encode, decode = partial(learned.encode, name=name), partial(learned.decode, name=name)
    settings = _sweep("q", tuple(range(1, qualities + 1)), "quality")
    prepare = partial(learned.prepare, name=name)
    return Coder(CoderInfo(name, PEER, False), "CompressAI", settings, encode, decode, learned.payload, prepare)


LEARNED = {name: _learned(name, qualities) for name, qualities in learned.QUALITIES.items()}
"""CompressAI's models, which are measured where they are asked for by name."""


def _encode_own(image: UInt8, options: Options, *, model: str, mode: Mode) -> bytes:
    picture = from_image(Image.fromarray(image))
    return encode_picture(picture, Settings(mode, **options), find_model(model), verify=False).data


def _decode_own(data: bytes, *, model: str) -> UInt8:
    return np.asarray(decode_file(data, model=find_model(model)))


def _payload_own(data: bytes, *, model: str) -> int:
    return len(data) - header_bytes(open_file(data, model=find_model(model)))


def _own(name: str, model: Model, mode: Mode, qualities: tuple[int, ...]) -> Coder:
    settings: dict[str, Options] = {"": {}}
    if mode is not Mode.LOSSLESS:
        levels = range(1, model.levels + 1) if has_level(mode) else (None,)
        settings = {
            f"q={quality}" if model.levels < 2 or level is None else f"level={level} q={quality}": {
                "level": level,
                "quality": quality,
            }
            for level in levels
            for quality in qualities
        }
    return Coder(
        CoderInfo(f"{Path(name).name} {mode}", OWN, mode is Mode.LOSSLESS),
        f"model {model.digest[:8]}",
        settings,
        partial(_encode_own, model=name, mode=mode),
        partial(_decode_own, model=name),
        partial(_payload_own, model=name),
        model=name,
    )


@cache
def own_coders(name: str, modes: tuple[Mode, ...] = (), qualities: tuple[int, ...] = QUALITIES) -> dict[str, Coder]:
    """A model's coders by key, one for each of `modes` that it offers; all for none."""
    model = find_model(name)
    offered = [mode for mode in model.modes if not modes or mode in modes]
    return {f"{Path(name).name} {mode}": _own(name, model, mode, qualities) for mode in offered}


def choose_peers(names: str) -> dict[str, Coder]:
    """`none`, or keys of PEERS and LEARNED with commas between them, `all` for all of PEERS; InputError for others."""
    known, wanted = PEERS | LEARNED, dict.fromkeys([] if names == "none" else names.split(","))
    if unknown := [name for name in wanted if name not in known and name != "all"]:
        raise InputError(f"no coder {unknown[0]!r} to compare with; there are {', '.join(known)}, all and none")
    for name in LEARNED:
        if name in wanted:
            learned.network(name, 1)  # fails here rather than at every image
    return {name: coder for name, coder in known.items() if name in wanted or ("all" in wanted and name in PEERS)}
