"""The commands that code: what they write, print and refuse, and their exit statuses."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from selfcodec import codec
from selfcodec.arrays import UInt8
from selfcodec.cli.main import main
from selfcodec.zoo import Model

pytest_plugins = ("model_fixtures",)
README = Path(__file__).parent.parent / "README.md"
MODEL_ID_OFFSET = 7
"""Of a file without settings whose sides are below 128."""


def run(*arguments: object, code: int = 0, input: bytes | None = None) -> Result:
    """Runs a command; checks its exit status, and that errors are single lines."""
    result = CliRunner().invoke(main, [str(a) for a in arguments], input=input)
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    if code in (0, 1):
        assert all(line.startswith("selfcodec: ") for line in result.stderr.splitlines())
        assert ("selfcodec: error: " in result.stderr) == (code == 1)
    return result


def encode(*arguments: object, code: int = 0, input: bytes | None = None) -> Result:
    return run("encode", "--model", "tiny", *arguments, code=code, input=input)


def pixels(path: Path) -> UInt8:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture
def png(tmp_path: Path, photo: UInt8, tiny_model: Model) -> Path:
    """The photograph as a.png, in a folder of its own."""
    path = tmp_path / "in" / "a.png"
    path.parent.mkdir()
    Image.fromarray(photo).save(path)
    return path


@pytest.fixture
def sv(png: Path, always_the_model: None) -> Path:
    """The same, lossless."""
    encode(png)
    return png.with_suffix(".sv")


# Encoding and decoding.


@pytest.mark.usefixtures("always_the_model")
@pytest.mark.parametrize("mode", ["rs1", "rs2", "cg", "cr", "lossless"])
def test_every_mode_encodes_and_decodes(mode: str, png: Path, photo: UInt8) -> None:
    out = encode(png, "-m", mode).stdout
    assert f"a.sv: {mode}" in out
    run("decode", png.with_suffix(".sv"), "-o", png.parent / "b.png")
    decoded = pixels(png.parent / "b.png")
    assert decoded.shape == photo.shape
    assert np.array_equal(decoded, photo) == (mode == "lossless")


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
    assert "input itself" in encode(png, "-o", png, "--force", code=1).stderr
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
    assert "no files of a known kind" in encode(tmp_path / "empty", code=1).stderr


def test_a_slash_makes_a_folder_and_a_file_is_none(png: Path, tmp_path: Path) -> None:
    encode(png, "-m", "rs1", "-o", f"{tmp_path / 'made'}/")
    assert (tmp_path / "made" / "a.sv").is_file()
    other = png.with_name("b.png")
    other.write_bytes(png.read_bytes())
    assert "several inputs need a folder" in encode(png, other, "-o", tmp_path / "made" / "a.sv", code=1).stderr


def test_two_inputs_for_one_output_stop_everything(png: Path) -> None:
    twin = png.with_suffix(".bmp")
    Image.open(png).save(twin)
    assert "would both become" in encode(png, twin, code=1).stderr
    assert not png.with_suffix(".sv").exists()


def test_a_batch_goes_on_past_a_bad_file(png: Path, sv: Path, tmp_path: Path) -> None:
    bad, missing = png.with_name("bad.png"), png.with_name("missing.png")
    bad.write_bytes(b"no image")
    result = encode(bad, missing, png, "-o", tmp_path / "out", "--json", code=1)
    assert len(result.stderr.splitlines()) == 2
    assert [report["input"] for report in json.loads(result.stdout)] == [str(png)]
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
    assert [r["input"] for r in json.loads(two.stdout)] == [str(other), str(png)]
    for name in ("a.sv", "b.sv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.usefixtures("always_the_model")
def test_json_fields(png: Path) -> None:
    (report,) = json.loads(encode(png, "--json").stdout)
    size = png.with_suffix(".sv").stat().st_size
    expected = {"input": str(png), "output": str(png.with_suffix(".sv")), "mode": "lossless", "model": "tiny"}
    expected |= {"bytes": size, "bpp": 8 * size / (64 * 96), "width": 96, "height": 64}
    expected |= {"level": None, "quality": 50, "seed": None}
    assert expected == {key: report[key] for key in expected}
    assert report["model_bits"] <= 8 * size <= 1.01 * report["model_bits"] + 24 * 8
    assert sum(report["bits_by_variable"].values()) == pytest.approx(report["model_bits"])
    assert report["seconds"] > 0


def test_the_stored_fallback_is_reported(tmp_path: Path, tiny_model: Model) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "flat.png")
    (report,) = json.loads(encode(tmp_path / "flat.png", "--json").stdout)
    assert (report["mode"], report["model"], report["model_bits"]) == ("stored", None, 0)
    (fields,) = json.loads(run("info", tmp_path / "flat.sv", "--json").stdout)
    assert (fields["mode"], fields["intact"]) == ("stored", True)
    assert "stored whole" in run("cut", tmp_path / "flat.sv", "-m", "cg", "-o", tmp_path / "c.sv", code=1).stderr


def test_quiet_and_verbose(png: Path) -> None:
    assert encode(png, "-m", "rs1", "--quiet").output == ""
    assert "\n  u: " in encode(png, "-m", "rs1", "--force", "-v", "-q", 70).stdout
    encode(png, "--quiet", "-v", code=2)


def test_settings_reach_the_file(png: Path) -> None:
    encode(png, "-m", "cg", "--level", 1, "-q", 30, "--sample", 7, "--no-verify")
    (fields,) = json.loads(run("info", png.with_suffix(".sv"), "--json").stdout)
    assert (fields["mode"], fields["level"], fields["quality"], fields["seed"]) == ("cg", 1, 30, 7)
    text = run("info", png.with_suffix(".sv")).stdout
    assert all(word in text for word in ("cg, level 1", "quality", "seed", "tiny", "downscale"))
    assert "level from 1 to 1" in encode(png, "-m", "cg", "--level", 2, "--force", code=1).stderr
    for wrong in (["-q", 0], ["-q", 101], ["-m", "best"], ["--sample", -1], ["--sample", 1]):
        encode(png, *wrong, code=2)


def test_strip_leaves_metadata_out(png: Path) -> None:
    with Image.open(png) as image:
        exif = image.getexif()
        exif[0x0131] = "a camera"
        image.save(png, exif=exif)
    for flags, expected in ((["--force"], "a camera"), (["--force", "--strip"], None)):
        encode(png, *flags)
        run("decode", png.with_suffix(".sv"), "-o", png.with_name("b.png"), "--force")
        with Image.open(png.with_name("b.png")) as image:
            assert image.getexif().get(0x0131) == expected


# Targets.


def test_sizes_and_rates_are_kept_to(png: Path) -> None:
    for target, limit in ((["--bytes", 500], 500), (["--bpp", 0.5], 384)):
        (report,) = json.loads(encode(png, "-m", "rs2", *target, "--json", "--force").stdout)
        assert report["bytes"] <= limit
        finer = ["-q", report["quality"] + 1]
        assert json.loads(encode(png, "-m", "rs2", *finer, "--json", "--force").stdout)[0]["bytes"] > limit
    png.with_suffix(".sv").unlink()
    assert "too few" in encode(png, "-m", "rs2", "--bytes", 5, code=1).stderr
    assert not png.with_suffix(".sv").exists()


def test_psnr_is_reached_or_the_best_is_named(png: Path, photo: UInt8) -> None:
    (report,) = json.loads(encode(png, "-m", "cg", "--psnr", 20, "--json").stdout)
    run("decode", png.with_suffix(".sv"), "-o", png.with_name("b.png"))
    error = np.square(pixels(png.with_name("b.png")).astype(float) - photo).mean()
    assert report["psnr"] == pytest.approx(10 * np.log10(255**2 / error))
    assert report["psnr"] >= 20
    assert "reaches 24." in encode(png, "-m", "cg", "--psnr", 60, "--force", code=1).stderr
    for wrong in (["--psnr", 20], ["-m", "cg", "--psnr", 20, "-q", 3], ["-m", "cg", "--bytes", 9, "--bpp", 1]):
        encode(png, *wrong, code=2)
    for number in ("nan", "inf", "0", "-1", "x"):
        encode(png, "--bpp", number, code=2)


# Prefixes, damage, missing models.


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


def test_models_are_taken_by_path_and_wrong_ones_refused(
    png: Path, tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_model_dir / "tiny"
    run("encode", png, "--model", folder, "-m", "rs1")
    assert "no model 'none'" in run("encode", png, "--model", "none", code=1).stderr
    monkeypatch.delenv("SELFCODEC_MODELS")
    result = run("encode", png, "--model", folder, "-m", "rs1", "--force")
    assert result.stderr.startswith("selfcodec: warning: ")


def test_what_is_no_sv_file(png: Path) -> None:
    for command in (["decode", png, "-o", "-"], ["info", png], ["verify", png], ["cut", png, "-m", "cg", "-o", "-"]):
        assert "not an .sv file" in run(*command, code=1).stderr


# Outputs that cannot be, and errors that nobody foresaw.


def test_unwritable_outputs(png: Path, sv: Path, tmp_path: Path) -> None:
    assert "no folder" in encode(png, "-o", tmp_path / "none" / "x.sv", code=1).stderr
    assert "cannot be written" in encode(png, "-m", "rs1", "-o", f"{png}/", code=1).stderr
    assert "no image format" in run("decode", sv, "-o", tmp_path / "x.xyz", code=1).stderr
    assert "no image format" in run("decode", sv, "-o", tmp_path / "x.sv", code=1).stderr
    if Path("/dev/full").exists():
        assert "cannot be written" in encode(png, "-m", "rs1", "-o", "/dev/full", code=1).stderr
    assert sorted(p.name for p in png.parent.iterdir()) == ["a.png", "a.sv"]


def test_decoding_by_suffix(sv: Path, tmp_path: Path, photo: UInt8) -> None:
    for suffix in (".ppm", ".webp", ".tif", ".bmp"):
        run("decode", sv, "-o", tmp_path / f"x{suffix}")
        assert np.array_equal(pixels(tmp_path / f"x{suffix}"), photo)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (RuntimeError("one\ntwo"), 1, "internal error, please report it: RuntimeError: one two"),
        (MemoryError(), 1, "not enough memory"),
        (OSError(28, "No space left"), 1, "No space left"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_every_error_is_one_line(
    error: BaseException, code: int, text: str, sv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(codec, "decode_file", fail)
    result = run("verify", sv, code=code)
    assert text in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_reader_that_goes_away_is_no_error(tiny_model_dir: Path) -> None:
    program = "from selfcodec.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "models"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait() == 1


def test_help_is_quick_because_it_loads_little() -> None:
    program = "import sys, selfcodec.cli.main; sys.exit(bool({'torch', 'numpy', 'rich'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_usage_version_and_help() -> None:
    run(code=2)
    run("unknown", code=2)
    run("encode", code=2)
    assert run("--version").stdout == "selfcodec, version 0.1.0\n"
    for name in main.commands:
        text = run(name, "--help").stdout
        assert f"selfcodec {name} " in text.replace("Usage: ", "")


@pytest.mark.skipif(not README.exists(), reason="there is no README.md")
@pytest.mark.parametrize("name", main.commands)
def test_readme_shows_every_command(name: str) -> None:
    assert f"selfcodec {name}" in README.read_text(encoding="utf-8")
