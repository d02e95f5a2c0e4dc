"""What .sv files hold: cut, info and verify, damage, and models that are not there."""

from __future__ import annotations

import json
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from command_line import pixels, run

pytest_plugins = ("command_line", "model_fixtures")
MODEL_ID_OFFSET = 7
"""Of a file without settings whose sides are below 128."""


def test_cut_is_what_upto_decodes(sv: Path, tmp_path: Path) -> None:
    for mode in ("rs1", "cg", "cr"):
        run("cut", sv, "-m", mode, "-o", tmp_path / f"{mode}.sv")
        run("decode", tmp_path / f"{mode}.sv")
        run("decode", sv, "--upto", mode, "-o", tmp_path / f"upto-{mode}.png")
        assert np.array_equal(pixels(tmp_path / f"{mode}.png"), pixels(tmp_path / f"upto-{mode}.png"))
    assert "no prefix" in run("cut", sv, "-m", "rs2", "-o", tmp_path / "no.sv", code=1).stderr
    assert "exists" in run("cut", sv, "-m", "cg", "-o", tmp_path / "cg.sv", code=1).stderr
    run("cut", sv, "-m", "cg", "-o", tmp_path / "cg.sv", "--force")
    cut = run("cut", sv, "-m", "cg", "-o", "-").stdout_bytes
    assert cut == (tmp_path / "cg.sv").read_bytes()


def test_info_counts_every_byte(sv: Path) -> None:
    (fields,) = json.loads(run("info", sv, "--json").stdout)
    assert fields["header_bytes"] + sum(fields["sections"].values()) == fields["bytes"] == sv.stat().st_size
    assert [row["mode"] for row in fields["prefixes"]] == ["rs1", "cg", "cr", "lossless"]
    for row in fields["prefixes"]:
        made = run("cut", sv, "-m", row["mode"], "-o", "-").stdout_bytes
        assert len(made) == row["bytes"]
    assert fields["prefixes"][-1]["end"] == fields["bytes"]


def test_truncated_files_decode_on_request(sv: Path, tmp_path: Path) -> None:
    (fields,) = json.loads(run("info", sv, "--json").stdout)
    end = next(row["end"] for row in fields["prefixes"] if row["mode"] == "cg")
    short, whole = tmp_path / "short.sv", tmp_path / "whole.sv"
    short.write_bytes(sv.read_bytes()[:end])
    error = run("decode", short, code=1).stderr
    assert "cut short" in error
    assert "--allow-truncated" in error
    assert not short.with_suffix(".png").exists()
    short.write_bytes(sv.read_bytes()[:20])
    assert "--allow-truncated" not in run("decode", short, code=1).stderr
    short.write_bytes(sv.read_bytes()[:end])
    warning = run("decode", short, "--allow-truncated").stderr
    assert warning.count("\n") == 1
    assert "(u y1)" in warning
    assert "no checksum" in warning
    run("cut", sv, "-m", "cg", "-o", whole)
    run("decode", whole)
    assert np.array_equal(pixels(short.with_suffix(".png")), pixels(whole.with_suffix(".png")))
    assert "no checksum" in run("cut", short, "-m", "cg", "--allow-truncated", "-o", tmp_path / "cut.sv").stderr
    assert (tmp_path / "cut.sv").read_bytes() == whole.read_bytes()
    (left,) = json.loads(run("info", short, "--json").stdout)
    assert left["intact"] is False
    assert [row["mode"] for row in left["prefixes"]] == ["rs1", "cg"]
    assert "no checksum" in run("info", short).stdout
    assert run("decode", sv, "--allow-truncated", "--force").stderr == ""


def test_verify(sv: Path) -> None:
    bad = sv.with_name("bad.sv")
    bad.write_bytes(sv.read_bytes()[:-4] + bytes(4))
    result = run("verify", bad, sv, sv.with_name("none.sv"), code=1)
    assert result.stdout == f"{sv}: ok\n"
    assert len(result.stderr.splitlines()) == 2
    assert run("verify", sv).stdout == f"{sv}: ok\n"


def test_a_missing_model_is_named(sv: Path) -> None:
    data = bytearray(sv.read_bytes())
    checksum = MODEL_ID_OFFSET + 4
    data[MODEL_ID_OFFSET:checksum] = bytes.fromhex("00c0ffee")
    data[checksum : checksum + 4] = zlib.crc32(data[:checksum] + data[checksum + 4 :]).to_bytes(4, "little")
    sv.write_bytes(data)
    for command in (["decode", sv, "--force"], ["verify", sv], ["cut", sv, "-m", "cg", "-o", "-"]):
        assert "00c0ffee" in run(*command, code=1).stderr
    text = run("info", sv).stdout
    assert "00c0ffee, not installed" in text
    assert "96×64 RGB" in text


def test_a_file_that_cannot_be_cut_to_a_mode_names_those_that_it_has(sv: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.sv"
    for command in (["cut", sv, "-m", "rs2", "-o", out], ["decode", sv, "--upto", "rs2", "-o", tmp_path / "x.png"]):
        told = run(*command, code=1).stderr
        assert "this file's (u y1 z1 x): it has rs1, cg, cr, lossless; for another mode encode the image again" in told
    run("cut", sv, "-m", "cg", "-o", out)
    assert "it has rs1, cg; for another" in run("cut", out, "-m", "cr", "-o", tmp_path / "y.sv", code=1).stderr


def test_empty_files_are_called_so(sv: Path) -> None:
    sv.write_bytes(b"")
    for command in (["info"], ["verify"], ["decode", "--force"]):
        assert (
            run(*command, sv, code=1).stderr == f"selfcodec: error: {sv}: the file is empty: nothing can be decoded\n"
        )


@pytest.mark.parametrize("name", ["many.sv.tar", "many.tar.gz", "many.npy"])
def test_many_pictures_are_not_taken_for_one(name: str, png: Path, sv: Path, tmp_path: Path) -> None:
    if name.endswith(".npy"):
        np.save(tmp_path / name, np.zeros((2, 8, 8, 3), dtype=np.uint8))
    else:
        with tarfile.open(tmp_path / name, "w:gz" if name.endswith("gz") else "w") as shard:
            shard.add(sv, "a.sv")
    data = (tmp_path / name).read_bytes()
    for command in (["info", tmp_path / name], ["cut", tmp_path / name, "-m", "cg", "-o", "-"]):
        remedy = "selfcodec encode makes" if name.endswith(".npy") else f"tar -xf {tmp_path / name} unpacks"
        assert f"this command takes single .sv files: {remedy} them" in run(*command, code=1).stderr
    for verb, output in (("decode", "-"), ("encode", "-"), ("encode", tmp_path / "b.sv.tar")):
        result = run(verb, "-", "-o", output, code=1, input=data)
        assert "take many pictures from a file by its name" in result.stderr


def test_what_is_no_sv_file(png: Path) -> None:
    for command in (["decode", png, "-o", "-"], ["info", png], ["verify", png], ["cut", png, "-m", "cg", "-o", "-"]):
        assert "not an .sv file" in run(*command, code=1).stderr
