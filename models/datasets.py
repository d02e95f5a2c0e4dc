"""Data sets, as their authors publish them or as arrays of 8-bit images."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.errors import InputError, MissingDataError
from selfcodec.files import IMAGE_SUFFIXES
from selfcodec.images import load_picture

SIDE = 64
"""CelebA's and Imagenette's images have so many pixels a side as the paper uses them (section 4.1)."""
FACE_TOP, FACE_LEFT, FACE_SIDE = 40, 15, 148
"""The paper cuts this box from CelebA's aligned images, in pixels."""
FACE_SIZE = (218, 178)
"""Those have this height and width."""
PAPER = "-paper"
"""A public data set's name with this behind it is the paper's own split: of the training images a share, drawn at
random, is the test set (section 4.1), and the published test set is not used."""
PAPER_SHARE, PAPER_SEED = 0.15, 0
PARTITION = "list_eval_partition.txt"
ARRAY_CLASSES = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}
"""Pickled arrays are made of these."""
PARTITIONS = {"train": "0", "test": "2"}


def data_root() -> Path:
    """`$SELFCODEC_DATA`, or `~/.cache/selfcodec/data`."""
    return Path(os.environ.get("SELFCODEC_DATA", "~/.cache/selfcodec/data")).expanduser()


def images_below(folder: Path) -> list[Path]:
    """Every file of a folder, and of all folders below it, that is an image by its name; hidden ones are left out."""
    seen = (path for path in folder.rglob("*") if not any(p.startswith(".") for p in path.relative_to(folder).parts))
    return sorted(path for path in seen if path.suffix.lower() in IMAGE_SUFFIXES)


def read_image(path: Path, tell: Callable[[str], None] = lambda line: None) -> UInt8:
    """A file's image (H, W, 3), grey ones in colour and of more than 8 bits reduced to 8.

    Args:
        path: the file.
        tell: is given what of the image is changed or left out, line by line.

    Raises:
        InputError: it cannot be read, or is of inks, whose colours depend on the paper.
    """
    picture = load_picture(path, strip=True, first=True)
    if picture.lossy_refusal:
        raise InputError(f"{path}: {picture.lossy_refusal}")
    for line in picture.warnings:
        tell(line)
    if picture.alpha is not None:
        tell("transparency is left out")
    if picture.planes.shape[2] == 3:
        return picture.planes
    tell("grey is made colour")
    return picture.planes.repeat(3, 2)


def read_images(paths: Iterable[Path], tell: Callable[[str], None] = lambda line: None) -> Iterator[tuple[Path, UInt8]]:
    """Files and their images one after another, see `read_image`; InputError in the end, of all that cannot be read."""
    failures = list[str]()
    for path in paths:
        try:
            image = read_image(path, tell)
        except InputError as error:
            failures.append(str(error))
        else:
            yield path, image
    if failures:
        several = f"{len(failures)} images cannot be read: " if len(failures) > 1 else ""
        raise InputError(several + "; ".join(failures))


def resized(pixels: UInt8, width: int, height: int) -> UInt8:
    """An image (H, W, 3) by bicubic interpolation."""
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))


def _missing(path: Path, where: str) -> InputError:
    return InputError(f"{path}: missing; {where}")


class _Arrays(pickle.Unpickler):
    """Reads arrays and what Python's own types hold; a file that asks for anything else to be run is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if (module.replace("._core", ".core"), name) not in ARRAY_CLASSES:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of an array")
        return super().find_class(module, name)


def _cifar10(root: Path, split: str) -> Iterable[tuple[str, UInt8]] | None:
    folder = root / "cifar-10-batches-py"
    return _batches(folder, split) if folder.is_dir() else None


def _batches(folder: Path, split: str) -> Iterator[tuple[str, UInt8]]:
    names = ["test_batch"] if split == "test" else [f"data_batch_{i}" for i in range(1, 6)]
    parts = []
    for name in names:
        try:
            with (folder / name).open("rb") as file:
                rows = _Arrays(file, encoding="bytes").load()[b"data"]  # the layout that its authors publish
            parts.append(np.asarray(rows, dtype=np.uint8).reshape(-1, 3, 32, 32))
        except Exception as error:  # unpickling raises many kinds for damaged files
            raise InputError(f"{folder / name}: not a batch of CIFAR-10 ({type(error).__name__})") from error
    images = np.concatenate(parts).transpose(0, 2, 3, 1)
    yield from ((str(i), image) for i, image in enumerate(images))


def _face(path: Path) -> UInt8:
    pixels = read_image(path)
    if pixels.shape[:2] != FACE_SIZE:
        raise InputError(f"{path}: {pixels.shape[1]}×{pixels.shape[0]} pixels; the aligned images have 178×218")
    box = pixels[FACE_TOP : FACE_TOP + FACE_SIDE, FACE_LEFT : FACE_LEFT + FACE_SIDE]
    return resized(np.ascontiguousarray(box), SIDE, SIDE)


def _celeba(root: Path, split: str) -> Iterable[tuple[str, UInt8]] | None:
    folders = (root / "img_align_celeba", root / "celeba" / "img_align_celeba")
    folder = next((f for f in folders if f.is_dir()), None)
    if folder is None:
        return None
    lists = (folder.parent / PARTITION, folder.parent / "Eval" / PARTITION, folder.parent / "Anno" / PARTITION)
    partition = next((path for path in lists if path.is_file()), None)
    if partition is None:
        raise _missing(lists[0], f"it comes with the data set at {PUBLISHED['celeba'].url}")
    lines = [line.split() for line in partition.read_text(encoding="ascii", errors="replace").splitlines()]
    if not all(len(line) == 2 for line in lines):
        raise InputError(f"{partition}: expected lines of a file name and a number; get it again")
    names = sorted(name for name, part in lines if part == PARTITIONS[split])
    return ((Path(name).stem, _face(folder / name)) for name in names)


def _imagenette(root: Path, split: str) -> Iterable[tuple[str, UInt8]] | None:
    folder = next((f for f in sorted(root.glob("imagenette2*")) if f.is_dir()), None)
    if folder is None:
        return None
    files = sorted((folder / ("val" if split == "test" else split)).glob("*/*.JPEG"))
    return ((f"{path.parent.name}/{path.stem}", resized(read_image(path), SIDE, SIDE)) for path in files)


@dataclass(frozen=True)
class Published:
    """A public data set.

    Attributes:
        url: where it is to be had.
        what: of that, to be unpacked where.
        read: its images by name, one after another, from a root and a split; None where it is not there.
        folder: name of its arrays' folder.
    """

    url: str
    what: str
    read: Callable[[Path, str], Iterable[tuple[str, UInt8]] | None]
    folder: str


PUBLISHED = {
    "cifar10": Published(
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "unpack it (MD5 c58f30108f718f92721af3b95e74349a) in {root}",
        _cifar10,
        "cifar10",
    ),
    "celeba": Published(
        "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        f"unpack img_align_celeba.zip in {{root}} and put {PARTITION} beside it",
        _celeba,
        "celeba",
    ),
    "imagenette64": Published(
        "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-160.tgz",
        "unpack it in {root}",
        _imagenette,
        "imagenette",
    ),
}
ALIASES = {"imagenette": "imagenette64"}
"""Older names, which go on, of data sets that are shown by one."""
PUBLISHED |= {alias: PUBLISHED[name] for alias, name in ALIASES.items()}
KODAK_URL = "https://r0k.us/graphics/kodak/"


def _load_array(path: Path) -> UInt8:
    try:
        images = np.load(path)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{path}: not an array that NumPy saved ({type(error).__name__})") from error
    if not isinstance(images, np.ndarray):
        raise InputError(f"{path}: several arrays, as np.savez saves them; expected one, uint8 (N, H, W, 3)")
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise InputError(f"{path}: expected uint8 (N, H, W, 3), found {images.dtype} {images.shape}")
    return np.asarray(images)


def _array_path(dataset: str, split: str, root: Path) -> Path | None:
    """Where a data set's array is, if it is there; that of the test split may be called `val`."""
    folders = dict.fromkeys((dataset, PUBLISHED[dataset].folder if dataset in PUBLISHED else dataset))
    splits = ("test", "val") if split == "test" else (split,)
    paths = (root / folder / f"{name}.npy" for folder in folders for name in splits)
    return next((path for path in paths if path.is_file()), None)


def _array_of(dataset: str, split: str, root: Path) -> UInt8 | None:
    """A data set's array (N, H, W, 3), if it is there."""
    path = _array_path(dataset, split, root)
    return None if path is None else _load_array(path)


def _papers(images: dict[str, UInt8], split: str) -> dict[str, UInt8]:
    """The images of the paper's own split among the published training images, in their order."""
    test = np.zeros(len(images), dtype=bool)
    drawn = np.random.default_rng(PAPER_SEED).permutation(len(images))
    test[drawn[: round(PAPER_SHARE * len(images))]] = True
    return {name: image for (name, image), own in zip(images.items(), test == (split == "test"), strict=True) if own}


def load_named(dataset: str, split: str, root: Path, limit: int | None = None) -> dict[str, UInt8] | None:
    """A data set's images by name, each (H, W, 3), from its array or as it is published; None where neither is there.

    Args:
        dataset: looked for in `<root>/<dataset>/<split>.npy`; those in PUBLISHED also as their authors publish them,
            then cropped and resized as in the paper's section 4.1, and with PAPER behind the name in its split.
        split: `train` or `test`.
        root: where to look.
        limit: read no more images than that.

    Raises:
        InputError: a file is damaged, or of another kind.
    """
    array = _array_of(dataset, split, root)
    if array is not None:
        return {str(i): image for i, image in enumerate(array[:limit])}
    base = dataset.removesuffix(PAPER)
    if base != dataset and base in PUBLISHED:
        images = load_named(base, "train", root)
        return None if images is None else dict(islice(_papers(images, split).items(), limit))
    found = PUBLISHED[dataset].read(root, split) if dataset in PUBLISHED else None
    return None if found is None else dict(islice(found, limit))


def _is_there(dataset: str, root: Path) -> bool:
    """Whether `load_named` has training images to read, of which none is read here."""
    if _array_path(dataset, "train", root) is not None:
        return True
    base = dataset.removesuffix(PAPER)
    if base != dataset:
        return base in PUBLISHED and _is_there(base, root)
    return dataset in PUBLISHED and PUBLISHED[dataset].read(root, "train") is not None


def stands_for(data: Path | None, datasets: Sequence[str]) -> bool:
    """Whether a folder takes the place of data sets, as a folder of images: it is given, and has none of them in it."""
    if data is None or not data.is_dir():
        return False
    return not any((data / name).is_dir() or _is_there(name, data) for name in datasets)


def not_there(dataset: str, split: str, root: Path) -> MissingDataError:
    """What to put where, in one line."""
    base = dataset.removesuffix(PAPER)
    if base != dataset and base in PUBLISHED:
        return not_there(base, "train", root)
    where = f"give a folder of images, or put {split}.npy, uint8 (N, H, W, 3), into {root / dataset}"
    if dataset == "kodak":
        where = f"put the PNG files from {KODAK_URL} into {root / dataset}"
    elif dataset in PUBLISHED:
        public = PUBLISHED[dataset]
        where = f"get {public.url} and {public.what.format(root=root)}, or {where}"
    return MissingDataError(f"data set {dataset!r} is not there: {where}")


def load_images(dataset: str, split: str, root: Path) -> UInt8 | None:
    """A data set's images of one size, (N, H, W, 3); None where it is not there. See `load_named`."""
    array = _array_of(dataset, split, root)
    if array is not None:
        return array
    named = load_named(dataset, split, root)
    return np.stack(list(named.values())) if named else None
