"""The coders that are compared, and what is measured of them."""

from __future__ import annotations

import gc
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_command import results, run
from PIL import Image
from skimage import data

from selfcodec.arrays import UInt8
from selfcodec.benchmarks import coders, own
from selfcodec.benchmarks.coders import LOSSLESS_PEERS, PEERS, Coder, Peer, picture_of
from selfcodec.benchmarks.measure import PeakMemory, measure
from selfcodec.benchmarks.own import own_coder, own_coders, own_settings
from selfcodec.benchmarks.results import CoderInfo
from selfcodec.encoding import Encoded
from selfcodec.errors import InputError, SelfcodecError
from selfcodec.images import Picture, from_image
from selfcodec.modes import Mode
from selfcodec.zoo import Model

pytest_plugins = ("benchmark_fixtures",)


# Coders.


@pytest.mark.parametrize("key", PEERS)
def test_peers_code_and_decode(key: str, photo: UInt8) -> None:
    coder, sizes = PEERS[key], []
    for setting in coder.settings:
        found = measure(picture_of(photo), coder, setting)
        assert found.failure == ""
        assert 0 < found.payload <= found.size == len(found.data)
        assert found.exact == (found.max_error == 0) == coder.info.lossless == (found.psnr is None)
        sizes.append(found.size)
    assert sorted(sizes) == sizes  # settings rise in rate


@pytest.mark.parametrize("key", [key for key, coder in PEERS.items() if coder.info.lossless])
def test_peers_take_threads_where_they_can(key: str, photo: UInt8) -> None:
    coder = PEERS[key]
    assert isinstance(coder, Peer)
    assert measure(picture_of(photo), replace(coder, threads=2), next(iter(coder.settings))).exact


@pytest.mark.parametrize("key", ["jpeg", "webp", "avif"])
def test_sweeps_begin_at_the_coarsest_quantiser(key: str) -> None:
    coder, picture = PEERS[key], picture_of(data.chelsea()[:128, :192])
    first, *_, last = coder.settings.values()
    least = coder.encode(picture, {**first, "level": 0}).data
    assert len(coder.encode(picture, first).data) == len(least)
    assert len(coder.encode(picture, last).data) > 10 * len(least)


@pytest.mark.parametrize("key", ["png", "webp", "webp-lossless", "jpeg", "jpegls", "jp2", "qoi", "avif"])
def test_headers_are_left_out_of_payloads(key: str, photo: UInt8) -> None:
    """An image of twice the area has as many bytes of header, up to a few of lengths, and more of payload."""
    coder = PEERS[key]
    options = next(iter(coder.settings.values()))
    small, large = (coder.encode(picture_of(image), options).data for image in (photo[:32], photo))
    headers = [len(data) - coder.payload(data) for data in (small, large)]
    assert all(header > 0 for header in headers)
    assert abs(headers[1] - headers[0]) <= 40
    assert coder.payload(large) > coder.payload(small)


LOSSLESS = ("png", "webp-lossless", "jxl-lossless", "jxl-lossless-9", "jpegls", "jp2-lossless", "qoi")


@pytest.mark.parametrize("key", LOSSLESS)
def test_grey_images_and_noise_come_back(key: str, photo: UInt8) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for image in (photo[:, :, :1].repeat(3, 2), noise, noise[:1, :1]):
        assert measure(picture_of(image), PEERS[key]).failure == ""


def test_models_offer_their_modes(tiny_model: Model, photo: UInt8) -> None:
    own = own_coders("tiny", (), (20, 90))
    assert list(own) == ["tiny rs1", "tiny rs2", "tiny cg", "tiny cr", "tiny lossless"]
    assert list(own["tiny rs2"].settings) == ["q=20", "q=90"]
    assert list(own["tiny lossless"].settings) == [""]
    picture = picture_of(photo)
    coarse, fine = (measure(picture, own["tiny rs2"], setting) for setting in ("q=20", "q=90"))
    assert coarse.size < fine.size
    assert coarse.size - coarse.payload in range(15, 25)
    lossless = measure(picture, own["tiny lossless"])
    assert (lossless.failure, lossless.max_error, lossless.psnr, lossless.exact) == ("", 0, None, True)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P"])
def test_images_of_other_modes_come_back(mode: str, photo: UInt8, tiny_model: Model) -> None:
    image = Image.fromarray(photo).convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(photo[:, :, 0] | 1))
    picture = from_image(image)
    grey = mode in ("L", "LA")
    for key in ("png", "webp-lossless"):
        found = measure(picture, PEERS[key])
        assert found.exact, found.failure
        assert found.returned().planes.shape[2] == (1 if grey and key == "png" else 3)
    found = measure(picture, own_coder("tiny", Mode.LOSSLESS))
    assert found.exact, found.failure
    assert found.returned().mode == mode


def test_our_own_lossless_files_bring_back_the_mode_too(photo: UInt8) -> None:
    grey = picture_of(photo[:, :, :1])
    coloured = picture_of(photo[:, :, :1].repeat(3, 2))
    assert PEERS["png"].restores(grey, coloured)
    assert not own_coder("tiny", Mode.LOSSLESS).restores(grey, coloured)


def test_measuring_twice_finds_out_as_much_as_once(photo: UInt8, tiny_model: Model) -> None:
    """The time of the stored fallback counts for every file, and not only for the first of a picture."""
    picture = picture_of(photo)
    measure(picture, own_coder("tiny", Mode.LOSSLESS))
    assert "stored_size" not in vars(picture)


def test_a_small_picture_is_coded_before_the_first(
    photo: UInt8, tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the first picture's time were that of loading and compiling loops, too."""
    sizes, encode = list[tuple[int, int]](), own.encode_picture

    def noted(picture: Picture, *rest: Any, **options: Any) -> Encoded:
        sizes.append(picture.size)
        return encode(picture, *rest, **options)

    monkeypatch.setattr(own, "encode_picture", noted)
    own._warm_up.cache_clear()
    coder, small = own_coder("tiny", Mode.LOSSLESS), (own.WARM_UP, own.WARM_UP)
    for _ in range(2):
        assert measure(picture_of(photo), coder).exact
    assert sizes == [small, *[photo.shape[1::-1]] * 2]
    measure(picture_of(photo), own_coder("tiny", Mode.RS1))
    assert sizes[3] == small


def test_a_missing_package_is_named_before_anything_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    assert coders.choose_peers(("none",)) == {}
    with pytest.raises(
        InputError, match=r"other coders need the package imagecodecs: pip install 'selfcodec\[bench\]'"
    ):
        coders.choose_peers(LOSSLESS_PEERS)


def test_unknown_peers_are_named(folder: Path, tmp_path: Path) -> None:
    assert coders.choose_peers(("none",)) == {}
    assert list(coders.choose_peers(("qoi", "png"))) == ["png", "qoi"]
    assert "gif" in run("--dataset", folder, "--peers", "png,gif", "-o", tmp_path / "out", code=1).stderr


def test_deep_models_are_measured_at_every_level(tiny_model: Model) -> None:
    class Deep:
        levels = 2

    settings = own_settings(Deep(), Mode.CG, (50,))  # type: ignore[arg-type]
    assert settings == {"level=1 q=50": {"level": 1, "quality": 50}, "level=2 q=50": {"level": 2, "quality": 50}}
    assert list(own_settings(Deep(), Mode.RS1, (50,))) == ["q=50"]  # type: ignore[arg-type]


# Measures.


@dataclass(frozen=True, kw_only=True)
class Broken(Peer):
    """A lossless coder that loses, shrinks, or fails."""

    kind: str

    def decode(self, data: bytes) -> Picture:
        picture = super().decode(data)
        planes = picture.planes.copy()
        if self.kind == "raises":
            raise ValueError("no\nidea")
        if self.kind == "lossy":
            planes[0, 0, 0] ^= 3
        return replace(picture, planes=planes[1:] if self.kind == "shrinks" else planes)


def broken(kind: str) -> Coder:
    return Broken(info=CoderInfo("Broken", coders.PEER, True), format="qoi", kind=kind)


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
    found = measure(picture_of(photo), broken(kind))
    assert found.failure.startswith(expected)
    assert found.size > 0
    assert not found.exact
    if kind != "lossy":
        with pytest.raises(SelfcodecError, match=re.escape(expected)):
            found.returned()
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


def test_peak_memory_sees_what_was_freed() -> None:
    gc.collect()  # else what other tests have left may go meanwhile
    with PeakMemory() as memory:
        block = np.ones(40 << 20, dtype=np.uint8)
        del block
    assert memory.mib is None or 35 < memory.mib < 200
