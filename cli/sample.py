"""selfcodec sample."""

from __future__ import annotations

from pathlib import Path

import click

from selfcodec.cli.files import Job
from selfcodec.cli.inputs import Source
from selfcodec.cli.names import STDIO
from selfcodec.cli.options import PATH, force_option, parse_size
from selfcodec.cli.outputs import check_target, image_format, write_image
from selfcodec.errors import InputError
from selfcodec.modes import MAX_SEED

MAX_PIXELS = 2**26


@click.command()
@click.argument("model_name", metavar="MODEL")
@click.option("-n", "--number", type=click.IntRange(1, 4096), default=16, show_default=True, help="Images.")
@click.option("-o", "--output", metavar="OUT|-", type=PATH, required=True, help="Picture with all images.")
@click.option("--seed", type=click.IntRange(0, MAX_SEED), default=0, show_default=True, help="What to draw from.")
@click.option("--size", metavar="WxH", default="32x32", show_default=True, callback=parse_size, help="Of each image.")
@force_option
def sample(model_name: str, number: int, output: str, seed: int, size: tuple[int, int], force: bool) -> None:
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
    width, height = size
    if number * width * height > MAX_PIXELS:
        raise InputError(f"{number} images of {width}×{height} are more than {MAX_PIXELS} pixels")
    if seed + number - 1 > MAX_SEED:
        raise InputError(f"image i is drawn from seed + i, which goes to {MAX_SEED}: choose a smaller seed")
    images = sample_images(find_model(model_name), number, (height, width), seed)
    write_image(job, mosaic(in_rows(list(images))), format)
