"""CompressAI's models as coders to compare with, where its package and weights are to be had.

They need `pip install 'selfcodec[compressai]'`, and a connection for the weights the first time
(https://github.com/InterDigitalInc/CompressAI). Only the machine that coded a file can be relied on to decode it.

A file is a header of little-endian integers - quality and number of strings (u8), width, height, and the latents'
height and width (u16), each string's length (u32) - and the strings.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from selfcodec.arrays import UInt8
from selfcodec.errors import FormatError, InputError

QUALITIES = {"bmshj2018-factorized": 8, "bmshj2018-hyperprior": 8, "mbt2018-mean": 8, "cheng2020-anchor": 6}
"""Each model has so many qualities."""
MULTIPLE = 64
"""The models take sides of multiples of so many pixels."""
_HEADER = struct.Struct("<BBHHHH")


class Network(Protocol):
    """What is used of a CompressAI model."""

    def compress(self, x: Tensor) -> dict[str, Any]: ...

    def decompress(self, strings: Sequence[Sequence[bytes]], shape: Sequence[int]) -> dict[str, Tensor]: ...


@cache
def network(name: str, quality: int) -> Network:
    """Return a pretrained model; raise InputError where the package or the weights are not to be had."""
    try:
        from compressai.zoo import image_models
    except ImportError as error:
        raise InputError(f"{name} needs the package compressai: pip install 'selfcodec[compressai]'") from error
    try:
        net: Any = image_models[name](quality, metric="mse", pretrained=True, progress=False)
    except OSError as error:  # of urllib, which has many kinds
        raise InputError(f"the weights of {name} cannot be fetched: {error}") from error
    net.eval()
    net.update()
    loaded: Network = net
    return loaded


def encode(image: UInt8, quality: int, *, name: str) -> bytes:
    """Return the file of an image (H, W, 3)."""
    height, width = image.shape[:2]
    x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255  # (1, 3, H, W)
    x = F.pad(x, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")
    with torch.no_grad():
        coded = network(name, quality).compress(x)
    strings = [batch[0] for batch in coded["strings"]]
    header = _HEADER.pack(quality, len(strings), width, height, *coded["shape"])
    return b"".join([header, *(struct.pack("<I", len(string)) for string in strings), *strings])


def payload(data: bytes) -> int:
    """Return the bytes of a file without its header."""
    return len(data) - _HEADER.size - 4 * data[1]


def decode(data: bytes, *, name: str) -> UInt8:
    """Return the image (H, W, 3); raise FormatError where the file is cut short or longer than it says."""
    try:
        quality, count, width, height, *shape = _HEADER.unpack_from(data)
        lengths = struct.unpack_from(f"<{count}I", data, _HEADER.size)
    except struct.error as error:
        raise FormatError(f"a file of {name} that ends in its header, at byte {len(data)}") from error
    start, strings = _HEADER.size + 4 * count, []
    for length in lengths:
        strings.append([data[start : start + length]])
        start += length
    if start != len(data):
        raise FormatError(f"a file of {name} that has {len(data)} bytes instead of {start}")
    with torch.no_grad():
        x = network(name, quality).decompress(strings, shape)["x_hat"][0, :, :height, :width]
    return (x.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
