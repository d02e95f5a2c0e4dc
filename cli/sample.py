"""selfcodec sample."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from selfcodec.cli.files import Job
from selfcodec.cli.inputs import Source
from selfcodec.cli.names import STDIO
from selfcodec.cli.options import PATH, force_option, parse_size
from selfcodec.cli.outputs import check_target, image_format, write_image
from selfcodec.errors import InputError
from selfcodec.modes import MAX_SEED

if TYPE_CHECKING:
    from selfcodec.zoo import Model

MAX_PIXELS = 2**26
USUAL_SIDE = 32
"""So many pixels a side have images of models that do not tell what they were trained on."""


def _trained_side(model: Model) -> int:
    """Of the images that a model was trained on, in pixels, by its manifest."""
    from selfcodec.zoo import read_manifest

    try:
        side = read_manifest(Path(model.where).parent)["recipe"]["train"]["patch"]
    except (KeyError, TypeError):
        return USUAL_SIDE
    return side if isinstance(side, int) and 1 <= side <= model.spec.tile else USUAL_SIDE


@click.command()
@click.argument("model_name", metavar="MODEL")
@click.option("-n", "--number", type=click.IntRange(1, 4096), default=16, show_default=True, help="Images.")
@click.option("-o", "--output", metavar="OUT|-", type=PATH, required=True, help="Picture with all images.")
@click.option("--seed", type=click.IntRange(0, MAX_SEED), default=0, show_default=True, help="What to draw from.")
@click.option("--size", metavar="WxH", callback=parse_size, help="Of each image.  [default: as in training]")
@force_option
def sample(model_name: str, number: int, output: str, seed: int, size: tuple[int, int] | None, force: bool) -> None:
    """Draw images from a model, the same on every machine.

    \b
    Example:
      selfcodec sample cifar10-downscale -n 16 -o grid.png
    """
    from selfcodec.generation import sample_images
    from selfcodec.models.mosaic import in_rows, mosaic
    from selfcodec.zoo import find_model

    job = Job(Source(STDIO, Path(STDIO)), output)
    check_target(job, force=force)
    format = image_format(output)
    model = find_model(model_name)
    width, height = size or (_trained_side(model),) * 2
    if number * width * height > MAX_PIXELS:
        raise InputError(f"{number} images of {width}×{height} are more than {MAX_PIXELS} pixels")
    if seed + number - 1 > MAX_SEED:
        raise InputError(f"image i is drawn from seed + i, which goes to {MAX_SEED}: choose a smaller seed")
    images = sample_images(model, number, (height, width), seed)
    write_image(job, mosaic(in_rows(list(images))), format)
