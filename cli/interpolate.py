"""selfcodec interpolate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from selfcodec.cli.files import Job
from selfcodec.cli.inputs import Source
from selfcodec.cli.names import shown
from selfcodec.cli.options import PATH, force_option
from selfcodec.cli.output import complain
from selfcodec.cli.outputs import check_target, image_format, write_image
from selfcodec.errors import InputError

if TYPE_CHECKING:
    from selfcodec.arrays import UInt8


def _read(path: str) -> UInt8:
    from selfcodec.models.datasets import read_image

    return read_image(Path(path), lambda line: complain(f"{shown(path)}: {line}", "warning"))


@click.command()
@click.argument("first", metavar="A", type=PATH)
@click.argument("last", metavar="B", type=PATH)
@click.option("--model", "model_name", metavar="NAME", required=True, help="Name or folder of a model.")
@click.option("-n", "--number", type=click.IntRange(2, 64), default=7, show_default=True, help="Images on the way.")
@click.option("-o", "--output", metavar="OUT|-", type=PATH, required=True, help="Picture with all images.")
@force_option
def interpolate(first: str, last: str, model_name: str, number: int, output: str, force: bool) -> None:
    """Show the way from picture A to picture B through a model's latent u.

    u moves on a straight line between what the encoder makes of A and of B; everything else takes its mean given that
    u. A and B themselves stand at the ends. They have the same size, best that of the model's training images.

    \b
    Example:
      selfcodec interpolate a.png b.png --model cifar10-downscale -o way.png
    """
    import numpy as np

    from selfcodec.generation import interpolate as way_between
    from selfcodec.models.mosaic import Row, mosaic
    from selfcodec.zoo import find_model

    source, other = (Source(path, Path(path)) for path in (first, last))
    job = Job(source, output, others=(other,))
    check_target(job, force=force)
    format = image_format(output)
    model = find_model(model_name)
    a, b = (_read(path) for path in (first, last))
    if a.shape != b.shape:
        sizes = [f"{shown(path)} has {x.shape[1]}×{x.shape[0]}" for path, x in ((first, a), (last, b))]
        raise InputError(f"{' and '.join(sizes)} pixels: give two pictures of one size")
    write_image(job, mosaic([Row([a, *way_between(np.stack([a, b]), number, model), b])]), format)
