"""Lossless round trips of one photograph in every size and image mode."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import click
import numpy as np
from PIL import Image

from selfcodec.benchmarks.commands.options import image_argument, model_option
from selfcodec.benchmarks.measure import measure
from selfcodec.benchmarks.own import own_coder
from selfcodec.benchmarks.reports.tables import columns_table, show
from selfcodec.benchmarks.sources import load_photograph
from selfcodec.cli.output import complain, finish, progress
from selfcodec.images import from_image
from selfcodec.modes import Mode
from selfcodec.zoo import find_model

SIZES = ((1, 1), (1, 1000), (31, 33), (512, 512), (1999, 1333))
"""Every size is a width and a height."""
IMAGE_MODES = ("L", "LA", "RGB", "RGBA", "P", "1")
COLOURS = 64
"""Palette images have so many colours."""


def make(photograph: Image.Image, mode: str, size: tuple[int, int]) -> Image.Image:
    """Return the photograph, repeated as often as it takes, in a size and mode; its green channel is its alpha."""
    samples = np.asarray(photograph.convert("RGB"))  # (H, W, 3)
    ys, xs = (np.arange(n) % m for n, m in zip(size[::-1], samples.shape, strict=False))
    rgb = Image.fromarray(samples[ys][:, xs])
    if mode == "P":
        return rgb.quantize(COLOURS)
    image = rgb.convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(rgb.getchannel("G"))
    return image


@click.command()
@image_argument
@model_option
def main(image: Path | None, model_name: str | None) -> None:
    """Encode and decode IMAGE (by default, a photograph that comes with scikit-image) in many sizes and modes.

    Files are the model's even where a stored image would be smaller; modes P and 1 are always stored. Ends with exit
    status 1 if a file does not decode to its image, in the same mode.
    """
    model, photograph = find_model(model_name), load_photograph(image)[1].image
    coder = replace(own_coder(model_name, Mode.LOSSLESS), fallback=False)
    headings = ("size", "mode", "file", "bytes", "encode (s)", "decode (s)", "identical")
    table = columns_table(f"lossless, model {model.spec.name}", (), headings)
    cases, failures = list(product(SIZES, IMAGE_MODES)), list[str]()
    with progress(len(cases), "images") as advance:
        for size, mode in cases:
            found = measure(from_image(make(photograph, mode, size)), coder)
            failures += [found.failure] if found.failure else []
            about = (f"{size[0]} × {size[1]}", mode, "stored" if found.stored else "coded", f"{found.size:,}")
            seconds = (f"{found.encode_seconds:.2f}", f"{found.decode_seconds:.2f}")
            table.add_row(*about, *seconds, "yes" if found.exact else "NO")
            advance()
    show(table)
    if failures:
        complain(f"{len(failures)} of {len(cases)} images did not come back; the first one: {failures[0]}")
    finish(len(failures))
