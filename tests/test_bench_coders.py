"""The coders that `selfcodec bench` compares, and what it measures of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench_command import results, run

from selfcodec.arrays import UInt8
from selfcodec.benchmarks import coders
from selfcodec.benchmarks.coders import PEERS, Coder
from selfcodec.benchmarks.results import CoderInfo
from selfcodec.benchmarks.runner import PeakMemory, measure, ms_ssim
from selfcodec.zoo import Model

pytest_plugins = ("benchmark_fixtures",)


# Coders.


@pytest.mark.parametrize("key", PEERS)
def test_peers_code_and_decode(key: str, photo: UInt8) -> None:
    coder, sizes = PEERS[key], []
    for setting in coder.settings:
        record = measure("photo", photo, key, coder, setting)
        assert record.failure == ""
        assert 0 < record.payload_bytes <= record.bytes
        assert (record.max_error == 0) == coder.info.lossless == (record.psnr is None)
        sizes.append(record.bytes)
    assert sorted(sizes) == sizes  # settings rise in rate


@pytest.mark.parametrize("key", ["png", "webp", "webp-lossless", "jpeg", "jpegls", "jp2", "qoi", "avif"])
def test_headers_are_left_out_of_payloads(key: str, photo: UInt8) -> None:
    """An image of twice the area has as many bytes of header, up to a few of lengths, and more of payload."""
    coder = PEERS[key]
    options = next(iter(coder.settings.values()))
    small, large = (coder.encode(image, options) for image in (photo[:32], photo))
    headers = [len(data) - coder.payload(data) for data in (small, large)]
    assert all(header > 0 for header in headers)
    assert abs(headers[1] - headers[0]) <= 40
    assert coder.payload(large) > coder.payload(small)


LOSSLESS = ("png", "webp-lossless", "jxl-lossless", "jpegls", "jp2-lossless", "qoi")


@pytest.mark.parametrize("key", LOSSLESS)
def test_grey_images_and_noise_come_back(key: str, photo: UInt8) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for image in (photo[:, :, :1].repeat(3, 2), noise, noise[:1, :1]):
        assert measure("image", image, key, PEERS[key], "").failure == ""


def test_models_offer_their_modes(tiny_model: Model, photo: UInt8) -> None:
    own = coders.own_coders("tiny", (), (20, 90))
    assert list(own) == ["tiny rs1", "tiny rs2", "tiny cg", "tiny cr", "tiny lossless"]
    assert list(own["tiny rs2"].settings) == ["q=20", "q=90"]
    assert list(own["tiny lossless"].settings) == [""]
    coarse, fine = (measure("photo", photo, "tiny rs2", own["tiny rs2"], setting) for setting in ("q=20", "q=90"))
    assert coarse.bytes < fine.bytes
    assert coarse.bytes - coarse.payload_bytes in range(15, 25)
    lossless = measure("photo", photo, "tiny lossless", own["tiny lossless"], "")
    assert (lossless.failure, lossless.max_error, lossless.psnr) == ("", 0, None)


def test_unknown_peers_are_named(folder: Path, tmp_path: Path) -> None:
    assert coders.choose_peers("none") == {}
    assert list(coders.choose_peers("qoi,png")) == ["png", "qoi"]
    assert "gif" in run("--dataset", folder, "--peers", "png,gif", "-o", tmp_path / "out", code=1).stderr


def test_deep_models_are_measured_at_every_level(tiny_model: Model) -> None:
    class Deep:
        levels, digest = 2, "0" * 64

    settings = coders._own("deep", Deep(), coders.Mode.CG, (50,)).settings  # type: ignore[arg-type]
    assert settings == {"level=1 q=50": {"level": 1, "quality": 50}, "level=2 q=50": {"level": 2, "quality": 50}}


# Measures.


def broken(kind: str) -> Coder:
    """A lossless coder that loses, shrinks, or fails."""

    def decode(data: bytes) -> UInt8:
        image = PEERS["qoi"].decode(data)
        if kind == "raises":
            raise ValueError("no\nidea")
        if kind == "lossy":
            image = image.copy()
            image[0, 0, 0] ^= 3
        return image[1:] if kind == "shrinks" else image

    return replace(PEERS["qoi"], info=CoderInfo("Broken", coders.PEER, True), decode=decode)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("lossy", "not lossless: samples differ by up to"),
        ("shrinks", "came back as uint8 (63, 96, 3)"),
        ("raises", "ValueError: no idea"),
    ],
)
def test_broken_coders_are_found(
    kind: str, expected: str, folder: Path, photo: UInt8, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = measure("photo", photo, "broken", broken(kind), "")
    assert record.failure.startswith(expected)
    assert record.bytes > 0
    monkeypatch.setitem(coders.PEERS, "broken", broken(kind))
    options = (
        "--dataset",
        folder,
        "--models",
        "tiny",
        "--modes",
        "lossless",
        "--peers",
        "broken",
        "-o",
        tmp_path / "o",
    )
    result = run(*options, code=1)
    assert "3 of 6 round trips failed" in result.stderr
    assert "## 3 failures" in (tmp_path / "o" / "summary.md").read_text(encoding="utf-8")
    point = next(p for p in results(tmp_path / "o").points() if p.coder == "broken")
    assert (point.images, point.failures) == (0, 3)


def test_ms_ssim() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (170, 180, 3), dtype=np.uint8)
    other = np.clip(image.astype(int) + rng.integers(-40, 41, image.shape), 0, 255).astype(np.uint8)
    image.flags.writeable = False  # of which PyTorch would warn
    assert ms_ssim(image, image) == pytest.approx(1)
    assert 0.5 < (ms_ssim(image, other) or 0) < 0.999
    assert ms_ssim(image[:160], other[:160]) is None


def test_peak_memory_sees_what_was_freed() -> None:
    with PeakMemory() as memory:
        block = np.ones(40 << 20, dtype=np.uint8)
        del block
    assert memory.mib is None or 35 < memory.mib < 200
