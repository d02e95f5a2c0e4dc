"""The commands encode and decode: modes, settings, targets, and what is reported."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import encode, pixels, run
from PIL import Image

import selfcodec.pillow
from selfcodec.arrays import UInt8
from selfcodec.format.container import Container, pack
from selfcodec.format.header import Header
from selfcodec.images.storing import pack_stored
from selfcodec.modes import Mode
from selfcodec.settings import Settings
from selfcodec.zoo import Model, model_for

pytest_plugins = ("command_line", "model_fixtures")


@pytest.mark.usefixtures("always_the_model")
@pytest.mark.parametrize("mode", ["rs1", "rs2", "cg", "cr", "lossless"])
def test_every_mode_encodes_and_decodes(mode: str, png: Path, photo: UInt8) -> None:
    out = encode(png, "-m", mode).stdout
    assert f"a.sv: {mode}" in out
    run("decode", png.with_suffix(".sv"), "-o", png.parent / "b.png")
    decoded = pixels(png.parent / "b.png")
    assert decoded.shape == photo.shape
    assert np.array_equal(decoded, photo) == (mode == "lossless")


def test_decoding_by_suffix(sv: Path, tmp_path: Path, photo: UInt8) -> None:
    for suffix in (".ppm", ".webp", ".tif", ".bmp"):
        run("decode", sv, "-o", tmp_path / f"x{suffix}")
        assert np.array_equal(pixels(tmp_path / f"x{suffix}"), photo)


def test_a_suffix_that_the_picture_contradicts_is_refused(sv: Path, tmp_path: Path, photo: UInt8) -> None:
    for suffix, line in (
        (".pgm", "PGM cannot hold colours, as .pnm does, or transparency: choose .png"),
        (".pbm", "PBM cannot hold more than black and white, as .pnm does: choose .png"),
        (".pfm", "no image format that is written has the suffix '.pfm'; .png always works"),
    ):
        assert line in run("decode", sv, "-o", tmp_path / f"x{suffix}", code=1).stderr
        assert not (tmp_path / f"x{suffix}").exists()
    run("decode", sv, "-o", tmp_path / "x.pnm")
    assert np.array_equal(pixels(tmp_path / "x.pnm"), photo)


def test_settings_reach_the_file(png: Path) -> None:
    assert not encode(png, "-m", "cr", "--level", 1, "-q", 30, "--sample", 7, "--no-verify").stderr
    (fields,) = json.loads(run("info", png.with_suffix(".sv"), "--json").stdout)
    assert (fields["mode"], fields["level"], fields["quality"], fields["seed"]) == ("cr", 1, 30, 7)
    text = run("info", png.with_suffix(".sv")).stdout
    assert all(word in text for word in ("cr, level 1", "quality", "seed", "tiny", "downscale"))
    told = encode(png, "-m", "cg", "--level", 2, "--force", code=1).stderr
    assert "error: model tiny: mode cg of this model takes a level from 1 to 1, not 2\n" in told
    told = run("encode", png, "-m", "cg", "--model", "cifar10-vae", "--force", code=1).stderr
    assert "error: model cifar10-vae: mode cg needs a model with at least one transformation" in told
    for wrong in (["-q", 0], ["-q", 101], ["-m", "best"], ["--sample", -1], ["--sample", 1]):
        encode(png, *wrong, code=2)


@pytest.mark.parametrize("mode", ["cg", "lossless"])
def test_a_quality_that_changes_nothing_is_told(png: Path, mode: str) -> None:
    result = encode(png, "-m", mode, "-q", 30)
    assert "warning" in result.stderr
    assert "quality" in result.stderr
    data = png.with_suffix(".sv").read_bytes()
    assert ", quality" not in result.stdout
    assert not encode(png, "-m", mode, "--force").stderr
    assert png.with_suffix(".sv").read_bytes() == data


@pytest.mark.parametrize(("mode", "target"), [("cg", "--bpp"), ("cg", "--psnr"), ("cg", "--bytes")])
def test_a_target_that_changes_nothing_is_told(png: Path, mode: str, target: str) -> None:
    amount = {"--bpp": 100, "--bytes": 100_000, "--psnr": 20}[target]
    result = encode(png, "-m", mode, target, amount)
    assert f"warning: the quality changes nothing in mode {mode} of tiny: files may keep" in result.stderr
    assert not encode(png, "-m", mode, target, amount, "--quiet", "--force").stderr
    assert not encode(png, "-m", "rs2", target, {"--psnr": 1}.get(target, amount), "--force").stderr


def test_examples_of_targets_are_of_modes_that_have_several_rates() -> None:
    texts = f"{run('encode', '--help').stdout}{selfcodec.__doc__}{selfcodec.encode.__doc__}{selfcodec.pillow.__doc__}"
    modes = re.findall(r'(?:-m |mode=")(\w+)(?: --|", )bpp', texts)
    assert len(modes) == 4
    for settings in (Settings(Mode.parse(mode)) for mode in modes):
        model = model_for(settings)
        assert model.tuned(settings.resolved(model.levels)[0])


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


def test_models_are_taken_by_path_and_wrong_ones_refused(
    png: Path, tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_model_dir / "tiny"
    run("encode", png, "--model", folder, "-m", "rs1")
    monkeypatch.chdir(folder)  # where the empty name would be a folder with a model in it
    for wrong in ("none", ""):
        assert f"no model '{wrong}'; there are: " in run("encode", png, "--model", wrong, code=1).stderr
    monkeypatch.delenv("SELFCODEC_MODELS")
    result = run("encode", png, "--model", folder, "-m", "rs1", "--force")
    assert result.stderr.startswith("selfcodec: warning: ")


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
    assert (fields["mode"], fields["intact"], fields["stored_as"]) == ("stored", True, "WebP")
    assert "stored as WebP\n" in run("info", tmp_path / "flat.sv").stdout
    assert "stored whole" in run("cut", tmp_path / "flat.sv", "-m", "cg", "-o", tmp_path / "c.sv", code=1).stderr


@pytest.mark.parametrize(("kind", "form"), [("RGB", "WebP"), ("1", "raw samples"), ("CMYK", "JPEG XL")])
def test_info_tells_what_a_stored_file_holds(kind: str, form: str, photo: UInt8, tmp_path: Path) -> None:
    image = Image.new("1", (8, 1)) if kind == "1" else Image.fromarray(photo).convert(kind)
    data = pack(Container(Header(Mode.STORED, kind, *image.size), stored=pack_stored(image)))
    (tmp_path / "a.sv").write_bytes(data)
    (fields,) = json.loads(run("info", tmp_path / "a.sv", "--json").stdout)
    assert (fields["mode"], fields["stored_as"]) == ("stored", form)


def test_quiet_and_verbose(png: Path) -> None:
    assert encode(png, "-m", "rs1", "--quiet").output == ""
    assert "\n  u: " in encode(png, "-m", "rs1", "--force", "-v", "-q", 70).stdout
    encode(png, "--quiet", "-v", code=2)


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
    for target in ("--psnr", "--bpp", "--bytes"):
        assert "lossless files are exact, each of one size: add -m rs2, or" in encode(png, target, 20, code=2).stderr
    for wrong in (["-m", "cg", "--psnr", 20, "-q", 3], ["-m", "cg", "--bytes", 9, "--bpp", 1]):
        encode(png, *wrong, code=2)
    for number in ("nan", "inf", "0", "-1", "x"):
        encode(png, "--bpp", number, code=2)


def test_files_of_a_killed_process_fail_by_name_and_others_are_done(
    tmp_path: Path, tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        Image.new("RGB", (9, 9), "red").save(tmp_path / f"{name}.png")

    @contextmanager
    def submitted(
        function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], _: int
    ) -> Iterator[list[Future[Any]]]:
        futures: list[Future[Any]] = [Future(), Future()]
        futures[0].set_result(function(*tasks[0]))
        futures[1].set_exception(BrokenProcessPool())
        yield futures

    monkeypatch.setattr("selfcodec.processes.submitted", submitted)
    result = encode(tmp_path, "-j", 2, "--json", code=1)
    done, failed = json.loads(result.stdout)
    assert (done["input"], "error" in done) == (str(tmp_path / "a.png"), False)
    assert "b.png: a process ended before its work was done" in failed["error"]
