"""Prints digests of what models decode and encode, a line for each; check.py compares them between processors.

python results.py MODEL...

Nothing is refined: that takes real numbers, and such files may differ between machines, though not in what they show.
What adapts to the image is encoded twice, without and with that, and the latter is decoded again.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from selfcodec.decoding import decode_file
from selfcodec.encoding import encode_picture
from selfcodec.images import from_image
from selfcodec.settings import Settings
from selfcodec.zoo import find_model

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
ZOO = ROOT / "models" / "zoo"


def pictures() -> Iterator[tuple[str, Image.Image]]:
    """The photograph of the golden files, from one that decodes fast, and small ones of other modes and shapes."""
    yield "golden", decode_file((DATA / "cifar10-downscale.lossless.sv").read_bytes())
    rng = np.random.default_rng(0)
    for mode, bands, (height, width) in ("L", 1, (33, 20)), ("RGBA", 4, (19, 41)), ("RGB", 3, (1, 1)):
        slopes = np.add.outer(3 * np.arange(height), 5 * np.arange(width))[..., None] + 40 * np.arange(bands)
        pixels = (slopes + rng.integers(0, 20, slopes.shape)).astype(np.uint8)
        yield mode, Image.fromarray(pixels.squeeze(2) if bands == 1 else pixels)


def digest_of_pixels(data: bytes) -> str:
    """As in tests/data/pixels.json."""
    image = decode_file(data)
    return hashlib.sha256(f"{image.mode} {image.size}".encode() + image.tobytes()).hexdigest()


def main() -> None:
    images = list(pictures())
    for name in sys.argv[1:]:
        model = find_model(str(ZOO / name))
        for mode in model.modes:
            golden = (DATA / f"{name}.{mode}.sv").read_bytes()
            print(f"{name}.{mode}.sv decoded: {digest_of_pixels(golden)}", flush=True)
            for kind, image in images:
                data = encode_picture(from_image(image), Settings(mode), model, verify=False, fallback=False).data
                print(f"{name}.{mode} of {kind}: {hashlib.sha256(data).hexdigest()}", flush=True)
            if model.adapts(mode):
                for kind, image in images:
                    settings = Settings(mode, effort=1)
                    data = encode_picture(from_image(image), settings, model, fallback=False).data
                    print(f"{name}.{mode} of {kind}, adapting: {hashlib.sha256(data).hexdigest()}", flush=True)


if __name__ == "__main__":
    main()
