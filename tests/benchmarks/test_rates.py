"""`rates`: its figures add up, agree with the objective, and count what fails."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmark_commands import COUNT, report, run
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.coders import PEERS, picture_of
from selfcodec.benchmarks.commands import rates
from selfcodec.benchmarks.commands.rates import code_image
from selfcodec.benchmarks.measure import Measured
from selfcodec.benchmarks.objective import tiles_by_size
from selfcodec.benchmarks.own import Own, own_coder
from selfcodec.benchmarks.reports.rates import Outcome, summary
from selfcodec.benchmarks.runner import side_by_side
from selfcodec.decoding import open_file
from selfcodec.encoding import encode_picture
from selfcodec.errors import SelfcodecError
from selfcodec.images import Picture, from_image
from selfcodec.models.checkpoint import CHECKPOINT
from selfcodec.models.config import Recipe
from selfcodec.models.data import ImageSet
from selfcodec.models.export import export_model, write_model
from selfcodec.models.train import Trainer
from selfcodec.modes import Mode
from selfcodec.settings import Settings, usual_effort
from selfcodec.zoo import Model, find_model

pytest_plugins = ("benchmark_fixtures",)


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


def test_rates_add_up(images: UInt8, tiny_model: Model, nothing_stored: None, tmp_path: Path) -> None:
    path = tmp_path / "rates.json"
    result = run("rates", "--model", "tiny", "--peers", "-o", path)
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
    for key in ("png", "webp-lossless", "jxl-lossless"):
        sizes = [len(PEERS[key].encode(picture_of(x), PEERS[key].settings[""]).data) for x in images]
        assert figures["bytes"][key] == pytest.approx(sum(sizes) / COUNT)
        assert figures["peers"][key]["failures"] == 0
    assert figures["peers"]["png"]["settings"] == "PNG by imagecodecs with level 9"
    assert figures["model"]["sha256"] == tiny_model.digest
    assert figures["command"] == "python -m selfcodec.benchmarks rates --model tiny --peers -o rates.json"
    assert figures["machine"]["cpu"]
    assert figures["versions"]["torch"]
    for name in ("model, sum of -log2 p", "file, header included", "PNG", "WebP lossless", "JPEG XL lossless"):
        assert name in result.stdout


def test_rates_are_shown_also_where_they_cannot_be_written(
    images: UInt8, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(rates, "write_report", full)
    result = run("rates", "--model", "tiny", "--limit", "1", "-o", tmp_path / "rates.json")
    assert result.exit_code == 1
    assert "no space left" in result.stderr
    assert "file, header included" in result.stdout


@pytest.mark.parametrize("name", ["tiny", "photo-fast"])
def test_model_bits_of_a_stored_image_are_those_of_coding_it(name: str, tiny_model: Model) -> None:
    """With the usual effort, so that a context model learns of it as of those that are not stored."""
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    image, usual = np.tile(noise, (8, 8, 1)), Settings(effort=usual_effort(Mode.LOSSLESS))
    outcome = code_image("repeated", image, own_coder(name, Mode.LOSSLESS), {})
    coded = encode_picture(from_image(Image.fromarray(image)), usual, find_model(name), fallback=False)
    assert outcome.file.stored
    assert outcome.file.size < len(coded.data)
    assert outcome.file.model_bits == coded.model_bits


def test_rates_report_files_beyond_the_bound() -> None:
    fine = Measured(1034, exact=True, encode_seconds=0.5, decode_seconds=0.25, model_bits={"u": 80.0, "x": 7920.0})
    files = (fine, replace(fine, size=1035))
    figures = summary([Outcome("a", (32, 32, 3), {"file": file}) for file in files], {}, 1)
    assert figures["bound"]["worst_excess_bytes"] == 35
    assert figures["bound"]["files_beyond"] == 1
    assert figures["by_variable"]["model"] == {"u": 80 / 3072, "x": 7920 / 3072}
    assert figures["images_per_second"] == {"encode": 2.0, "decode": 4.0}


def test_rates_compare_with_the_objective(rounded: tuple[Path, Path], images: UInt8, tmp_path: Path) -> None:
    folder, checkpoint = rounded
    path = tmp_path / "rates.json"
    result = run("rates", "--model", folder, "--checkpoint", checkpoint, "--limit", "2", "-o", path)
    assert result.exit_code == 0, result.output
    figures = report(path)
    assert list(figures["bits_per_dim"]) == ["elbo_float", "elbo_integer", "model", "file"]
    rounded_networks, coder = figures["by_variable"]["elbo_integer"], figures["by_variable"]["model"]
    for name in ("y1", "x"):  # latents far out under their prior, as after so few steps, cost the coder less
        assert coder[name] == pytest.approx(rounded_networks[name], rel=0.02)
        assert figures["by_variable"]["elbo_float"][name] != rounded_networks[name]


def test_the_objective_takes_tiles_by_their_share_of_an_image() -> None:
    images = [np.arange(n * 3, dtype=np.uint8).reshape(1, n, 3) for n in (40, 16, 64)]
    found = list(tiles_by_size(images, 32))
    assert sum(share for share, _ in found) == pytest.approx(1)
    shares = {(round(share * 3, 3), tiles.shape[0], tiles.shape[2]) for share, tiles in found}
    assert shares == {(0.8, 1, 32), (0.2, 1, 8), (1.0, 1, 16), (1.0, 2, 32)}


def test_rates_refuse_another_models_checkpoint(rounded: tuple[Path, Path], images: UInt8) -> None:
    result = run("rates", "--model", "tiny", "--checkpoint", rounded[1], "--limit", "1")
    assert result.exit_code == 1
    assert "not what model 'tiny' was exported from" in result.stderr


@pytest.mark.parametrize("error", [None, SelfcodecError("damaged")])
def test_rates_count_failed_round_trips(
    error: Exception | None, images: UInt8, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = Own.decode

    def fail_on_stored(coder: Own, data: bytes) -> Picture:
        if open_file(data).header.mode is not Mode.STORED:
            return decode(coder, data)
        if error is not None:
            raise error
        return picture_of(np.zeros((32, 32, 3), np.uint8))

    monkeypatch.setattr(Own, "decode", fail_on_stored)
    result = run("rates", "--model", "tiny", "-o", tmp_path / "rates.json")
    assert result.exit_code == 1
    figures = report(tmp_path / "rates.json")
    assert figures["round_trip_failures"] == figures["stored"] >= 1
    assert f"round trip failures: {figures['stored']}" in result.stdout


def test_rates_are_the_same_from_two_processes(images: UInt8, tiny_model: Model) -> None:
    own = own_coder("tiny", Mode.LOSSLESS)
    tasks = [(str(i), image, own, {}) for i, image in enumerate(images)]
    one, two = ({o.name: o.file for o in side_by_side(code_image, tasks, jobs)} for jobs in (1, 2))
    assert one.keys() == two.keys() == {"0", "1", "2"}
    assert all(one[name].size == two[name].size for name in one)
    assert all(one[name].model_bits == two[name].model_bits for name in one)


def test_rates_of_images_of_several_sizes(
    images: UInt8, tiny_model: Model, nothing_stored: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").mkdir()
    Image.fromarray(images[0]).save(tmp_path / "own" / "a.png")
    Image.fromarray(np.concatenate(list(images[1:3]))).save(tmp_path / "own" / "b.png")
    monkeypatch.setenv("SELFCODEC_DATA", str(tmp_path))
    out = tmp_path / "rates.json"
    result = run("rates", "--model", "tiny", "--dataset", "own", "--each", "--peers", "-o", out)
    assert result.exit_code == 0, result.output
    figures = json.loads(out.read_text(encoding="utf-8"))
    assert [row["name"] for row in figures["each"]] == ["a", "b"]
    assert [row["height"] // row["width"] for row in figures["each"]] == [1, 2]
    for name in ("file", "png", "webp-lossless"):
        each = [row["bits_per_dim"][name] for row in figures["each"]]
        assert figures["bits_per_dim"][name] == pytest.approx(sum(each) / 2)
    pixels = sum(row["width"] * row["height"] for row in figures["each"])
    seconds = sum(row["encode_seconds"] for row in figures["each"])
    assert figures["megapixels_per_second"]["encode"] == pytest.approx(pixels / 1e6 / seconds, rel=0.1)
