"""The benchmark commands on tiny data: their figures, their pictures, and when they fail."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import numpy as np
import numpy.typing as npt
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from selfcodec import codec, decode
from selfcodec.benchmarks import card, demo, figure1, ladder, metrics, rates, roundtrips, scaling, speed
from selfcodec.benchmarks.sources import load_pictures
from selfcodec.codec import PIXELS_AT_ONCE, decode_file, encode_picture, open_file
from selfcodec.errors import InputError, SelfcodecError
from selfcodec.imageio import from_image
from selfcodec.models.checkpoint import CHECKPOINT
from selfcodec.models.config import Recipe
from selfcodec.models.data import ImageSet
from selfcodec.models.export import export_model, write_model
from selfcodec.models.train import Trainer
from selfcodec.modes import Mode
from selfcodec.zoo import CARD, MANIFEST, WEIGHTS, Model

UInt8 = npt.NDArray[np.uint8]
COUNT = 3
MODES = ("rs1", "rs2", "cg", "cr", "lossless")


def put_test_set(images: UInt8, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "data" / "cifar10").mkdir(parents=True)
    np.save(folder / "data" / "cifar10" / "test.npy", images)
    monkeypatch.setenv("SELFCODEC_DATA", str(folder / "data"))


@pytest.fixture
def images(patches: UInt8, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UInt8:
    """What $SELFCODEC_DATA holds as the test set of CIFAR-10; one image is flat, so that its file is stored."""
    chosen = np.concatenate([patches[40:42], np.full((1, 32, 32, 3), 77, np.uint8)])
    put_test_set(chosen, tmp_path, monkeypatch)
    return chosen


@pytest.fixture(scope="module")
def rounded(tiny_recipe: Recipe, patches: UInt8, tiny_model_dir: Path) -> Iterator[tuple[Path, Path]]:
    """Another model's folder beside the tiny one, and the checkpoint that it was exported from."""
    folder = tiny_model_dir / "rounded"
    with torch.random.fork_rng(devices=[]):
        data = ImageSet.build(patches[:64], "downscale", 1, flip=False, device=torch.device("cpu"))
        trainer = Trainer(tiny_recipe, folder, torch.device("cpu"))
        batches = data.random_batches(16, trainer.generator)
        for _ in range(2):
            trainer.train_step(next(batches))
        trainer.quantise(data)
        trainer.save()
        write_model(folder, export_model(tiny_recipe, trainer.ema.eval(), data), tiny_recipe, {})
    yield folder, folder / CHECKPOINT
    shutil.rmtree(folder)


def run(command: click.Command, *args: str | Path) -> Result:
    return CliRunner().invoke(command, [str(arg) for arg in args])


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.copy()


def report(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


# Measures.


def test_psnr_of_known_errors() -> None:
    black = np.zeros((4, 5, 3), np.uint8)
    assert metrics.psnr(black, black) == np.inf
    assert metrics.psnr(black, black + 255) == 0
    assert metrics.psnr(black + 1, black) == pytest.approx(48.1308, abs=1e-4)
    assert metrics.psnr(black, black + 1) == metrics.psnr(black + 1, black)


@pytest.mark.parametrize("other", [np.zeros((4, 5), np.uint8), np.zeros((4, 5, 3))])
def test_psnr_refuses_other_shapes_and_types(other: Any) -> None:
    with pytest.raises(ValueError, match="PSNR"):
        metrics.psnr(np.zeros((4, 5, 3), np.uint8), other)


def test_bits_per_pixel_and_per_dimension() -> None:
    assert metrics.bits_per_pixel(3072, 32, 32) == 24
    assert metrics.bits_per_dim(3072, (32, 32, 3)) == 8


def test_mean_of_what_is_finite() -> None:
    assert metrics.mean_finite([1.0, np.inf, 4.0]) == 2.5
    assert metrics.mean_finite([np.inf]) is None


@pytest.mark.parametrize("name", metrics.PEERS)
def test_peers_are_lossless(name: str, photo: UInt8) -> None:
    if name == "jxl":
        pytest.importorskip("imagecodecs")
    peer = metrics.PEERS[name]
    data = peer.write(photo)
    assert len(data) < photo.size
    assert np.array_equal(peer.read(data), photo)


def test_a_command_line_leaves_out_where_files_lie(tmp_path: Path) -> None:
    lines = []

    @click.command("name", cls=metrics.BenchmarkCommand)
    @click.option("-o", "--output")
    def command(output: str) -> None:
        lines.append(metrics.command_line(click.get_current_context()))

    run(command, "-o", tmp_path / "out file")
    run(command, f"--output={tmp_path / 'out'}")
    run(command, "-o", "here/out")
    start = "python -m selfcodec.benchmarks.name"
    assert lines == [f"{start} -o 'out file'", f"{start} --output=out", f"{start} -o here/out"]


# Every command.


@pytest.mark.parametrize("command", [demo.main, ladder.main, rates.main])
def test_a_missing_model_is_one_line(command: click.Command, tmp_path: Path) -> None:
    result = run(command, "--model", "none-such", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.startswith("selfcodec: error: no model 'none-such'")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [ladder.main, rates.main])
def test_a_missing_data_set_is_one_line(
    command: click.Command, tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFCODEC_DATA", str(tmp_path))
    result = run(command, "--model", "tiny", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.startswith("selfcodec: error: data set 'cifar10' is not there")


# Demo.


@pytest.mark.parametrize("kind", ["RGB", "RGBA", "L", "P"])
def test_demo_writes_files_and_picture(kind: str, photo: UInt8, tiny_model_dir: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "face.png", tmp_path / "out"
    image = Image.fromarray(photo[:40, :56]).convert(kind)
    if kind == "RGBA":
        image.putalpha(Image.fromarray(photo[:40, :56, 0]))
    image.save(source)
    result = run(demo.main, source, "-o", out, "--model", "tiny")
    assert result.exit_code == 0, result.output
    for mode in MODES:
        data = (out / f"face.{mode}.sv").read_bytes()
        assert f"{len(data):,}" in result.stdout
        assert opened(out / f"face.{mode}.png").tobytes() == decode(data).tobytes()
    last = opened(out / "face.lossless.png")
    assert (last.mode, last.tobytes()) == (kind, image.tobytes())
    assert len(last.getbands()) * 40 * 56 > (out / "face.lossless.sv").stat().st_size
    assert opened(out / "comparison.png").width == 1500
    assert "identical" in result.stdout
    assert "WebP" in result.stdout


def test_demo_has_a_photograph_of_its_own() -> None:
    name, picture = demo.load_photograph(None)
    assert name == "chelsea"
    assert picture.planes.shape == (300, 451, 3)


def test_demo_fails_where_lossless_is_not(
    photo: UInt8, tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off_by_one(data: bytes, model: Model) -> Image.Image:
        image = decode_file(data, model=model)
        image.putpixel((3, 4), (1, 2, 3))
        return image

    monkeypatch.setattr(demo, "decode_file", off_by_one)
    Image.fromarray(photo).save(tmp_path / "face.png")
    result = run(demo.main, tmp_path / "face.png", "-o", tmp_path, "--model", "tiny")
    assert result.exit_code == 1
    assert result.stderr == "selfcodec: error: the lossless file does not decode to its image\n"


@pytest.mark.parametrize("broken", [False, True])
def test_round_trips_of_every_size_and_mode(
    broken: bool, tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def upside_down(data: bytes, model: Model) -> Image.Image:
        return decode_file(data, model=model).transpose(Image.Transpose.FLIP_TOP_BOTTOM)

    monkeypatch.setattr(roundtrips, "SIZES", ((1, 1), (31, 33)))
    if broken:
        monkeypatch.setattr(roundtrips, "decode_file", upside_down)
    result = run(roundtrips.main, "--model", "tiny")
    rows = [line.split() for line in result.stdout.splitlines() if "×" in line]
    assert len(rows) == 2 * len(roundtrips.MODES)
    assert result.exit_code == int(broken)
    assert sum("NO" in row for row in rows) == (len(roundtrips.MODES) if broken else 0)


def test_figure_1_refuses_what_it_cannot_write(tmp_path: Path) -> None:
    wrong = run(figure1.main, "-o", tmp_path / "f.xyz")
    assert wrong.exit_code == 1
    assert "no format of a figure" in wrong.stderr
    nowhere = run(figure1.main, "-o", tmp_path / "none" / "f.png")
    assert nowhere.exit_code == 1
    assert nowhere.stderr.startswith("selfcodec: error: ")
    assert run(figure1.main, "-o", tmp_path / "f.png").exit_code == 0
    with Image.open(tmp_path / "f.png") as image:
        assert image.size[0] > 1000


def test_demo_refuses_what_is_no_image(tiny_model_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("text", encoding="utf-8")
    result = run(demo.main, tmp_path / "text.png", "-o", tmp_path / "out", "--model", "tiny")
    assert result.exit_code == 1
    assert result.stderr.startswith("selfcodec: error: ")


# Rates.


@pytest.fixture
def nothing_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fallback always loses, as it does not against a model that is worth its name."""
    monkeypatch.setattr(codec, "_stored", lambda picture: bytes(1 << 20))


def test_rates_add_up(images: UInt8, tiny_model: Model, nothing_stored: None, tmp_path: Path) -> None:
    pytest.importorskip("imagecodecs")
    path = tmp_path / "rates.json"
    result = run(rates.main, "--model", "tiny", "--peers", "-o", path)
    assert result.exit_code == 0, result.output
    figures = report(path)
    encoded = [encode_picture(from_image(Image.fromarray(x)), model=tiny_model) for x in images]
    sizes = [len(e.data) for e in encoded]
    assert figures["images"] == COUNT
    assert figures["bytes"]["file"] == pytest.approx(sum(sizes) / COUNT)
    assert figures["bits_per_dim"]["file"] == pytest.approx(8 * sum(sizes) / COUNT / 3072)
    assert figures["bits_per_dim"]["model"] == pytest.approx(sum(figures["by_variable"]["model"].values()))
    assert list(figures["by_variable"]["model"]) == ["u", "y1", "z1", "x"]
    assert figures["stored"] == figures["round_trip_failures"] == 0
    assert figures["bound"]["files_beyond"] == 0
    excess = [len(e.data) - sum(e.model_bits.values()) / 8 for e in encoded]
    assert figures["bound"]["worst_excess_bytes"] == pytest.approx(max(excess))
    buffer = io.BytesIO()
    Image.fromarray(images[2]).save(buffer, "WEBP", lossless=True, quality=100, method=6)
    assert metrics.PEERS["webp"].write(images[2]) == buffer.getvalue()
    assert all(figures["peers"][name]["failures"] == 0 for name in ("png", "webp", "jxl"))
    assert figures["model"]["sha256"] == tiny_model.digest
    assert figures["command"] == "python -m selfcodec.benchmarks.rates --model tiny --peers -o rates.json"
    assert figures["machine"]["cpu"]
    assert figures["versions"]["torch"]
    for name in ("model, sum of -log2 p", "file, header included", "PNG", "WebP lossless", "JPEG XL lossless"):
        assert name in result.stdout


def test_model_bits_of_a_stored_image_are_those_of_coding_it(tiny_model: Model, tiny_model_dir: Path) -> None:
    flat = np.full((32, 32, 3), 77, np.uint8)
    outcome = rates.measure(flat, "tiny", peers=False)
    coded = encode_picture(from_image(Image.fromarray(flat)), model=tiny_model, fallback=False)
    assert outcome.stored
    assert outcome.size < len(coded.data)
    assert outcome.model_bits == coded.model_bits


def test_rates_report_files_beyond_the_bound() -> None:
    fine = rates.Outcome(3072, 1034, {"u": 80.0, "x": 7920.0}, False, True, 0.5, 0.25, {}, [])
    figures = rates.summary([fine, replace(fine, size=1035)], (32, 32, 3), {}, 1)
    assert figures["bound"]["worst_excess_bytes"] == 35
    assert figures["bound"]["files_beyond"] == 1
    assert figures["by_variable"]["model"] == {"u": 80 / 3072, "x": 7920 / 3072}
    assert figures["images_per_second"] == {"encode": 2.0, "decode": 4.0}


def test_rates_compare_with_the_objective(rounded: tuple[Path, Path], images: UInt8, tmp_path: Path) -> None:
    folder, checkpoint = rounded
    path = tmp_path / "rates.json"
    result = run(rates.main, "--model", folder, "--checkpoint", checkpoint, "--limit", "2", "-o", path)
    assert result.exit_code == 0, result.output
    figures = report(path)
    assert list(figures["bits_per_dim"]) == ["elbo_float", "elbo_integer", "model", "file"]
    rounded_networks, coder = figures["by_variable"]["elbo_integer"], figures["by_variable"]["model"]
    for name in ("y1", "x"):  # latents far out under their prior, as after so few steps, cost the coder less
        assert coder[name] == pytest.approx(rounded_networks[name], rel=0.02)
        assert figures["by_variable"]["elbo_float"][name] != rounded_networks[name]


def test_the_objective_takes_tiles_by_their_share_of_an_image() -> None:
    images = [np.arange(n * 3, dtype=np.uint8).reshape(1, n, 3) for n in (40, 16, 64)]
    found = list(rates._tiles(images, 32))
    assert sum(share for share, _ in found) == pytest.approx(1)
    shares = {(round(share * 3, 3), tiles.shape[0], tiles.shape[2]) for share, tiles in found}
    assert shares == {(0.8, 1, 32), (0.2, 1, 8), (1.0, 1, 16), (1.0, 2, 32)}


def test_rates_refuse_another_models_checkpoint(rounded: tuple[Path, Path], images: UInt8) -> None:
    result = run(rates.main, "--model", "tiny", "--checkpoint", rounded[1], "--limit", "1")
    assert result.exit_code == 1
    assert "not what model 'tiny' was exported from" in result.stderr


@pytest.mark.parametrize("error", [None, SelfcodecError("damaged")])
def test_rates_count_failed_round_trips(
    error: Exception | None, images: UInt8, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_on_stored(data: bytes, model: Model) -> Image.Image:
        if open_file(data).header.mode is not Mode.STORED:
            return decode_file(data, model=model)
        if error is not None:
            raise error
        return Image.new("RGB", (32, 32))

    monkeypatch.setattr(rates, "decode_file", fail_on_stored)
    result = run(rates.main, "--model", "tiny", "-o", tmp_path / "rates.json")
    assert result.exit_code == 1
    figures = report(tmp_path / "rates.json")
    assert figures["round_trip_failures"] == figures["stored"] >= 1
    assert f"round trip failures: {figures['stored']}" in result.stdout


def test_rates_are_the_same_from_two_processes(images: UInt8, tiny_model: Model) -> None:
    one, two = (list(rates.measure_all(images, "tiny", False, jobs)) for jobs in (1, 2))
    assert [o.size for o in one] == [o.size for o in two]
    assert [o.model_bits for o in one] == [o.model_bits for o in two]


# Ladder.


def graded(wrong: str | None = None) -> Any:
    """A decoder whose images get better from mode to mode, but for one that comes out grey."""

    def decode_graded(data: bytes, model: Model) -> Image.Image:
        mode = str(open_file(data).header.mode)
        image = np.asarray(decode_file(data, upto=None, model=model))
        if mode == wrong or (wrong == "lossless" and mode == "stored"):
            return Image.new("RGB", (32, 32))
        if mode in ("lossless", "stored"):
            return Image.fromarray(image)
        return Image.fromarray(np.full_like(image, 100 + 5 * ("rs1", "rs2", "cg", "cr").index(mode)))

    return decode_graded


@pytest.fixture
def greys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UInt8:
    """Noisy images around grey level 128 as the test set."""
    chosen = np.random.default_rng(0).integers(120, 136, (2, 32, 32, 3), dtype=np.uint8)
    put_test_set(chosen, tmp_path, monkeypatch)
    return chosen


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (None, "ok     PSNR cg < cr"),
        ("cr", "NOT ok PSNR cg < cr"),
        ("lossless", "NOT ok lossless round trips: 2 failures"),
    ],
)
def test_ladder_checks_its_chains(
    wrong: str | None, line: str, greys: UInt8, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "decode_file", graded(wrong))
    result = run(ladder.main, "--model", "tiny", "--limit", "2", "-o", tmp_path / "out")
    assert line in result.stdout.splitlines(), result.output
    assert result.exit_code == (wrong is not None)
    figures = report(tmp_path / "out" / "ladder.json")
    assert all(figures["chains"].values()) == (wrong != "cr")


def test_ladder_reports_bytes_that_do_not_grow(
    greys: UInt8, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def same_size(picture: Any, settings: Any, model: Model, verify: bool) -> Any:
        return encode_picture(picture, None, model, verify=verify)

    monkeypatch.setattr(ladder, "encode_picture", same_size)
    result = run(ladder.main, "--model", "tiny", "--limit", "1", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "NOT ok bytes rs1 < rs2" in result.stdout


def test_ladder_writes_figures_and_picture(images: UInt8, tiny_model: Model, tmp_path: Path) -> None:
    result = run(ladder.main, "--model", "tiny", "-o", tmp_path)
    figures = report(tmp_path / "ladder.json")
    assert result.exit_code == (not all(figures["chains"].values())), result.output
    assert tuple(figures["modes"]) == MODES
    for row in figures["modes"].values():
        assert row["bits_per_dim"] == pytest.approx(8 * row["bytes"] / 3072)
        assert row["ratio"] == pytest.approx(3072 / row["bytes"])
    assert figures["modes"]["lossless"]["psnr"] is None
    assert figures["modes"]["lossless"]["identical"] == COUNT
    width, height = opened(tmp_path / "ladder.png").size
    assert width > 6 * ladder.CELL
    assert height > COUNT * ladder.CELL


def test_modes_of_a_model_without_transformations() -> None:
    @dataclass
    class Plain:
        levels: int = 0

    assert metrics.coding_modes(Plain()) == [Mode.RS1, Mode.RS2, Mode.LOSSLESS]  # type: ignore[arg-type]
    rungs = {Mode.RS1: ladder.Rung([1], [1.0]), Mode.LOSSLESS: ladder.Rung([2], [np.inf])}
    assert [link.what for link in ladder.links(rungs)] == ["bytes rs1 < lossless"]


# Card.


@pytest.fixture
def measured(images: UInt8, tiny_model_dir: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model beside what was measured on it."""
    shutil.copytree(tiny_model_dir / "tiny", tmp_path / "tiny")
    run(rates.main, "--model", "tiny", "--limit", "1", "-o", tmp_path / "rates.json")
    run(ladder.main, "--model", "tiny", "--limit", "1", "-o", tmp_path)
    return tmp_path


def write_card(folder: Path) -> Result:
    return run(card.main, folder / "tiny", "--rates", folder / "rates.json", "--ladder", folder / "ladder.json")


def test_card_states_what_was_measured(measured: Path) -> None:
    result = write_card(measured)
    assert result.exit_code == 0, result.output
    manifest, text = report(measured / "tiny" / MANIFEST), (measured / "tiny" / CARD).read_text(encoding="utf-8")
    figures = report(measured / "rates.json")
    assert manifest["measured"]["rates"] == figures
    assert manifest["measured"]["ladder"] == report(measured / "ladder.json")
    assert manifest["measured"]["weights"]["bytes"] == (measured / "tiny" / WEIGHTS).stat().st_size
    assert all(entry["command"] in text for entry in manifest["measured"].values())
    for number in (figures["bits_per_dim"]["file"], figures["bits_per_dim"]["model"]):
        assert f"{number:.4f}" in text
    for number in (manifest["parameters"], manifest["largest_sum"]["bound"], manifest["training"]["steps"]):
        assert f"{number:,}" in text
    assert all(f"`{mode}`" in text for mode in MODES)
    assert str(measured) not in text


def test_card_quotes_a_note_on_training(measured: Path) -> None:
    path = measured / "tiny" / MANIFEST
    manifest = report(path)
    manifest["training"]["note"] = "Trained in haste."
    metrics.write_report(path, manifest)
    assert write_card(measured).exit_code == 0
    assert "\n\nTrained in haste.\n\n" in (measured / "tiny" / CARD).read_text(encoding="utf-8")


def test_card_compares_float_and_integer_networks(measured: Path) -> None:
    figures = report(measured / "rates.json")
    figures["bits_per_dim"] = {"elbo_float": 4.0, "elbo_integer": 4.02, **figures["bits_per_dim"]}
    figures["by_variable"] |= {"elbo_float": {"u": 1.0, "x": 3.0}, "elbo_integer": {"u": 1.05, "x": 2.97}}
    metrics.write_report(measured / "rates.json", figures)
    write_card(measured)
    text = (measured / "tiny" / CARD).read_text(encoding="utf-8")
    assert "| ELBO, float networks | 4.0000 | 1.0000 |" in text
    assert "Integer networks cost +0.50 % against float ones, of x alone -1.00 %." in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"name": "tiny", "sha256": "00"}}, "measured on another model than 'tiny'"),
        ({"bound": None}, "not a report of benchmarks.rates: 'bound' is missing"),
    ],
)
def test_card_refuses_other_reports(change: dict[str, Any], message: str, measured: Path) -> None:
    before = (measured / "tiny" / MANIFEST).read_bytes()
    figures = {**report(measured / "rates.json"), **change}
    kept = {key: value for key, value in figures.items() if value is not None}
    metrics.write_report(measured / "rates.json", kept)
    result = write_card(measured)
    assert result.exit_code == 1
    assert message in result.stderr
    assert (measured / "tiny" / MANIFEST).read_bytes() == before


@pytest.mark.parametrize("text", ["", "[]", None])
def test_card_refuses_what_is_no_report(text: str | None, measured: Path) -> None:
    (measured / "rates.json").unlink()
    if text is not None:
        (measured / "rates.json").write_text(text, encoding="utf-8")
    result = write_card(measured)
    assert result.exit_code == 1
    assert "rates.json: not a benchmark's report" in result.stderr


# Sources of images, image by image, and speed.


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
        found = load_pictures(name)
        assert list(found) == ["a", "b"]
        assert (found["b"] == images[0]).all()
        assert found["a"].shape == (*images.shape[1:3], 3)
    with pytest.raises(InputError, match="'nothing'"):
        load_pictures("nothing")


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


def test_rates_of_images_of_several_sizes(
    images: UInt8, tiny_model: Model, nothing_stored: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").mkdir()
    Image.fromarray(images[0]).save(tmp_path / "own" / "a.png")
    Image.fromarray(np.concatenate(list(images[1:3]))).save(tmp_path / "own" / "b.png")
    monkeypatch.setenv("SELFCODEC_DATA", str(tmp_path))
    out = tmp_path / "rates.json"
    result = run(rates.main, "--model", "tiny", "--dataset", "own", "--each", "--peers", "-o", out)
    assert result.exit_code == 0, result.output
    figures = json.loads(out.read_text(encoding="utf-8"))
    assert [row["name"] for row in figures["each"]] == ["a", "b"]
    assert [row["height"] // row["width"] for row in figures["each"]] == [1, 2]
    for name in ("file", "png", "webp"):
        each = [row["bits_per_dim"][name] for row in figures["each"]]
        assert figures["bits_per_dim"][name] == pytest.approx(sum(each) / 2)
    pixels = sum(row["width"] * row["height"] for row in figures["each"])
    seconds = sum(row["encode_seconds"] for row in figures["each"])
    assert figures["megapixels_per_second"]["encode"] == pytest.approx(pixels / 1e6 / seconds, rel=0.1)


def test_speed_tells_where_the_time_goes(tiny_model: Model, photo: UInt8, tmp_path: Path) -> None:
    source, out = tmp_path / "photo.png", tmp_path / "speed.json"
    Image.fromarray(photo).save(source)
    result = run(speed.main, source, "--model", "tiny", "--repeat", "1", "--memory", "-o", out)
    assert result.exit_code == 0, result.output
    figures = json.loads(out.read_text(encoding="utf-8"))
    for stages in figures["stages"].values():
        parts = [seconds for stage, seconds in stages.items() if not stage.startswith("total")]
        assert sum(parts) == pytest.approx(stages["total"])
        assert stages["networks"] > 0
        assert stages["likelihoods"] > 0
    assert list(figures["memory"]) == ["encode", "decode"]
    assert all(measured["peak_mib"] > 50 for measured in figures["memory"].values())
    assert figures["start_up_seconds"] > 0


def test_scaling_measures_sizes_and_batches(tiny_model: Model, tmp_path: Path) -> None:
    options = ("--model", "tiny", "--megapixels", "0.002,0.01", "--batches", "2")
    with patch.object(scaling, "BATCH_MEGAPIXELS", 0.01):
        result = run(scaling.main, *options, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "out" / "scaling.json").read_text(encoding="utf-8"))
    assert [(size["width"], size["height"]) for size in figures["sizes"]] == [(56, 37), (123, 82)]
    start = figures["start_up_seconds"]
    for size in figures["sizes"]:
        for verb in ("encode", "decode"):
            assert size[verb]["peak_mib"] > 50
            rest, speed = size[verb]["seconds"] - start, size[verb]["megapixels_per_second"]
            if rest > scaling.SHARE * start:
                assert speed * rest == pytest.approx(size["width"] * size["height"] / 1e6)
            else:
                assert speed is None
    (batch,) = figures["batches"]
    assert (batch["batch"], batch["together"]) == (2, min(2, PIXELS_AT_ONCE // tiny_model.spec.tile**2))
    for kind in ("png", "svg"):
        assert (tmp_path / "out" / f"scaling.{kind}").stat().st_size > 1000
    for option, wrong in (("megapixels", "0"), ("megapixels", "much"), ("megapixels", ""), ("batches", "0.5,1")):
        assert run(scaling.main, f"--{option}", wrong, "-o", tmp_path).exit_code == 2
