"""Sources of images to measure: drawings, photographs, folders and data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmark_commands import COUNT
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.sources import LISTED, MADE, load_pictures
from selfcodec.cli.options import DATASET_HELP
from selfcodec.errors import InputError, SelfcodecWarning

pytest_plugins = ("benchmark_fixtures",)


def test_drawings_are_the_same_every_time() -> None:
    first, second = load_pictures("synthetic"), load_pictures("synthetic")
    assert list(first) == ["flat", "gradient", "waves", "noise", "grey noise", "text", "screenshot"]
    assert all((first[name] == second[name]).all() for name in first)
    assert {image.shape for image in first.values()} == {(512, 512, 3)}
    assert len(np.unique(first["flat"].reshape(-1, 3), axis=0)) == 1
    assert list(load_pictures("synthetic", 2)) == ["flat", "gradient"]


def test_photographs_come_with_scikit_image() -> None:
    found = load_pictures("scikit-image")
    assert {"astronaut", "chelsea", "coffee"} <= set(found)
    assert all(image.dtype == np.uint8 and image.shape[2] == 3 for image in found.values())


def test_folders_are_sources(images: UInt8, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own").mkdir()
    Image.fromarray(images[0]).save(tmp_path / "own" / "b.png")
    Image.fromarray(images[1]).convert("L").save(tmp_path / "own" / "a.png")
    monkeypatch.setenv("SELFCODEC_DATA", str(tmp_path))
    for name in ("own", str(tmp_path / "own")):
        with pytest.warns(SelfcodecWarning, match="1 of 2 images: grey is made colour"):
            found = load_pictures(name)
        assert list(found) == ["a", "b"]
        assert (found["b"] == images[0]).all()
        assert found["a"].shape == (*images.shape[1:3], 3)


def test_what_is_no_data_set_is_told_which_there_are(
    images: UInt8, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where to put what is missing is told of data sets that are known, and of folders that are there."""
    monkeypatch.setenv("SELFCODEC_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "own").mkdir()
    (tmp_path / "empty").mkdir()
    Image.fromarray(images[0]).save("a.png")
    names = ", ".join((*LISTED, *MADE))
    for dataset, text in (
        (
            "nope",
            f"no data set 'nope'; there are: {names}, and folders in {tmp_path / 'data'}; or give a folder of images",
        ),
        ("empty", f"empty: no images in this folder; give a folder of images, or a data set: {names}"),
        ("a.png", f"a.png: is no folder; give a folder of images, or a data set: {names}"),
        ("own", "data set 'own' is not there: give a folder of images, or put test.npy"),
        ("kodak", "data set 'kodak' is not there: put the PNG files from https://r0k.us"),
        ("celeba-paper", "data set 'celeba' is not there: get https://"),
    ):
        with pytest.raises(InputError) as error:
            load_pictures(dataset)
        assert str(error.value).startswith(text)
    assert all(name in DATASET_HELP for name in (*LISTED, *MADE, "~/.cache/selfcodec/data", "$SELFCODEC_DATA"))


def test_every_image_below_a_folder_has_a_name_of_its_own(images: UInt8, tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "b.gif", "in/it/c.png", ".hidden.png", ".in/d.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[0]).save(tmp_path / name)
    (tmp_path / "words.txt").write_text("no image", encoding="utf-8")
    seen = Image.fromarray(images[0])
    seen.putalpha(9)
    seen.save(tmp_path / "e.png")
    Image.fromarray(images[0][..., 0]).save(tmp_path / "f.png")
    Image.fromarray(images[0][..., 0]).save(tmp_path / "g.png")
    with pytest.warns(SelfcodecWarning) as told:
        assert list(load_pictures(str(tmp_path))) == ["a.jpg", "a.png", "b", "e", "f", "g", "in/it/c"]
    assert [str(warning.message) for warning in told] == [
        f"{tmp_path}, 1 of 7 images: transparency is left out",
        f"{tmp_path}, 2 of 7 images: grey is made colour",
    ]


@pytest.mark.parametrize("plots", [False, True])
def test_a_folder_of_results_does_not_hide_the_data_set_of_its_name(
    images: UInt8, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plots: bool
) -> None:
    (tmp_path / "data" / "own").mkdir()
    Image.fromarray(images[0]).save(tmp_path / "data" / "own" / "a.png")
    for name in ("own", "cifar10", "elsewhere"):
        (tmp_path / name).mkdir()
        if plots or name == "elsewhere":
            Image.fromarray(images[0]).save(tmp_path / name / "psnr.png")
    monkeypatch.chdir(tmp_path)
    assert list(load_pictures("own")) == ["a"]
    assert len(load_pictures("cifar10")) == COUNT
    assert list(load_pictures("elsewhere")) == ["psnr"]


def test_portraits_are_faces_and_their_mirror_images() -> None:
    faces = load_pictures("portraits")
    assert {image.shape[2] for image in faces.values()} == {3}
    assert all(image.shape[0] == image.shape[1] for image in faces.values())
    for name, mirrored in (("collins", "collins mirrored"), ("hopper", "hopper mirrored")):
        assert np.array_equal(faces[name][:, ::-1], faces[mirrored])
