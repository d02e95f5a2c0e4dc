"""The library's functions for many pictures, and the example in docs/ that reads them into PyTorch."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from shard_files import crops, png_of, read_tar, write_tar

import selfcodec
from selfcodec import encoding, many, together
from selfcodec.arrays import UInt8
from selfcodec.zoo import Model

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"


@pytest.fixture
def pictures(photo: UInt8, tiny_model: Model) -> UInt8:
    return crops(photo, 5)


def test_an_array_has_the_files_of_its_pictures(pictures: UInt8, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "MOST_FILES", 2)
    calls: list[int] = []

    def counted(own: Any, *arguments: Any, **options: Any) -> Any:
        calls.append(len(own))
        return encoding.encode_pictures(own, *arguments, **options)

    monkeypatch.setattr(many, "encode_pictures", counted)
    files = selfcodec.encode_many(pictures, model="tiny")
    assert calls == [2, 2]  # and the last one alone
    assert files == [selfcodec.encode(samples, model="tiny") for samples in pictures]
    assert np.array_equal(np.stack([np.asarray(image) for image in selfcodec.decode_many(files)]), pictures)


def test_images_of_every_kind_and_lossy_modes(pictures: UInt8) -> None:
    images = [Image.fromarray(pictures[0]), pictures[1, :, :, 0], png_of(pictures[2])]
    options: dict[str, Any] = {"mode": "rs2", "model": "tiny", "quality": 20}
    files = selfcodec.encode_many((image for image in images), **options)
    assert files == [selfcodec.encode(image, **options) for image in images]
    (small,) = selfcodec.encode_many(images[:1], "rs2", "tiny", bytes=40)
    assert len(small) <= 40
    assert [image.mode for image in selfcodec.decode_many(iter(files), upto="rs1")] == ["RGB", "L", "RGB"]
    assert selfcodec.encode_many([], model="tiny") == []
    assert selfcodec.decode_many([]) == []


def test_an_array_that_may_be_meant_as_one_picture_is_told(pictures: UInt8) -> None:
    line = r"^an array \(4, 12, 3\) is taken as 4 grey pictures of 3×12; if it is one of 12×4 in colours, give array\["
    with pytest.warns(selfcodec.SelfcodecWarning, match=line) as caught:
        files = selfcodec.encode_many(pictures[0, :4, :12], model="tiny")
    assert [warning.filename for warning in caught] == [__file__]
    assert len(files) == 4
    assert len(selfcodec.encode_many(pictures[:2, :4, :5, 0], model="tiny")) == 2


def test_which_one_is_wrong_is_told(pictures: UInt8, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "MOST_FILES", 2)
    with pytest.raises(selfcodec.InputError, match=r"image 3: an array \(12,\)"):
        selfcodec.encode_many([*pictures[:3], pictures[0, 0, :, 0]], model="tiny")
    with pytest.raises(selfcodec.InputError, match="image 0: 1 bytes are too few"):
        selfcodec.encode_many(pictures, "rs2", "tiny", bytes=1)
    files = selfcodec.encode_many(pictures, model="tiny")
    files[3] = files[3][:-1] + bytes([files[3][-1] ^ 1])
    with pytest.raises(selfcodec.FormatError, match=r"file 3: .*checksum"):
        selfcodec.decode_many(files)


@pytest.mark.parametrize("one", ["a.png", b"png", Path("a.png"), io.BytesIO(), Image.new("L", (1, 1)), 3])
def test_one_is_not_many(one: Any) -> None:
    with pytest.raises(selfcodec.InputError, match="many images are given as a list"):
        selfcodec.encode_many(one)
    with pytest.raises(selfcodec.InputError, match="many files are given as a list"):
        selfcodec.decode_many(one)


@pytest.fixture
def shards(pictures: UInt8, tmp_path: Path) -> list[str]:
    """Two, of three samples and of two, which have a class beside the picture."""
    files = selfcodec.encode_many(pictures, model="tiny")
    named = {
        f"s/00000{i}.{kind}": data for i, sv in enumerate(files) for kind, data in (("sv", sv), ("cls", b"%d" % i))
    }
    items = list(named.items())
    return [str(write_tar(tmp_path / f"{i}.sv.tar", dict(own))) for i, own in enumerate((items[:6], items[6:]))]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(EXAMPLES)
    import shards as module  # type: ignore[import-not-found]

    yield module
    del sys.modules["shards"]


def test_the_example_reads_shards(example: Any, shards: list[str], pictures: UInt8) -> None:
    ((batch, classes),) = example.loader(shards, workers=0)
    assert np.array_equal(batch.numpy(), pictures.transpose(0, 3, 1, 2))
    assert classes.tolist() == [0, 1, 2, 3, 4]


def test_the_example_takes_members_as_tar_names_them(example: Any, shards: list[str], tmp_path: Path) -> None:
    """In a folder, or in `.`; and what has no picture is no sample."""
    files = {name: data for shard in shards for name, data in read_tar(Path(shard)).items()}
    for folder in ("./", "v1.0/"):
        named = {folder + name: data for name, data in files.items()} | {folder + "README.md": b"no sample"}
        path = write_tar(tmp_path / "named.tar", named)
        assert [sample["cls"] for sample in example.samples(path)] == [b"0", b"1", b"2", b"3", b"4"]


def test_the_example_has_workers(shards: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "shards.py"), *shards], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout, done.returncode) == ("5 pictures\n", 0), done.stderr
