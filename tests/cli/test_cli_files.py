"""Which files the commands that code read and write, one by one and in batches, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from command_line import encode, pixels, run
from PIL import Image

from selfcodec.arrays import UInt8

pytest_plugins = ("command_line", "model_fixtures")


def test_output_is_not_overwritten(sv: Path) -> None:
    before = sv.read_bytes()
    assert "exists; --force" in encode(sv.with_suffix(".png"), "-m", "rs1", code=1).stderr
    assert sv.read_bytes() == before
    encode(sv.with_suffix(".png"), "-m", "rs1", "--force")
    assert len(sv.read_bytes()) < len(before)
    run("decode", sv, code=1)
    run("decode", sv, "--force")


def test_input_as_output_is_refused(sv: Path) -> None:
    png = sv.with_suffix(".png")
    before = png.read_bytes(), sv.read_bytes()
    assert "write .sv files" in encode(png, "-o", png, "--force", code=1).stderr
    assert "input itself" in run("cut", sv, "-m", "cg", "-o", sv, "--force", code=1).stderr
    assert "input itself" in encode(sv, "--force", code=1).stderr
    assert before == (png.read_bytes(), sv.read_bytes())


def test_stdin_and_stdout(png: Path, photo: UInt8) -> None:
    coded = encode("-", input=png.read_bytes())
    assert coded.stdout_bytes == encode("-", "-o", "-", input=png.read_bytes()).stdout_bytes
    assert coded.stdout_bytes.startswith(b"\x93SV")
    decoded = run("decode", "-", input=coded.stdout_bytes).stdout_bytes
    (png.parent / "b.png").write_bytes(decoded)
    assert np.array_equal(pixels(png.parent / "b.png"), photo)
    assert run("verify", "-", input=coded.stdout_bytes).stdout == "standard input: ok\n"
    encode("-", png, code=2, input=b"")
    encode("-", "-o", f"{png.parent}/", code=2, input=png.read_bytes())
    encode(png, "--json", "-o", "-", code=2)


def test_folders_keep_their_structure(png: Path, tmp_path: Path) -> None:
    (png.parent / "sub").mkdir()
    (png.parent / "sub" / "b.JPG").write_bytes(png.read_bytes())
    (png.parent / "notes.txt").write_text("no image")
    encode(png.parent, "-m", "rs1", "-o", tmp_path / "new" / "coded")
    coded = sorted(p.relative_to(tmp_path / "new" / "coded") for p in tmp_path.glob("new/coded/**/*.sv"))
    assert coded == [Path("a.sv"), Path("sub/b.sv")]
    run("decode", tmp_path / "new", "-o", f"{tmp_path / 'out'}/")
    assert sorted(tmp_path.glob("out/**/*.png")) == [tmp_path / "out/coded/a.png", tmp_path / "out/coded/sub/b.png"]
    (tmp_path / "empty").mkdir()
    assert "no images below" in encode(tmp_path / "empty", code=1).stderr


def test_a_slash_makes_a_folder_and_a_file_is_none(png: Path, tmp_path: Path) -> None:
    encode(png, "-m", "rs1", "-o", f"{tmp_path / 'made'}/")
    assert (tmp_path / "made" / "a.sv").is_file()
    other = png.with_name("b.png")
    other.write_bytes(png.read_bytes())
    assert "several inputs need a folder" in encode(png, other, "-o", tmp_path / "made" / "a.sv", code=1).stderr
    assert "looks like a file" in encode(png, other, "-o", tmp_path / "one.sv", code=1).stderr
    assert not (tmp_path / "one.sv").exists()


def test_a_batch_goes_on_past_a_bad_file(png: Path, sv: Path, tmp_path: Path) -> None:
    bad, missing = png.with_name("bad.png"), png.with_name("missing.png")
    bad.write_bytes(b"no image")
    result = encode(bad, missing, png, "-o", tmp_path / "out", "--json", code=1)
    assert len(result.stderr.splitlines()) == 2
    reports = json.loads(result.stdout)
    assert [(report["input"], "error" in report) for report in reports] == [
        (str(bad), True),
        (str(missing), True),
        (str(png), False),
    ]
    assert "not an image" in reports[0]["error"]
    broken = sv.with_name("broken.sv")
    broken.write_bytes(sv.read_bytes()[:-1] + b"x")
    result = run("decode", broken, sv, "-o", tmp_path / "out2", code=1)
    assert result.stderr.count("\n") == 1
    assert [p.name for p in (tmp_path / "out2").iterdir()] == ["a.png"]


def test_two_processes_give_the_same_in_order(png: Path, tmp_path: Path) -> None:
    other, bad = png.with_name("b.png"), png.with_name("bad.png")
    Image.open(png).rotate(90, expand=True).save(other)
    bad.write_bytes(b"no image")
    one = encode(bad, other, png, "-m", "rs2", "-o", tmp_path / "one", "--json", code=1)
    two = encode(bad, other, png, "-m", "rs2", "-o", tmp_path / "two", "--json", "-j", 2, code=1)
    assert one.stderr == two.stderr
    assert [r["input"] for r in json.loads(two.stdout)] == [str(bad), str(other), str(png)]
    for name in ("a.sv", "b.sv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_unwritable_outputs(png: Path, sv: Path, tmp_path: Path) -> None:
    assert "no folder" in encode(png, "-o", tmp_path / "none" / "x.sv", code=1).stderr
    assert "cannot be written" in encode(png, "-m", "rs1", "-o", f"{png}/", code=1).stderr
    assert "no image format" in run("decode", sv, "-o", tmp_path / "x.xyz", code=1).stderr
    assert "no image format" in run("decode", sv, "-o", tmp_path / "x.sv", code=1).stderr
    if Path("/dev/full").exists():
        assert "cannot be written" in encode(png, "-m", "rs1", "-o", "/dev/full", code=1).stderr
    assert sorted(p.name for p in png.parent.iterdir()) == ["a.png", "a.sv"]
