"""What is printed: names that do no harm to a terminal and stand once in a line, remedies, and Ctrl-C."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import encode, run
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from selfcodec import images
from selfcodec.cli.info import metadata_sizes
from selfcodec.cli.names import shown
from selfcodec.cli.output import describe
from selfcodec.errors import InputError
from selfcodec.images import Picture

pytest_plugins = ("command_line", "model_fixtures")

INTERRUPTING = """
import os, runpy, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == MODULE:
            try:
                os.kill(os.getpid(), signal.SIGINT)
                while True:
                    pass
            except KeyboardInterrupt:
                raise ImportError("as extension modules make of it")

interrupt = Interrupt()
sys.meta_path.insert(0, interrupt)
runpy.run_module("selfcodec", run_name="__main__")
"""
"""Sends Ctrl-C's signal while a module is imported."""


@given(st.text() | st.binary().map(os.fsdecode))
def test_what_is_shown_is_one_printable_line(text: str) -> None:
    assert shown(text).isprintable()
    assert shown(shown(text)) == shown(text)
    if text.isprintable():
        assert shown(text) == text


@pytest.mark.parametrize("path", ["a.png", "the", "a  b\n.png", "\x1b[31m.png", "\udcff.png"])
def test_a_line_has_its_file_name_once(path: str) -> None:
    for text in (f"{path}: is damaged", "is damaged"):
        assert describe(InputError(text), path) == f"{shown(path)}: is damaged"
    assert describe(FileNotFoundError(2, "No such file", path), path) == f"{shown(path)}: No such file"
    assert describe(InputError("the file is damaged"), path).startswith(f"{shown(path)}: the file")


def test_names_are_safe_wherever_they_are_printed(png: Path) -> None:
    odd = png.with_name("\x1b[31m\u202ea\n.png")
    png.rename(odd)
    done = encode(odd, "-m", "rs1")
    assert len(done.stdout.splitlines()) == 1
    coded = odd.with_suffix(".sv")
    outputs = [done, run("info", coded), run("verify", coded), run("decode", coded, code=1), encode(odd, code=1)]
    outputs += [run("encode", "--\x1b", code=2), run("cut", coded, "x\x1b", "-m", "cg", "-o", "-", code=2)]
    for result in outputs:
        assert "\x1b" not in result.output
        assert "\u202e" not in result.output
        assert "\\x1b" in result.output


def test_what_is_no_sv_file_is_told_what_to_do(png: Path) -> None:
    png.with_name("notes.txt").write_text("no image")
    assert "it is an image; selfcodec encode" in run("decode", png, code=1).stderr
    assert "is an image" not in run("decode", png.with_name("notes.txt"), code=1).stderr
    for name in ("out.png", "out.jpg", "out.HEIC"):
        assert "write .sv files: name it" in encode(png, "-o", png.with_name(name), code=1).stderr


def test_what_is_empty_and_what_holds_several_arrays_is_named(png: Path) -> None:
    assert "Error: the output's name is empty\n" in encode(png, "-o", "", code=2).stderr
    for shape in ((0, 32, 32, 3), (2, 0, 5)):
        np.save(png.with_name("none.npy"), np.zeros(shape, np.uint8))
        told = encode(png.with_name("none.npy"), code=1).stderr
        assert told.endswith(f"none.npy: an array {shape} holds no pictures\n")
    np.savez(png.with_name("z.npz"), np.zeros((2, 8, 8, 3), np.uint8))
    for options in (("-o", png.with_name("z.sv.tar")), ()):
        told = encode(png.with_name("z.npz"), *options, code=1).stderr
        assert told.endswith(
            "z.npz: several arrays, as np.savez saves them: give one array, which np.save saves as .npy\n"
        )


def test_an_unreadable_argument_is_an_error_and_no_wrong_use(png: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = png.with_name("b.png")
    other.write_bytes(png.read_bytes())
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, *mode, **how: str(path) != str(other) and access(path, *mode, **how))
    encode(png, other, "-m", "rs1")
    assert png.with_suffix(".sv").exists()


@pytest.mark.usefixtures("always_the_model")
def test_outputs_are_no_wider_open_than_inputs(png: Path) -> None:
    png.chmod(0o600)
    os.utime(png, ns=(10**18, 10**18))
    encode(png, "-m", "rs1")
    coded, image = png.with_suffix(".sv"), png.with_name("b.png")
    run("decode", coded, "-o", image)
    assert [path.stat().st_mode & 0o777 for path in (coded, image)] == [0o600, 0o600]
    png.chmod(0o640)
    encode(png, "-m", "rs1", "--force", "--preserve")
    run("decode", coded, "-o", image, "--force", "--preserve")
    assert [(path.stat().st_mode & 0o777, path.stat().st_mtime_ns) for path in (coded, image)] == [(0o640, 10**18)] * 2


def test_why_a_file_is_stored_and_that_it_grew(tmp_path: Path, tiny_model: object) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "flat.png")
    (report,) = json.loads(encode(tmp_path / "flat.png", "--json").stdout)
    assert "smaller than" in report["stored_reason"]
    assert report["source_bytes"] == (tmp_path / "flat.png").stat().st_size
    Image.effect_noise((64, 64), 90).save(tmp_path / "noise.jpg", quality=5)
    grown = encode(tmp_path / "noise.jpg").stdout
    assert f"larger than its source ({(tmp_path / 'noise.jpg').stat().st_size} bytes)" in grown
    assert "larger than" not in encode(tmp_path / "noise.jpg", "-m", "rs1", "--force").stdout


@pytest.mark.parametrize("first", [False, True])
def test_the_first_picture_is_asked_for(png: Path, first: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def load(source: object, *, strip: bool, first: bool) -> Picture:
        asked.append(first)
        raise InputError("enough")

    monkeypatch.setattr(images, "load_picture", load)
    encode(png, *(["--first"] if first else []), code=1)
    assert asked == [first]


def test_info_lists_metadata(png: Path) -> None:
    with Image.open(png) as image:
        exif = image.getexif()
        exif[0x0131] = "a camera"
        image.save(png, exif=exif, icc_profile=b"profile")
    encode(png, "-m", "rs1")
    (fields,) = json.loads(run("info", png.with_suffix(".sv"), "--json").stdout)
    assert fields["metadata"]["icc_profile"] == len(b"profile")
    assert "icc_profile 7 bytes, exif " in run("info", png.with_suffix(".sv")).stdout
    missing = run("info", png.with_suffix(".sv"), "none.sv", "--json", code=1)
    assert "cannot be read" in json.loads(missing.stdout)[1]["error"]


def test_metadata_are_measured_by_part() -> None:
    chunks = ((b"gAMA", b"1234"), (b"tEXt", b"ab"), (b"tEXt", b"c"))
    assert metadata_sizes({"exif": b"12", "png_chunks": chunks}) == {"exif": 2, "gAMA": 4, "tEXt": 3}


@pytest.mark.parametrize("module", ["selfcodec.cli.encode", "numpy"])
def test_ctrl_c_during_an_import_is_one_line(module: str, png: Path) -> None:
    program = INTERRUPTING.replace("MODULE", repr(module))
    done = subprocess.run([sys.executable, "-c", program, "encode", str(png)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "selfcodec: interrupted: stopped by Ctrl-C\n")
