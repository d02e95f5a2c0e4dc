"""What is measured: the interface of all coders, and other people's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

import numpy as np

from selfcodec.arrays import UInt8
from selfcodec.benchmarks import learned, payload
from selfcodec.benchmarks.results import CoderInfo
from selfcodec.errors import InputError
from selfcodec.images import Picture

Options = Mapping[str, Any]

OWN, PEER = "selfcodec", "peer"
LOSSLESS_PEERS = ("png", "webp-lossless", "jxl-lossless")
"""README and cards compare lossless files with these."""
JPEGLS_HEADER = 1024
"""A JPEG-LS file's header has fewer bytes than this."""


def picture_of(pixels: UInt8) -> Picture:
    """Return the picture of samples (H, W, C), C = 1 to 4; of 2 and 4 the last is alpha."""
    colours = pixels.shape[2] - (pixels.shape[2] % 2 == 0)
    mode = ("L", "LA", "RGB", "RGBA")[pixels.shape[2] - 1]
    alpha = None if pixels.shape[2] == colours else pixels[:, :, colours]
    return Picture(mode, pixels[:, :, :colours], alpha, metadata=b"")


@dataclass(frozen=True)
class Coded:
    """A file.

    Attributes:
        data: its bytes.
        stored: it holds the image without a model, which was smaller.
        model_bits: the model's sum of -log2 p by variable; empty where the file has no model.
    """

    data: bytes
    stored: bool = False
    model_bits: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Coder(ABC):
    """From a picture to a file and back; a coder can be sent to another process.

    Attributes:
        info: for reports.
        how: what is called with which fixed options, for readers.
        settings: options of `encode` by the name of the setting; a coder that cannot be adjusted has one setting, "".
    """

    info: CoderInfo
    how: str = ""
    settings: Mapping[str, Options] = field(default_factory=lambda: {"": {}})

    @abstractmethod
    def encode(self, picture: Picture, options: Options) -> Coded:
        """Return a file of the picture."""

    @abstractmethod
    def decode(self, data: bytes) -> Picture:
        """Return the picture in a file."""

    def prepare(self, options: Options) -> None:  # noqa: B027 - most coders need nothing
        """Load what `encode` needs, outside the time that is measured."""

    def payload(self, data: bytes) -> int:
        """Return the bytes of a file without its header, as far as the format tells them apart."""
        return len(data)

    def restores(self, picture: Picture, decoded: Picture) -> bool:
        """Return whether all samples came back; grey may come back as colours, opaque as no alpha, and the reverse."""
        before, after = (np.uint8(255) if p.alpha is None else p.alpha for p in (picture, decoded))
        return bool(np.all(picture.planes == decoded.planes) and np.all(before == after))


def imagecodecs() -> Any:
    """Return the module; raise InputError where it is not installed."""
    try:
        import imagecodecs as module
    except ImportError as error:
        raise InputError("other coders need the package imagecodecs: pip install 'selfcodec[bench]'") from error
    return module


@dataclass(frozen=True, kw_only=True)
class Peer(Coder):
    """Another coder, as imagecodecs wraps it.

    Attributes:
        format: its name there.
        body: measures the bytes of a file without its header.
        takes_grey: grey images need not be made RGB.
        threads: where imagecodecs can use several.
    """

    format: str
    body: Callable[[bytes], int] = len
    takes_grey: bool = False
    threads: int = 1

    def _threads(self, function: Callable[..., Any]) -> Options:
        takes = self.threads > 1 and "numthreads" in signature(function).parameters
        return {"numthreads": self.threads} if takes else {}

    def encode(self, picture: Picture, options: Options) -> Coded:
        """Return a file of the picture's samples, alpha included."""
        planes, alpha = picture.planes, picture.alpha
        if not self.takes_grey and planes.shape[2] == 1:
            planes = planes.repeat(3, 2)
        samples = planes if alpha is None else np.dstack((planes, alpha))
        # Its own guess of how much room JPEG-LS needs fails on noise.
        room = {"out": 2 * samples.nbytes + JPEGLS_HEADER} if self.format == "jpegls" else {}
        encode = getattr(imagecodecs(), f"{self.format}_encode")
        return Coded(bytes(encode(np.ascontiguousarray(samples), **options, **room, **self._threads(encode))))

    def decode(self, data: bytes) -> Picture:
        """Return the picture in a file."""
        decode = getattr(imagecodecs(), f"{self.format}_decode")
        samples = np.asarray(decode(data, **self._threads(decode)))
        return picture_of(samples[:, :, None] if samples.ndim == 2 else samples)

    def payload(self, data: bytes) -> int:
        """Return the bytes of a file without its header."""
        return self.body(data)


def _peer(
    title: str,
    format: str,
    how: str,
    settings: Mapping[str, Options],
    body: Callable[[bytes], int] = len,
    *,
    takes_grey: bool = False,
) -> Coder:
    info = CoderInfo(title, PEER, lossless=list(settings) == [""])
    return Peer(info=info, how=how, settings=settings, format=format, body=body, takes_grey=takes_grey)


def _sweep(name: str, values: tuple[float, ...], option: str = "level", **fixed: Any) -> dict[str, Options]:
    return {f"{name}={value:g}": {option: value, **fixed} for value in values}


PEERS: dict[str, Coder] = {
    "png": _peer("PNG", "png", "level 9", {"": {"level": 9}}, payload.png, takes_grey=True),
    "webp-lossless": _peer(
        "WebP lossless",
        "webp",
        "level 100, method 6",
        {"": {"lossless": True, "level": 100, "method": 6}},
        payload.webp,
    ),
    "jxl-lossless": _peer("JPEG XL lossless", "jpegxl", "effort 7", {"": {"lossless": True, "effort": 7}}),
    "jxl-lossless-9": _peer("JPEG XL lossless, effort 9", "jpegxl", "effort 9", {"": {"lossless": True, "effort": 9}}),
    "jpegls": _peer("JPEG-LS", "jpegls", "lossless", {"": {}}, payload.jpeg),
    "jp2-lossless": _peer(
        "JPEG 2000 lossless", "jpeg2k", "reversible", {"": {"reversible": True, "codecformat": "j2k"}}, payload.jpeg2k
    ),
    "qoi": _peer("QOI", "qoi", "", {"": {}}, payload.qoi),
    "jpeg": _peer(
        "JPEG",
        "jpeg",
        "4:2:0, optimised Huffman tables",
        _sweep("q", (1, 5, 10, 20, 35, 50, 65, 75, 85, 92, 97), subsampling="420", optimize=True),
        payload.jpeg,
    ),
    "webp": _peer(
        "WebP",
        "webp",
        "method 6",
        _sweep("q", (0, 1, 10, 25, 50, 70, 80, 90, 97), method=6, lossless=False),
        payload.webp,
    ),
    # Speed 6 is the default of libavif's tool. On six of Kodak's images speed 4 takes six times as long and 5.6 % fewer
    # bits at equal PSNR; speed 3 takes two and a half times as long as that and 3 % fewer bits.
    "avif": _peer(
        "AVIF speed 4",
        "avif",
        "speed 4, 4:4:4",
        _sweep("q", (1, 10, 25, 40, 50, 60, 70, 80, 90), speed=4, pixelformat="444"),
        payload.avif,
    ),
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
"""Other coders stand here by key: lossless ones, then lossy ones with a sweep of quality.

On Kodak the sweeps of JPEG, WebP and AVIF go from the coarsest quantiser, 0.09, 0.10 and 0.07 bits per pixel, to 2.5 at
least.
"""


@dataclass(frozen=True, kw_only=True)
class Learned(Coder):
    """One of CompressAI's models."""

    @staticmethod
    def of(name: str, qualities: int) -> Learned:
        """Return the coder of a model by its name there."""
        settings = _sweep("q", tuple(range(1, qualities + 1)), "quality")
        return Learned(info=CoderInfo(name, PEER, lossless=False), how="CompressAI", settings=settings)

    def prepare(self, options: Options) -> None:
        """Load the model."""
        learned.network(self.info.title, options["quality"])

    def encode(self, picture: Picture, options: Options) -> Coded:
        """Return a file of the picture's colours."""
        return Coded(learned.encode(picture.planes, options["quality"], name=self.info.title))

    def decode(self, data: bytes) -> Picture:
        """Return the picture in a file."""
        return picture_of(learned.decode(data, name=self.info.title))

    def payload(self, data: bytes) -> int:
        """Return the bytes of a file without its header."""
        return learned.payload(data)


LEARNED: dict[str, Coder] = {name: Learned.of(name, qualities) for name, qualities in learned.QUALITIES.items()}
"""CompressAI's models are measured where they are asked for by name."""


def choose_peers(names: tuple[str, ...]) -> dict[str, Coder]:
    """Return other coders by key.

    Args:
        names: keys of PEERS and LEARNED, `all` for all of PEERS; nothing, or `none` alone, for none.

    Raises:
        InputError: there is no such coder, or it lacks the package that it needs.
    """
    known, wanted = PEERS | LEARNED, () if names == ("none",) else names
    if unknown := [name for name in wanted if name not in known and name != "all"]:
        raise InputError(f"no coder {unknown[0]!r} to compare with; there are {', '.join(known)}, all and none")
    chosen = {name: coder for name, coder in known.items() if name in wanted or ("all" in wanted and name in PEERS)}
    # What is missing makes this fail here, rather than every image.
    if chosen.keys() & PEERS.keys():
        imagecodecs()
    for name in chosen.keys() & LEARNED.keys():
        learned.network(name, 1)
    return chosen
