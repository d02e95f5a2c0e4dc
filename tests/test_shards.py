"""Files of many pictures: what is read of them, what is written, and what is refused."""

from __future__ import annotations

import io
import re
import tarfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from shard_files import facts, read_tar, write_tar

from selfcodec.errors import InputError
from selfcodec.shards import ArraySink, ArraySource, Source, TarSink, TarSource

NAMES = st.text("ab0./é", min_size=1, max_size=120).filter(lambda name: name.strip("./") and not name.endswith("/"))


def names_of(source: Source) -> list[str]:
    with closing(source):
        return [entry.name for entry in source.entries()]


@given(files=st.dictionaries(NAMES, st.binary(max_size=1500), min_size=1, max_size=6), compressed=st.booleans())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_tar_file_comes_back_as_it_was(files: dict[str, bytes], compressed: bool, tmp_path: Path) -> None:
    path, out = write_tar(tmp_path / "a.tar", files, mode="w:gz" if compressed else "w"), tmp_path / "b.tar"
    with closing(TarSource(str(path))) as source, open(out, "wb") as file:
        sink = TarSink(file)
        entries = list(source.entries())
        for entry in entries:
            data = entry.read()
            assert entry.head == data[:64]
            sink.add(entry.name, entry.info, data)
        assert not sink.finish()
    assert list(read_tar(out).items()) == list(read_tar(path).items())
    assert facts(out) == facts(path)


def test_times_and_texts_of_members_stay_and_names_are_the_new_ones(tmp_path: Path) -> None:
    path, out = tmp_path / "a.tar", tmp_path / "b.tar"
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("folder")
        info.type, info.mode = tarfile.DIRTYPE, 0o750
        tar.addfile(info)
        info = tarfile.TarInfo("folder/" + 120 * "x" + ".png")
        info.pax_headers = {"comment": "a comment", "mtime": "1700000000.123456789"}
        info.size = 3
        tar.addfile(info, io.BytesIO(b"png"))
    with closing(TarSource(str(path))) as source, open(out, "wb") as file:
        sink = TarSink(file)
        for entry in list(source.entries()):
            sink.add(entry.name.replace("png", "sv"), entry.info, entry.read() and b"sv")
        sink.finish()
    with tarfile.open(out) as tar:
        folder, member = tar.getmembers()
    assert folder.isdir()
    assert folder.mode == 0o750
    assert (member.name, member.size) == ("folder/" + 120 * "x" + ".sv", 2)
    assert member.pax_headers["comment"] == "a comment"
    assert member.pax_headers["mtime"] == "1700000000.123456789"


def test_links_are_left_out_by_number(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("a"))
        for name, kind in (("b", tarfile.SYMTYPE), ("c", tarfile.LNKTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "a"
            tar.addfile(info)
    source = TarSource(str(tmp_path / "a.tar"))
    assert names_of(source) == ["a"]
    assert source.left_out == ("members that are links, pipes or devices are left out (2)",)


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_tar_file_that_is_cut_short_is_an_error(data: st.DataObject, tmp_path: Path) -> None:
    mode = data.draw(st.sampled_from(["w", "w:gz"]))
    whole = write_tar(tmp_path / "a.tar", {"a.png": bytes(700), "b.cls": b"7" * 1000}, mode=mode).read_bytes()
    used = 512 * (1 + 2 + 1 + 2) if mode == "w" else len(whole) - 1  # the end is of zeros, of which one block tells it
    (tmp_path / "short.tar").write_bytes(whole[: data.draw(st.integers(0, used))])
    with pytest.raises(InputError, match=r"short\.tar: .*no whole tar file: get another copy"):
        names_of(TarSource(str(tmp_path / "short.tar")))


def test_damage_is_not_taken_for_the_end(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", {"a": b"1", "b": b"2", "c": b"3"})
    whole = bytearray(path.read_bytes())
    path.write_bytes(bytes(whole) + bytes(whole))  # two that are joined, of which tar reads the first
    with pytest.raises(InputError, match="neither a member nor the end"):
        names_of(TarSource(str(path)))
    whole[1024 + 5] ^= 1  # in the second header
    path.write_bytes(whole)
    with pytest.raises(InputError, match="neither a member nor the end"):
        names_of(TarSource(str(path)))
    with pytest.raises(InputError, match=r"none\.tar: cannot be read"):
        TarSource(str(tmp_path / "none.tar"))


@given(
    count=st.integers(1, 4),
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    colour=st.booleans(),
    fortran=st.booleans(),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_array_comes_back_as_it_was(
    count: int, height: int, width: int, colour: bool, fortran: bool, tmp_path: Path
) -> None:
    shape = (count, height, width, 3) if colour else (count, height, width)
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    np.save(tmp_path / "a.npy", np.asfortranarray(array) if fortran else array)
    with closing(ArraySource(str(tmp_path / "a.npy"))) as source, open(tmp_path / "b.npy", "wb") as file:
        sink = ArraySink(file, count)
        for i, entry in enumerate(source.entries()):
            assert entry.name == f"00000{i}." + ("ppm" if colour else "pgm")
            assert sink.add_image(entry.name, entry.info, Image.open(io.BytesIO(entry.read()))) == ()
        assert sink.finish() == ()
    back = np.load(tmp_path / "b.npy")
    assert back.dtype == np.uint8
    assert back.shape == shape
    assert np.array_equal(back, array)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 3, 4), np.uint16), r"an array \(2, 3, 4\) of uint16: give"),
        (np.zeros((3, 4), np.uint8), r"an array \(3, 4\) of uint8: give"),
        (np.zeros((2, 3, 4, 2), np.uint8), r"an array \(2, 3, 4, 2\) of uint8: give"),
        (np.zeros((0, 3, 4), np.uint8), r"an array \(0, 3, 4\) holds no pictures"),
    ],
)
def test_other_arrays_hold_no_pictures(array: np.ndarray, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    source = ArraySource(str(tmp_path / "a.npy"))
    assert re.match(message, source.instead)
    assert names_of(source) == []


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([None]), allow_pickle=True)
    with pytest.raises(InputError, match=r"a\.npy: no whole array of NumPy"):
        ArraySource(str(tmp_path / "a.npy"))


@given(size=st.integers(0, 151))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_array_that_is_cut_short_is_an_error(size: int, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 4), np.uint8))
    whole = (tmp_path / "a.npy").read_bytes()
    assert len(whole) == 152
    (tmp_path / "a.npy").write_bytes(whole[:size])
    with pytest.raises(InputError, match=r"a\.npy: no whole array of NumPy"):
        ArraySource(str(tmp_path / "a.npy"))


def test_an_array_takes_pictures_of_one_kind() -> None:
    info = tarfile.TarInfo("a")
    sink = ArraySink(io.BytesIO(), 2)
    sink.add("a.cls", info, b"7")
    image = Image.new("RGB", (3, 2))
    image.info["icc_profile"] = b"a profile"
    assert sink.add_image("a", info, image) == ("the ICC profile is left out; colours look different without it",)
    for other in (Image.new("RGB", (2, 3)), Image.new("L", (3, 2))):
        with pytest.raises(InputError, match=r"where others are RGB 3×2: an array"):
            sink.add_image("b", info, other)
    with pytest.raises(InputError, match="grey and RGB pictures only"):
        sink.add_image("b", info, Image.new("RGBA", (3, 2)))
    assert sink.finish() == ("files beside the pictures are left out (1): an array holds pictures only",)
