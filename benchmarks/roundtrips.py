"""Lossless round trips of one photograph in every size and image mode.

Run as `python -m selfcodec.benchmarks.roundtrips [IMAGE] [--model NAME]`.
"""

from __future__ import annotations

import time
from itertools import product
from pathlib import Path

import click
import numpy as np
from PIL import Image
from rich.table import Table

from selfcodec.benchmarks.demo import load_photograph
from selfcodec.benchmarks.metrics import BenchmarkCommand, progress, show
from selfcodec.codec import decode_file, encode_picture
from selfcodec.images import from_image
from selfcodec.modes import Mode
from selfcodec.zoo import Model, find_model

SIZES = ((1, 1), (1, 1000), (31, 33), (512, 512), (1999, 1333))
"""(width, height)."""
MODES = ("L", "LA", "RGB", "RGBA", "P", "1")
COLOURS = 64
"""Of palette images."""


def make(photograph: Image.Image, mode: str, size: tuple[int, int]) -> Image.Image:
    """The photograph, repeated as often as it takes, in that size and mode; its green channel is its alpha plane."""
    samples = np.asarray(photograph.convert("RGB"))
    rows, columns = (np.arange(n) % m for n, m in zip(size[::-1], samples.shape, strict=False))
    rgb = Image.fromarray(samples[rows][:, columns])
    if mode == "P":
        return rgb.quantize(COLOURS)
    image = rgb.convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(rgb.getchannel("G"))
    return image


def identical(a: Image.Image, b: Image.Image) -> bool:
    """Same mode, size, samples and palette."""
    same = (a.mode, a.size, a.tobytes()) == (b.mode, b.size, b.tobytes())
    return same and a.convert("RGBA").tobytes() == b.convert("RGBA").tobytes()


def row(image: Image.Image, model: Model) -> tuple[list[str], bool]:
    """A line of the table, and whether the image came back."""
    start = time.perf_counter()
    encoded = encode_picture(from_image(image), model=model, verify=False, fallback=False)
    middle = time.perf_counter()
    back = identical(decode_file(encoded.data, model=model), image)
    end = time.perf_counter()
    kind = "stored" if encoded.mode is Mode.STORED else "coded"
    cells = [f"{image.width} × {image.height}", image.mode, kind, f"{len(encoded.data):,}"]
    return [*cells, f"{middle - start:.2f}", f"{end - middle:.2f}", "yes" if back else "NO"], back


@click.command("roundtrips", cls=BenchmarkCommand)
@click.argument("image", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--model", "model_name", help="Name or folder of a model; the default one if not given.")
def main(image: Path | None, model_name: str | None) -> None:
    """Encode and decode IMAGE (by default, a photograph that comes with scikit-image) in many sizes and modes.

    Files are the model's even where a stored image would be smaller; modes P and 1 are always stored. Ends with exit
    status 1 if a file does not decode to its image, in the same mode.
    """
    model, photograph = find_model(model_name), load_photograph(image)[1].image
    out = Table(title=f"lossless, model {model.spec.name}")
    for heading in ("size", "mode", "file", "bytes", "encode (s)", "decode (s)", "identical"):
        out.add_column(heading, justify="right", no_wrap=True)
    cases, failures = list(product(SIZES, MODES)), 0
    for size, mode in progress(cases, len(cases), "images"):
        cells, back = row(make(photograph, mode, size), model)
        out.add_row(*cells)
        failures += not back
    show(out)
    if failures:
        click.echo(f"selfcodec: error: {failures} of {len(cases)} images did not come back", err=True)
        click.get_current_context().exit(1)


if __name__ == "__main__":
    main()
