"""Data sets: where they are looked for, as arrays or as published, and how folders are cut."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from harm import Harm
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.sources import load_pictures
from selfcodec.errors import InputError
from selfcodec.models.datasets import (
    images_below,
    load_images,
    load_named,
    not_there,
    read_image,
    read_images,
    stands_for,
)
from selfcodec.models.patches import load_patches


def there(dataset: str, split: str, root: Path) -> UInt8:
    found = load_images(dataset, split, root)
    assert found is not None
    return found


def test_an_array_is_found_by_its_name(patches: UInt8, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    np.save(tmp_path / "own" / "train.npy", patches[:3])
    np.save(tmp_path / "own" / "test.npy", patches[3:5])
    assert (there("own", "test", tmp_path) == patches[3:5]).all()
    assert (there("own", "train", tmp_path) == patches[:3]).all()
    assert load_images("other", "train", tmp_path) is None


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 8, 8, 3)), np.zeros((2, 8, 8), np.uint8), np.zeros((2, 3, 8, 8), np.uint8)]
)
def test_an_array_of_another_kind_is_refused(wrong: npt.NDArray[np.generic], tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    np.save(tmp_path / "own" / "train.npy", wrong)
    with pytest.raises(InputError, match=r"train.npy: expected uint8 \(N, H, W, 3\)"):
        load_images("own", "train", tmp_path)


def test_cifar10_is_read_as_its_authors_publish_it(patches: UInt8, tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for i, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        rows = patches[2 * i : 2 * i + 2].transpose(0, 3, 1, 2).reshape(2, -1)
        (folder / name).write_bytes(pickle.dumps({b"data": rows}))
    assert (there("cifar10", "train", tmp_path) == patches[:10]).all()
    assert (there("cifar10", "test", tmp_path) == patches[10:12]).all()


def test_images_are_cut_into_patches(photo: UInt8, tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    Image.fromarray(photo[:40, :70]).save(tmp_path / "a.png")
    Image.fromarray(photo[:32, :32, 0]).save(tmp_path / "deeper" / "b.PNG")
    (tmp_path / "c.txt").write_text("no image", encoding="utf-8")
    paths = images_below(tmp_path)
    first, second = load_patches(paths, 32, several=False)
    assert (first == np.stack([photo[:32, :32], photo[:32, 32:64]])).all()
    assert (second == np.repeat(photo[:32, :32, :1], 3, 2)).all()
    assert list(map(len, load_patches(paths, 16, several=False))) == [2 * 4, 4]
    assert list(map(len, load_patches(paths, 36, several=False))) == [1]
    assert load_patches(paths, 64, several=False) == []


def test_images_that_training_would_spoil_are_refused_by_name(photo: UInt8, tmp_path: Path) -> None:
    Image.fromarray(photo).convert("CMYK").save(tmp_path / "inks.jpg")
    with pytest.raises(InputError, match=r"inks\.jpg: it has printing inks"):
        load_patches([tmp_path / "inks.jpg"], 32, several=False)
    Image.fromarray(photo).save(tmp_path / "short.png")
    (tmp_path / "short.png").write_bytes((tmp_path / "short.png").read_bytes()[:3000])
    with pytest.raises(InputError, match=r"short\.png: a damaged PNG"):
        load_patches([tmp_path / "short.png"], 32, several=False)


def test_all_images_that_cannot_be_read_are_named_at_once(photo: UInt8, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        Image.fromarray(photo).save(tmp_path / f"{name}.png")
    for name in ("a", "c"):
        (tmp_path / f"{name}.png").write_bytes(b"nothing")
    read = []
    with pytest.raises(InputError, match=r"^2 images cannot be read: \S*a\.png: .*; \S*c\.png: "):
        read.extend(path.name for path, _ in read_images(images_below(tmp_path)))
    assert read == ["b.png"]


def test_the_first_of_several_pictures_in_a_file_is_taken(photo: UInt8, tmp_path: Path) -> None:
    frames = [Image.fromarray(photo[:32, 32 * i : 32 * i + 32]) for i in range(2)]
    frames[0].save(tmp_path / "two.tiff", save_all=True, append_images=frames[1:])
    told = list[str]()
    assert (read_image(tmp_path / "two.tiff", told.append) == photo[:32, :32]).all()
    assert told == ["it holds 2 images, of which only the first is taken"]


def test_images_of_16_bits_are_reduced(photo: UInt8, tmp_path: Path) -> None:
    Image.fromarray(photo[:32, :32, 0].astype(np.uint16) * 257).save(tmp_path / "deep.png")
    (patches,) = load_patches([tmp_path / "deep.png"], 32, several=False)
    assert (patches == photo[:32, :32, :1]).all()


@pytest.mark.parametrize(("name", "remedy"), [("cifar10", "cs.toronto.edu"), ("own", "put train.npy")])
def test_data_that_are_not_there_are_asked_for(name: str, remedy: str, tmp_path: Path) -> None:
    assert load_images(name, "train", tmp_path / "nothing") is None
    assert remedy in str(not_there(name, "train", tmp_path / "nothing"))


# As published.


def noise(seed: int, height: int, width: int) -> UInt8:
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return coarse.repeat(8, 0).repeat(8, 1)[:height, :width]


def saved(path: Path, image: UInt8) -> UInt8:
    """Saves an image as JPEG; what comes back of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, "JPEG", quality=95)
    with Image.open(path) as back:
        return np.asarray(back.convert("RGB"))


def shrunk(image: UInt8) -> UInt8:
    return np.asarray(Image.fromarray(image).resize((64, 64), Image.Resampling.BICUBIC))


@pytest.fixture
def faces(tmp_path: Path) -> dict[str, UInt8]:
    """Six aligned images and their partition; by name what the paper's protocol makes of them."""
    out = {}
    lines = ["000001.jpg 0", "000002.jpg 2", "000003.jpg 1", "000004.jpg 2", "000005.jpg 0", "000006.jpg 2"]
    for i, line in enumerate(lines):
        name = line.split(".")[0]
        image = saved(tmp_path / "celeba" / "img_align_celeba" / f"{name}.jpg", noise(i, 218, 178))
        box = Image.fromarray(image).crop((15, 40, 15 + 148, 40 + 148))
        out[name] = np.asarray(box.resize((64, 64), Image.Resampling.BICUBIC))
    (tmp_path / "celeba" / "list_eval_partition.txt").write_text("\n".join(lines) + "\n", encoding="ascii")
    return out


def test_celeba_is_cut_as_in_the_paper(
    faces: dict[str, UInt8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = {name: faces[name] for name in ("000002", "000004", "000006")}
    assert (there("celeba", "train", tmp_path) == np.stack([faces["000001"], faces["000005"]])).all()
    found = load_named("celeba", "test", tmp_path)
    assert found is not None
    assert list(found) == list(test)
    assert all((found[name] == test[name]).all() for name in test)
    monkeypatch.setenv("SELFCODEC_DATA", str(tmp_path))
    assert list(load_pictures("celeba")) == list(test)
    np.save(tmp_path / "celeba" / "test.npy", np.stack(list(test.values())))
    assert (np.stack(list(load_pictures("celeba").values())) == np.stack(list(test.values()))).all()


def test_images_beyond_the_limit_are_not_opened(faces: dict[str, UInt8], tmp_path: Path) -> None:
    broken = tmp_path / "celeba" / "img_align_celeba" / "000006.jpg"
    broken.write_bytes(broken.read_bytes()[:400])
    assert list(load_named("celeba", "test", tmp_path, 2) or ()) == ["000002", "000004"]
    with pytest.raises(InputError, match=r"000006\.jpg: damaged"):
        load_named("celeba", "test", tmp_path)


def test_celeba_needs_its_partition_and_its_size(faces: dict[str, UInt8], tmp_path: Path) -> None:
    partition = tmp_path / "celeba" / "list_eval_partition.txt"
    Image.fromarray(noise(1, 64, 64)).save(tmp_path / "celeba" / "img_align_celeba" / "000002.jpg")
    with pytest.raises(InputError, match=r"000002\.jpg: 64×64 pixels; the aligned images have 178×218"):
        load_named("celeba", "test", tmp_path)
    partition.rename(tmp_path / "celeba" / "Eval")
    partition.write_text("one two three\n", encoding="ascii")
    with pytest.raises(InputError, match=r"list_eval_partition\.txt: expected lines of"):
        load_named("celeba", "test", tmp_path)
    partition.unlink()
    with pytest.raises(InputError, match=r"list_eval_partition\.txt: missing; .*https://mmlab"):
        load_named("celeba", "test", tmp_path)


@pytest.mark.parametrize("name", ["imagenette64", "imagenette"])
def test_imagenette_is_resized(name: str, tmp_path: Path) -> None:
    root = tmp_path / "imagenette2-160"
    first = saved(root / "val" / "n01440764" / "b.JPEG", noise(1, 160, 213))
    grey = saved(root / "val" / "n01440764" / "a.JPEG", noise(2, 200, 160)[..., 0])
    other = saved(root / "train" / "n02102040" / "c.JPEG", noise(3, 100, 100))
    found = load_named(name, "test", tmp_path)
    assert found is not None
    assert list(found) == ["n01440764/a", "n01440764/b"]
    assert (np.stack(list(found.values())) == np.stack([shrunk(grey), shrunk(first)])).all()
    assert (there(name, "train", tmp_path) == shrunk(other)[None]).all()
    (tmp_path / "imagenette").mkdir()
    np.save(tmp_path / "imagenette" / "val.npy", shrunk(grey)[None])
    assert (there(name, "test", tmp_path) == shrunk(grey)[None]).all()


def test_the_paper_s_own_split_is_drawn_from_the_training_images(tmp_path: Path) -> None:
    """15 % of them, always the same ones; what is published as test set is not among them."""
    (tmp_path / "cifar10").mkdir()
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    np.save(tmp_path / "cifar10" / "train.npy", images)
    np.save(tmp_path / "cifar10" / "test.npy", images[:2])
    parts = {split: load_named("cifar10-paper", split, tmp_path) or {} for split in ("train", "test")}
    assert (len(parts["train"]), len(parts["test"])) == (34, 6)
    assert sorted(map(int, [*parts["train"], *parts["test"]])) == list(range(40))
    assert list(parts["test"]) != [str(i) for i in range(6)]
    for split, part in parts.items():
        assert all((images[int(name)] == image).all() for name, image in part.items())
        assert (there("cifar10-paper", split, tmp_path) == np.stack(list(part.values()))).all()
    assert list(load_named("cifar10-paper", "test", tmp_path, 2) or {}) == list(parts["test"])[:2]
    assert (there("cifar10", "test", tmp_path) == images[:2]).all()
    missing = str(not_there("imagenette64-paper", "test", tmp_path / "nothing"))
    assert missing.startswith("data set 'imagenette64' is not there: get https://")
    assert "imagenette2-160" in missing


def test_damaged_batches_and_arrays_are_named(tmp_path: Path) -> None:
    folder, harm = tmp_path / "cifar-10-batches-py", tmp_path / "harm"
    folder.mkdir()
    for batch in ({b"data": np.zeros((2, 100), np.uint8)}, {b"labels": 1}, [1], Harm(harm), {b"data": Harm(harm)}):
        (folder / "test_batch").write_bytes(pickle.dumps(batch))
        with pytest.raises(InputError, match="test_batch: not a batch of CIFAR-10"):
            load_images("cifar10", "test", tmp_path)
    assert not harm.exists()
    (folder / "test_batch").write_bytes(b"nothing")
    assert not stands_for(tmp_path, ["cifar10", "other"])  # it is there, whatever is in it, and is not read for that
    assert stands_for(tmp_path, ["celeba", "cifar100"])
    with pytest.raises(InputError, match="test_batch: not a batch of CIFAR-10"):
        load_images("cifar10", "test", tmp_path)
    array = tmp_path / "cifar10" / "test.npy"
    array.parent.mkdir()
    array.write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"test\.npy: not an array"):
        load_images("cifar10", "test", tmp_path)
    with array.open("wb") as file:
        np.savez(file, a=np.zeros((2, 8, 8, 3), np.uint8))
    with pytest.raises(InputError, match=r"test\.npy: several arrays"):
        load_images("cifar10", "test", tmp_path)
