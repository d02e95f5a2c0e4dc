"""The paper's Figure 1: one image under every transformation.

Run as `python -m selfcodec.benchmarks.figure1 [IMAGE] -o figure1.png`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from selfcodec.benchmarks.metrics import BenchmarkCommand
from selfcodec.errors import InputError
from selfcodec.transforms import get_transform

COLUMNS = 5

# Title of a panel, transformation, and how many times it is applied.
PANELS = (
    ("Downscaling ×2", "downscale", 1),
    ("Downscaling ×4", "downscale", 2),
    ("Downscaling ×8", "downscale", 3),
    ("Bicubic interpolation ×2", "bicubic", 1),
    ("Bicubic interpolation ×4", "bicubic", 2),
    ("Bicubic interpolation ×8", "bicubic", 3),
    ("Gaussian blur", "blur", 1),
    ("1 bit precision", "1bit", 1),
    ("2 bits precision", "2bit", 1),
    ("3 bits precision", "3bit", 1),
    ("4 bits precision", "4bit", 1),
    ("Sketch (dodge and burn)", "sketch", 1),
    ("Sketch (edge-aware)", "pencil", 1),
    ("Gray scale", "grayscale", 1),
)


def load_image(path: Path | None) -> NDArray[np.uint8]:
    """The image at `path`, or a photograph of scikit-image's own, as uint8 (H, W, 3)."""
    if path is None:
        from skimage import data

        return np.asarray(data.astronaut(), dtype=np.uint8)
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"), dtype=np.uint8)
    except (OSError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: not an image that Pillow reads ({error})") from error


def panels(x: NDArray[np.uint8]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Titles and images, the original first. x: uint8 (H, W, 3)."""
    yield "Original image", x
    for title, name, times in PANELS:
        y = x
        for _ in range(times):
            y = get_transform(name)(y)
        yield title, y


def draw(x: NDArray[np.uint8]) -> Figure:
    """The grid of `panels(x)`, lettered as in the paper; smaller images are drawn at the original's size."""
    entries = list(panels(x))
    rows = -(-len(entries) // COLUMNS)
    height_over_width = min(max(x.shape[0] / x.shape[1], 1 / 4), 4)
    figure = Figure(figsize=(3 * COLUMNS, (3 * height_over_width + 0.35) * rows), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for index, (axis, (title, y)) in enumerate(zip(axes, entries, strict=False)):
        shown = y[..., 0] if y.shape[-1] == 1 else y
        axis.imshow(shown, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axis.set_title(f"({chr(ord('a') + index)}) {title}", fontsize=11)
    return figure


@click.command("figure1", cls=BenchmarkCommand)
@click.argument("image", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    default="figure1.png",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the figure goes; the suffix says the format.",
)
def main(image: Path | None, output: Path) -> None:
    """Draw IMAGE (by default, a photograph that comes with scikit-image) under every transformation."""
    figure = draw(load_image(image))
    formats = figure.canvas.get_supported_filetypes()
    if output.suffix.removeprefix(".") not in formats:
        raise InputError(f"{output}: no format of a figure; the suffix can be {', '.join(sorted(formats))}")
    figure.savefig(output, dpi=120)
    click.echo(f"{output}")


if __name__ == "__main__":
    main()
