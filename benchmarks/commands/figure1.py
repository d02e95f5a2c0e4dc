"""The paper's Figure 1: one image under every transformation."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from selfcodec.benchmarks.commands.options import image_argument
from selfcodec.benchmarks.figures.figure1 import draw
from selfcodec.benchmarks.sources import load_photograph
from selfcodec.errors import InputError


@click.command()
@image_argument
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    default="figure1.png",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the figure goes; the suffix says the format.",
)
def main(image: Path | None, output: Path) -> None:
    """Draw IMAGE (by default, a photograph that comes with scikit-image) under every transformation."""
    _, picture = load_photograph(image, "astronaut")
    figure = draw(np.asarray(picture.image.convert("RGB")))
    formats = figure.canvas.get_supported_filetypes()
    if output.suffix.removeprefix(".") not in formats:
        raise InputError(f"{output}: no format of a figure; the suffix can be {', '.join(sorted(formats))}")
    figure.savefig(output, dpi=120)
    click.echo(f"{output}")
