"""Images to measure on: test splits, folders of images, photographs that libraries hold, and drawings made here."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from selfcodec.arrays import UInt8
from selfcodec.errors import InputError, warn_of
from selfcodec.images import Picture, from_image, load_picture
from selfcodec.models.datasets import (
    PAPER,
    PUBLISHED,
    data_root,
    images_below,
    load_named,
    not_there,
    read_image,
    read_images,
)

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "hubble_deep_field", "immunohistochemistry", "retina")
"""These colour pictures are in scikit-image; those that it would have to download are left out."""
FACES = {"collins": (137, 45, 307, 215), "hopper": (125, 70, 395, 340)}
"""Left, top, right and bottom of faces: Eileen Collins' in scikit-image's portrait, Grace Hopper's in Matplotlib's."""
LISTED = ("cifar10", "celeba", "imagenette64", "kodak")
"""These data sets are named where one is asked for that is not known, beside those that are made here."""
SIDE = 512
"""Drawings have so many pixels a side."""
NOISY_LINES = 256
"""So many lines of pixels are made noisy together."""


def _photographs() -> Iterator[tuple[str, UInt8]]:
    from skimage import data

    for name in PHOTOGRAPHS:
        try:
            pixels = getattr(data, name)()
        except (OSError, ModuleNotFoundError):
            continue
        yield name, np.ascontiguousarray(pixels[..., :3])


def _portraits() -> Iterator[tuple[str, UInt8]]:
    """Yield faces cut as CelebA's are, from portraits in the public domain, each also mirrored."""
    from matplotlib import get_data_path
    from skimage import data

    hopper = read_image(Path(get_data_path()) / "sample_data" / "grace_hopper.jpg")
    portraits = {"collins": Image.fromarray(data.astronaut()), "hopper": Image.fromarray(hopper)}
    for name, portrait in portraits.items():
        face = np.asarray(portrait.crop(FACES[name]))
        yield name, face
        yield f"{name} mirrored", np.ascontiguousarray(face[:, ::-1])


def _drawings() -> Iterator[tuple[str, UInt8]]:
    """Yield flat colour, gradients, noise, a page of text, and a window with shapes."""
    ys, xs = np.indices((SIDE, SIDE))
    random = np.random.default_rng(0)
    yield "flat", np.full((SIDE, SIDE, 3), (30, 120, 200), dtype=np.uint8)
    yield "gradient", np.stack([ys // 2, xs // 2, (ys + xs) // 4], 2).astype(np.uint8)
    waves = 127.5 + 127.5 * np.sin(ys[..., None] / 40 + xs[..., None] / (30, 50, 70))
    yield "waves", waves.round().astype(np.uint8)
    yield "noise", random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    yield "grey noise", random.integers(0, 256, (SIDE, SIDE, 1), dtype=np.uint8).repeat(3, 2)
    page = Image.new("RGB", (SIDE, SIDE), "white")
    draw, words = ImageDraw.Draw(page), ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog"]
    for line in range(28):
        text = " ".join(random.choice(words, 12))
        draw.text((12, 10 + 18 * line), text, fill=(20, 20, 20), font=ImageFont.load_default(14))
    yield "text", np.asarray(page)
    window = Image.new("RGB", (SIDE, SIDE), (236, 236, 240))
    draw = ImageDraw.Draw(window)
    draw.rectangle((0, 0, SIDE, 30), fill=(60, 90, 160))
    for i in range(12):
        draw.rounded_rectangle((20 + 40 * i, 60, 50 + 40 * i, 90), 6, fill=tuple(random.integers(0, 256, 3).tolist()))
        draw.ellipse((20 + 40 * i, 120 + 25 * i, 60 + 40 * i, 160 + 25 * i), outline=(0, 0, 0), width=2)
        draw.text((20, 200 + 22 * i), f"item {i}: {words[i % 8]}", fill=(0, 0, 0), font=ImageFont.load_default(13))
    yield "screenshot", np.asarray(window)


def _files(folder: Path) -> dict[str, Path]:
    """Return the images below a folder by their paths in it, without suffixes where no two are then the same."""
    paths = [path.relative_to(folder) for path in images_below(folder)]
    count = Counter(path.with_suffix("") for path in paths)
    return {str(p if count[p.with_suffix("")] > 1 else p.with_suffix("")): folder / p for p in paths}


def dataset_name(dataset: str) -> str:
    """Return what results and their folders are called after a data set, or after a folder's last part: `.` has one."""
    return Path(os.path.abspath(dataset)).name  # not resolved: what a link leads to may have any name


MADE = {"scikit-image": _photographs, "portraits": _portraits, "synthetic": _drawings}


def _unknown(dataset: str, root: Path) -> InputError:
    """Return what is wrong with the name of a data set of which nothing is there, and the remedy, in one line."""
    if dataset.removesuffix(PAPER) in (*PUBLISHED, *LISTED) or (root / dataset).is_dir():
        return not_there(dataset, "test", root)
    names = ", ".join((*LISTED, *MADE))
    if Path(dataset).exists():
        what = "no images in this folder" if Path(dataset).is_dir() else "is no folder"
        return InputError(f"{dataset}: {what}; give a folder of images, or a data set: {names}")
    return InputError(f"no data set {dataset!r}; there are: {names}, and folders in {root}; or give a folder of images")


def load_pictures(dataset: str, limit: int | None = None) -> dict[str, UInt8]:
    """Return the first `limit` images of a data set by name, all for None; each uint8 (H, W, 3).

    Gives a SelfcodecWarning of what is changed: grey is made colour, and transparency is left out.

    Args:
        dataset: `scikit-image` (photographs that come with it), `portraits` (faces in the public domain), `synthetic`
            (drawings made here), a data set with a test split, a folder of images below the data root, or any folder of
            images; the first of these that exists, since results in the current folder may be called like their data
            set.

    Raises:
        InputError: there are no such images.
    """
    if dataset in MADE:
        found = dict(islice(MADE[dataset](), limit))
    elif (named := load_named(dataset, "test", data_root(), limit)) is not None:
        found = named
    elif files := _files(data_root() / dataset) or _files(Path(dataset)):
        lines = list[str]()
        names = {path: name for name, path in islice(files.items(), limit)}
        found = {names[path]: image for path, image in read_images(names, lines.append)}
        for line, count in Counter(lines).items():
            warn_of([line], f"{dataset}, {count} of {len(found)} images")
    else:
        raise _unknown(dataset, data_root())
    if not found:
        raise InputError(f"data set {dataset!r}: no test images")
    return found


def load_test_split(dataset: str, limit: int | None = None) -> dict[str, UInt8]:
    """Return the same of a training set's own test images, which are never those that were trained on.

    Raises:
        InputError: it has none, as a folder of images and several sets have not, or they are not there.
    """
    found = load_named(dataset, "test", data_root(), limit)
    if found is None and dataset.removesuffix(PAPER) in PUBLISHED:
        raise not_there(dataset, "test", data_root())
    if found is None:
        raise InputError(f"training set {dataset!r}: no test images of its own; choose others with --dataset")
    return found


def load_photograph(path: Path | None, name: str = "chelsea") -> tuple[str, Picture]:
    """Return a name for files, and the image at `path` without its metadata, or scikit-image's of that name."""
    if path is not None:
        return path.stem, load_picture(path, strip=True)
    from skimage import data

    return name, from_image(Image.fromarray(getattr(data, name)()))


def photograph_of_size(path: Path | None, width: int, height: int) -> Picture:
    """Return the image at `path`; or scikit-image's photograph, mirrored again and again to that size.

    A little noise lies over the copies, or else a PNG of many of them would be smaller than anything.
    """
    picture = load_photograph(path)[1]
    if path is not None:
        return picture
    whole = np.concatenate([picture.planes, picture.planes[:, ::-1]], 1)
    whole = np.concatenate([whole, whole[::-1]])
    ys, xs = np.arange(height) % whole.shape[0], np.arange(width) % whole.shape[1]
    copies, random = whole[ys[:, None], xs], np.random.default_rng(0)
    for top in range(0, height, NOISY_LINES):  # a part at a time, to save memory
        part = copies[top : top + NOISY_LINES]
        part[...] = np.clip(part + random.integers(-1, 2, part.shape, dtype=np.int16), 0, 255)
    return from_image(Image.fromarray(copies))
