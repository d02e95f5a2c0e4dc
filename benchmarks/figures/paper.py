"""The paper's figures, one object each, for any model that has what they show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.coders import picture_of
from selfcodec.benchmarks.figures import ladder
from selfcodec.benchmarks.figures.subject import Subject
from selfcodec.benchmarks.measure import Measured, measure
from selfcodec.benchmarks.metrics import psnr
from selfcodec.benchmarks.own import own_coder
from selfcodec.generation import infer, interpolate, render, sample_images
from selfcodec.models.config import ModelConfig
from selfcodec.models.mosaic import Row, in_rows, mosaic
from selfcodec.modes import Mode, has_level
from selfcodec.transforms import get_transform

SIDE = 96
"""Images are enlarged by a whole factor to at most so many pixels."""
SAMPLES, SAMPLE_COLUMNS = 32, 8
ROWS = 4
"""So many images are shown with what is made of each."""
WAY = 7
"""An interpolation has so many pictures, the ends included."""
DRAWS = 4
SKETCHES = ("sketch", "pencil")
TRANSFORMED_SIDE, TRANSFORMED_COLUMNS = 128, 5
TRANSFORMED = (
    ("downscaling ×2", "downscale", 1),
    ("downscaling ×4", "downscale", 2),
    ("downscaling ×8", "downscale", 3),
    ("bicubic ×2", "bicubic", 1),
    ("bicubic ×4", "bicubic", 2),
    ("bicubic ×8", "bicubic", 3),
    ("Gaussian blur", "blur", 1),
    ("1 bit precision", "1bit", 1),
    ("2 bits precision", "2bit", 1),
    ("3 bits precision", "3bit", 1),
    ("4 bits precision", "4bit", 1),
    ("sketch (dodge and burn)", "sketch", 1),
    ("sketch (edge-aware)", "pencil", 1),
    ("grey scale", "grayscale", 1),
)
"""Each has a caption, a transformation, and the number of times that is applied."""


@dataclass(frozen=True)
class Figure:
    """One of the paper's figures.

    Attributes:
        name: of its files, and on the command line.
        number: what the paper calls it.
        title: a heading.
        caption: what it shows, and where it differs from the paper's.
        draw: makes the picture.
        needs: what a model must have to be in it, in words that follow "needs"; "" where it needs no model.
        suits: whether a model has that.
    """

    name: str
    number: str
    title: str
    caption: str
    draw: Callable[[Subject], Image.Image]
    needs: str = "a model"
    suits: Callable[[ModelConfig], bool] = field(default=lambda model: True)


def transformed(x: UInt8) -> Iterator[tuple[str, UInt8]]:
    """Yield captions and images of x (H, W, 3), itself first."""
    yield "original", x
    for caption, name, times in TRANSFORMED:
        y = x
        for _ in range(times):
            y = get_transform(name)(y)
        yield caption, y


def _transformations(subject: Subject) -> Image.Image:
    captions, images = zip(*transformed(subject.images(1, TRANSFORMED_SIDE)[0]), strict=True)
    return mosaic(in_rows(images, TRANSFORMED_COLUMNS, captions))


def _samples(subject: Subject) -> Image.Image:
    images = sample_images(subject.model, SAMPLES, (subject.side, subject.side), seed=0)
    return mosaic(in_rows(list(images), SAMPLE_COLUMNS), side=SIDE)


def _files(subject: Subject, images: Sequence[UInt8], mode: Mode, level: int | None = None) -> list[Measured]:
    coder = own_coder(subject.name, mode, {"": {} if level is None else {"level": level}})
    return [measure(picture_of(image), coder) for image in images]


def _reconstructions(subject: Subject) -> Image.Image:
    images, files, levels = subject.images(ROWS), dict[str, list[Measured]](), subject.model.levels
    for mode in subject.model.modes:
        if has_level(mode):
            for level in range(levels, 0, -1):
                files[f"{mode} to y{level}" if levels > 1 else str(mode)] = _files(subject, images, mode, level)
        else:
            files[str(mode)] = _files(subject, images, mode)
    return ladder.draw(images, files, {})


def _sketches(subject: Subject) -> Image.Image:
    images = subject.images(ROWS)
    drawings = {"CM (y)": [get_transform(subject.model.spec.transformation)(image) for image in images]}
    modes = (Mode.CG, Mode.CR, Mode.RS1, Mode.RS2)
    return ladder.draw(images, {f"{mode}".upper(): _files(subject, images, mode) for mode in modes}, drawings)


def _interpolations(subject: Subject) -> Image.Image:
    images = subject.images(2 * ROWS, least=2)
    pairs = zip(images, images[len(images) // 2 :], strict=False)
    rows = [Row([a, *interpolate(np.stack([a, b]), WAY, subject.model), b]) for a, b in islice(pairs, len(images) // 2)]
    ways = [f"{100 * i / (WAY - 1):.0f} %" for i in range(WAY)]
    return mosaic(rows, ["A", *ways, "B"], SIDE)


def _drawn_again(subject: Subject) -> Image.Image:
    images, model, size = subject.images(ROWS), subject.model, (subject.side, subject.side)
    values = infer(np.stack(images), model)
    above = [name for name in values if name != "x"]
    top = {"u": values["u"]}
    with_y = {name: values[name] for name in above if not name.startswith("z")}
    columns = {"original": images, "u, means": list(render(top, ROWS, size, model))}
    for title, known in (("u", top), ("u, y", with_y)):
        for i in range(DRAWS):
            columns[f"{title}, {i + 1}"] = list(render(known, ROWS, size, model, seed=i * ROWS, drawn=above))
    return mosaic([Row(row) for row in zip(*columns.values(), strict=True)], list(columns), SIDE)


def _super_resolution(subject: Subject) -> Image.Image:
    images, model, size = subject.images(ROWS), subject.model, (subject.side, subject.side)
    values = infer(np.stack(images), model)
    ys = values["y1"].transpose(0, 2, 3, 1).astype(np.uint8)
    known = {name: value for name, value in values.items() if name not in ("x", "z1")}
    made: dict[str, Sequence[UInt8]] = {
        "bicubic": [np.asarray(Image.fromarray(y).resize(size, Image.Resampling.BICUBIC)) for y in ys],
        "means": list(render(known, ROWS, size, model)),
        "z1 drawn": list(render(known, ROWS, size, model, seed=0, drawn=("z1",))),
        "z1, x drawn": list(render(known, ROWS, size, model, seed=0)),
    }
    rows = []
    for i, image in enumerate(images):
        versions = [column[i] for column in made.values()]
        captions = ["", "", *(f"{psnr(image, version):.1f} dB" for version in versions)]
        rows.append(Row([image, ys[i], *versions], captions=captions))
    return mosaic(rows, ["original", "y1, given", *made], SIDE)


FIGURES = (
    Figure(
        name="transformations",
        number="Figure 1",
        title="Transformations",
        caption=(
            "A photograph and its y by each transformation that a recipe can name; those that shrink it are shown with"
            " pixels as large as they stand for. The paper makes sketches by an edge-aware filter with dodge and burn;"
            " models here take dodge and burn alone, which integers compute the same on every machine."
        ),
        needs="",
        draw=_transformations,
    ),
    Figure(
        name="samples",
        number="Figures 4 and A2",
        title="Unconditional samples",
        caption=(
            "The first 32 samples from seed 0, all variables drawn, none chosen. Pixels are drawn, too, as the model's"
            " likelihood has them, not taken as means."
        ),
        draw=_samples,
    ),
    Figure(
        name="reconstructions",
        number="Figures 5 and A4",
        title="Reconstructions with more and more sent",
        caption=(
            "Four images in every mode. Below each picture stand the bytes of its file, header included, how many"
            " times smaller than the raw samples that is, and its PSNR; above each column the ratio of all four. The"
            " paper does not say how it counts; these are files that were decoded. What is not sent takes its mean,"
            " where the paper draws it."
        ),
        draw=_reconstructions,
    ),
    Figure(
        name="interpolations",
        number="Figure 6i",
        title="Interpolation through u",
        caption=(
            "Between two images u moves on a straight line from one posterior mean to the other; z, y and x take"
            " their means given that u (`selfcodec interpolate`). The paper does not say which line it takes, nor how"
            " it chooses z."
        ),
        draw=_interpolations,
    ),
    Figure(
        name="drawn-again",
        number="Figure 6ii",
        title="The same u, all else drawn again",
        caption=(
            "u is that of the original. Beside the picture of all means, z and y are drawn four times given u, then z"
            " four times given u and every y of the original, which the paper does not show; x takes its mean. The"
            " paper names z1 and z2 alone for its model of three levels; z1 to z3 are drawn here."
        ),
        needs="a transformation",
        suits=lambda model: model.levels > 0,
        draw=_drawn_again,
    ),
    Figure(
        name="sketches",
        number="Figure A3",
        title="Reconstructions from a sketch",
        caption=(
            "OG is the original, CM its sketch, which is y; the others are files in the modes that the paper names"
            " alike, with their bytes, ratios and PSNR. What is not sent takes its mean, where the paper draws it."
        ),
        needs="a sketch as its transformation",
        suits=lambda model: model.levels > 0 and model.transformation in SKETCHES,
        draw=_sketches,
    ),
    Figure(
        name="super-resolution",
        number="Section 3.3",
        title="Super-resolution",
        caption=(
            "Only y1 is given: u and the other z follow from it through their posteriors, z1 and x are unknown. They"
            " take their means, or are drawn; beside them is bicubic interpolation, with the PSNR of each. Draws are"
            " plausible rather than near: PSNR favours means. The paper has no such figure."
        ),
        needs="a transformation that shrinks",
        suits=lambda model: model.levels > 0 and get_transform(model.transformation).factor > 1,
        draw=_super_resolution,
    ),
)
"""In the order of the paper."""
