"""Files of many pictures as inputs and outputs of encode and decode."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import encode, run
from PIL import Image
from shard_files import crops, facts, png_of, read_tar, write_tar

from selfcodec import encoding, many, together
from selfcodec.arrays import UInt8
from selfcodec.zoo import Model

pytest_plugins = ("command_line", "model_fixtures")


@pytest.fixture
def pictures(photo: UInt8, tiny_model: Model, always_the_model: None) -> UInt8:
    return crops(photo, 5)


@pytest.fixture
def tar(tmp_path: Path, pictures: UInt8) -> Path:
    """Five samples of a picture, a class and a text each."""
    (tmp_path / "in").mkdir()
    files = {}
    for i, samples in enumerate(pictures):
        files |= {f"00000{i}.png": png_of(samples), f"00000{i}.cls": b"%d" % i, f"00000{i}.json": b"{}"}
    return write_tar(tmp_path / "in" / "s-000.tar", files)


def samples_of(png: bytes) -> UInt8:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_a_shard_holds_the_files_that_its_pictures_have_alone(
    tar: Path, pictures: UInt8, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "MOST_FILES", 4)
    calls: list[int] = []

    def counted(own: list[Any], *arguments: Any, **options: Any) -> Any:
        calls.append(len(own))
        return encoding.encode_pictures(own, *arguments, **options)

    monkeypatch.setattr(many, "encode_pictures", counted)
    result = encode(tar)
    assert calls == [4]  # and the last one alone
    assert "s-000.tar -> " in result.stdout
    coded, source = tar.with_name("s-000.sv.tar"), read_tar(tar)
    files = read_tar(coded)
    sizes = sum(len(data) for name, data in files.items() if name.endswith(".sv")), coded.stat().st_size
    expected = "5 pictures, {} bytes of pictures, {} with the tar file, ".format(*sizes)
    assert expected in result.stdout
    assert list(files) == [name.replace(".png", ".sv") for name in source]
    assert facts(coded) == facts(tar)
    for name, data in source.items():
        if name.endswith(".png"):
            alone = encode("-", input=data).stdout_bytes
            assert files[name.replace(".png", ".sv")] == alone
        else:
            assert files[name] == data
    run("decode", coded, "-o", tar.with_name("back.tar"))
    back = read_tar(tar.with_name("back.tar"))
    assert list(back) == list(source)
    assert facts(tar.with_name("back.tar")) == facts(tar)
    for i, samples in enumerate(pictures):
        assert np.array_equal(samples_of(back[f"00000{i}.png"]), samples)
    warning = run("decode", coded, "-o", tar.with_name("back.npy")).stderr
    assert "left out (10)" in warning
    assert np.array_equal(np.load(tar.with_name("back.npy")), pictures)


def test_an_array_that_may_be_meant_as_one_is_told_once(photo: UInt8, tiny_model: Model, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", photo[:5, :4])
    told = encode(tmp_path / "a.npy", "-m", "rs1").stderr
    assert f"warning: {tmp_path / 'a.npy'}: an array (5, 4, 3) is taken as 5 grey pictures of 3×4; if" in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("grey", [False, True])
def test_an_array_comes_back(tmp_path: Path, pictures: UInt8, grey: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "MOST_FILES", 2)
    array = pictures[..., 0] if grey else pictures
    np.save(tmp_path / "a.npy", array)
    encode(tmp_path / "a.npy", "-o", tmp_path / "a.sv.tar")
    files = read_tar(tmp_path / "a.sv.tar")
    assert list(files) == [f"00000{i}.sv" for i in range(5)]
    assert files["000004.sv"] == encode("-", input=png_of(array[4])).stdout_bytes
    run("decode", tmp_path / "a.sv.tar", "-o", tmp_path / "b.npy")
    assert np.array_equal(np.load(tmp_path / "b.npy"), array)
    assert (tmp_path / "b.npy").read_bytes() == (tmp_path / "a.npy").read_bytes()


def test_folders_of_shards_and_lossy_modes(tar: Path, tmp_path: Path, pictures: UInt8) -> None:
    np.save(tar.with_name("b.npy"), pictures)
    np.save(tar.with_name("features.npy"), np.zeros((3, 4)))
    write_tar(tar.with_name("texts.tar"), {"a.txt": b"no picture"})
    write_tar(tar.with_name("old.sv.tar"), {"a.sv": b"\x93SV", "b.txt": b""})
    Image.fromarray(pictures[0]).save(tar.with_name("c.png"))
    out = tmp_path / "out"
    result = encode(tar.parent, "-o", out, "-m", "rs2", "-q", "30", "--json")
    assert "3 files skipped: 2 not images, 1 shard of .sv files" in result.stderr
    reports = json.loads(result.stdout)
    assert [Path(report["input"]).name for report in reports] == ["b.npy", "c.png", "s-000.tar"]
    assert [report.get("pictures") for report in reports] == [5, None, 5]
    assert sorted(path.name for path in out.iterdir()) == ["b.sv.tar", "c.sv", "s-000.sv.tar"]
    assert read_tar(out / "b.sv.tar")["000000.sv"] == (out / "c.sv").read_bytes()
    run("decode", out, "-o", tmp_path / "back")
    assert sorted(path.name for path in (tmp_path / "back").iterdir()) == ["b.tar", "c.png", "s-000.tar"]
    assert encode(tar.parent, "-o", out, "-m", "rs2", "--skip-existing").stdout == ""


def test_one_picture_is_one_and_the_case_of_suffixes_does_not_matter(tmp_path: Path, pictures: UInt8) -> None:
    one = write_tar(tmp_path / "a.tar", {"0.png": png_of(pictures[0])})
    assert ", 1 picture, " in encode(one, "-o", tmp_path / "B.SV.TAR").stdout
    for name in ("C.TAR", "D.NPY"):
        run("decode", tmp_path / "B.SV.TAR", "-o", tmp_path / name)
    assert list(read_tar(tmp_path / "C.TAR")) == ["0.png"]
    assert np.array_equal(np.load(tmp_path / "D.NPY"), pictures[:1])


def test_hidden_files_and_folders_are_copied(tmp_path: Path, pictures: UInt8) -> None:
    path = write_tar(tmp_path / "a.tar", {"d/0.png": png_of(pictures[0]), "d/._0.png": b"no picture", "._1.sv": b"nor"})
    with tarfile.open(path, "a") as tar:
        folder = tarfile.TarInfo("e.png")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    encode(path)
    run("decode", tmp_path / "a.sv.tar", "-o", tmp_path / "b.tar")
    assert list(read_tar(tmp_path / "a.sv.tar")) == ["d/0.sv", "d/._0.png", "._1.sv"]
    assert list(read_tar(tmp_path / "b.tar")) == ["d/0.png", "d/._0.png", "._1.sv"]
    assert facts(tmp_path / "b.tar") == facts(path)


def test_names_that_would_be_the_same_stay_apart(tmp_path: Path, pictures: UInt8) -> None:
    png, grey = png_of(pictures[0]), png_of(pictures[1][..., 0])
    files = {"./d/0.jpg": png, "./d/0.png": grey, "./d/1.left.png": png, "2.png": png, "2.sv": b"text", "3": png}
    encode(write_tar(tmp_path / "a.tar", files))
    names = ["./d/0.jpg.sv", "./d/0.png.sv", "./d/1.left.sv", "2.png.sv", "2.sv", "3.sv"]
    assert list(read_tar(tmp_path / "a.sv.tar")) == names


def test_what_is_wrong_is_named_and_nothing_is_written(tar: Path, tmp_path: Path, pictures: UInt8) -> None:
    out = tmp_path / "out.sv.tar"
    for files, message in (
        ({"0.png": png_of(pictures[0]), "1.png": b"damaged"}, ": 1.png: not an image"),
        ({"0.txt": b""}, ": no images in this file"),
    ):
        path = write_tar(tmp_path / "bad.tar", files)
        assert message in encode(path, "-o", out, code=1).stderr
    path.write_bytes(tar.read_bytes()[:3000])
    assert "bad.tar: no whole tar file" in encode(path, tar, "-o", f"{tmp_path / 'two'}/", code=1).stderr
    assert [p.name for p in (tmp_path / "two").iterdir()] == ["s-000.sv.tar"]
    assert "tar file: name it" in encode(tar, "-o", tmp_path / "out.sv", code=1).stderr
    (tmp_path / "0.png").write_bytes(png_of(pictures[0]))
    assert "out.sv.tar: one picture makes an .sv file" in encode(tmp_path / "0.png", "-o", out, code=1).stderr
    assert "go into a file" in encode(tar, "-o", "-", code=1).stderr
    assert not out.exists()

    coded = tmp_path / "two" / "s-000.sv.tar"
    files = read_tar(coded)
    damaged = write_tar(tmp_path / "d.sv.tar", files | {"000003.sv": files["000003.sv"][:-6]})
    assert "d.sv.tar: 000003.sv: " in run("decode", damaged, code=1).stderr
    verified = run("verify", damaged, coded, code=1)
    assert "d.sv.tar: 000003.sv: " in verified.stderr
    assert verified.stdout == f"{coded}: ok\n"
    assert not (tmp_path / "d.tar").exists()
    other = write_tar(tmp_path / "e.sv.tar", files | {"x.sv": encode("-", input=png_of(pictures[0, :5])).stdout_bytes})
    assert (
        ": x.sv: RGB 12×5, where others are RGB 12×12" in run("decode", other, "-o", tmp_path / "e.npy", code=1).stderr
    )
    assert not (tmp_path / "e.npy").exists()
    assert "make a .tar or" in run("decode", coded, "-o", tmp_path / "e.png", code=1).stderr
    assert "no .sv files in this file" in run("decode", tar, "-o", tmp_path / "e.tar", code=1).stderr


def test_what_is_whole_of_a_damaged_picture_is_decoded_on_request(tar: Path) -> None:
    encode(tar)
    coded = tar.with_name("s-000.sv.tar")
    files = read_tar(coded)
    write_tar(coded, files | {"000003.sv": files["000003.sv"][:-6]})
    result = run("decode", coded, "--allow-truncated", "--force")
    assert result.stderr.startswith(f"selfcodec: warning: {coded}: 000003.sv: cut short or damaged")
    assert len(read_tar(tar)) == 15


def test_existing_shards_are_not_overwritten(tar: Path) -> None:
    before = tar.read_bytes()
    encode(tar)
    coded = tar.with_name("s-000.sv.tar")
    assert "exists; --force" in encode(tar, code=1).stderr
    assert "exists; --force" in run("decode", coded, code=1).stderr
    assert tar.read_bytes() == before
    encode(tar, "--force")
    assert "is the input itself" in encode(tar, "-o", tar, "--force", code=1).stderr
    assert tar.read_bytes() == before


def test_what_is_not_kept_is_told_once(tmp_path: Path, pictures: UInt8) -> None:
    buffer = io.BytesIO()
    Image.fromarray(pictures[0]).save(buffer, "PNG", icc_profile=b"a profile")
    files = {f"{i}.png": buffer.getvalue() for i in range(3)}
    encode(write_tar(tmp_path / "a.tar", files))
    result = run("decode", tmp_path / "a.sv.tar", "-o", tmp_path / "a.npy")
    assert result.stderr.count("\n") == 1
    assert "a.sv.tar: 0.sv and 2 more: the ICC profile is left out" in result.stderr
