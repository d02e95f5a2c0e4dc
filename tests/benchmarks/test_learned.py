"""CompressAI's models as coders: their files, and what happens where they are missing.

A stand-in with the interface of its models codes every second pixel, since their weights have to be fetched.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torch import Tensor

from selfcodec.arrays import UInt8
from selfcodec.benchmarks import learned
from selfcodec.benchmarks.coders import LEARNED, choose_peers, picture_of
from selfcodec.benchmarks.measure import measure
from selfcodec.errors import FormatError, InputError

NAME = "mbt2018-mean"


class EverySecondPixel:
    """Two strings: the pixels, and one byte for their checksum."""

    def compress(self, x: Tensor) -> dict[str, Any]:
        assert x.shape[2] % learned.MULTIPLE == x.shape[3] % learned.MULTIPLE == 0
        assert 0 <= float(x.min()) <= float(x.max()) <= 1
        pixels = (x[0, :, ::2, ::2] * 255).round().to(torch.uint8).numpy()
        return {"strings": [[pixels.tobytes()], [bytes([int(pixels.sum()) % 256])]], "shape": pixels.shape[1:]}

    def decompress(self, strings: Sequence[Sequence[bytes]], shape: Sequence[int]) -> dict[str, Tensor]:
        pixels = np.frombuffer(strings[0][0], np.uint8).reshape(3, *shape)
        assert strings[1][0] == bytes([int(pixels.sum()) % 256])
        x = torch.from_numpy(pixels.copy())[None].float() / 255
        return {"x_hat": 1.02 * x.repeat_interleave(2, 2).repeat_interleave(2, 3) - 0.01}


@pytest.fixture
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learned, "network", lambda name, quality: EverySecondPixel())


@pytest.mark.usefixtures("_stand_in")
@pytest.mark.parametrize("size", [(1, 1), (64, 128), (65, 40)])
def test_images_of_any_size_come_back(size: tuple[int, int], photo: UInt8) -> None:
    image = np.resize(photo, (*size, 3)) // 16 * 16
    image[1::2], image[:, 1::2] = image[:-1:2][: len(image[1::2])], image[:, ::2][:, : image[:, 1::2].shape[1]]
    found = measure(picture_of(image), LEARNED[NAME], "q=3")
    assert not found.failure
    assert found.max_error is not None
    assert found.max_error <= 3
    padded = [-(-side // 64) * 64 for side in size]
    assert found.payload == 3 * padded[0] * padded[1] // 4 + 1
    assert found.size == found.payload + 10 + 2 * 4


@pytest.mark.usefixtures("_stand_in")
def test_damaged_files_are_refused(photo: UInt8) -> None:
    data = learned.encode(photo, 2, name=NAME)
    for cut in (0, 5, 12, len(data) - 1):
        with pytest.raises(FormatError, match=NAME):
            learned.decode(data[:cut], name=NAME)
    with pytest.raises(FormatError, match="bytes instead of"):
        learned.decode(data + b"\0", name=NAME)


@pytest.mark.usefixtures("_stand_in")
def test_they_are_measured_where_they_are_asked_for() -> None:
    assert not set(choose_peers(("all",))) & set(LEARNED)
    chosen = choose_peers(("all", "mbt2018-mean"))
    assert set(chosen) == {*choose_peers(("all",)), "mbt2018-mean"}
    assert len(choose_peers(("cheng2020-anchor",))["cheng2020-anchor"].settings) == 6
    assert choose_peers(()) == {}


@pytest.fixture
def _forgotten() -> Iterator[None]:
    learned.network.cache_clear()
    yield
    learned.network.cache_clear()


@pytest.mark.usefixtures("_forgotten")
def test_a_missing_package_is_named_before_anything_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "compressai.zoo", None)
    with pytest.raises(InputError, match=r"pip install 'selfcodec\[compressai\]'"):
        choose_peers((NAME,))


@pytest.mark.usefixtures("_forgotten")
def test_weights_that_cannot_be_fetched_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise URLError("no connection")

    zoo = SimpleNamespace(image_models={NAME: fail})
    monkeypatch.setitem(sys.modules, "compressai", SimpleNamespace(zoo=zoo))
    monkeypatch.setitem(sys.modules, "compressai.zoo", zoo)
    with pytest.raises(InputError, match=f"the weights of {NAME} cannot be fetched: .*no connection"):
        choose_peers(("png", NAME))


@pytest.mark.usefixtures("_forgotten")
def test_models_are_loaded_before_the_clock_starts(photo: UInt8, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def network(name: str, quality: int) -> EverySecondPixel:
        asked.append((name, quality))
        return EverySecondPixel()

    monkeypatch.setattr(learned, "network", network)
    LEARNED[NAME].prepare(LEARNED[NAME].settings["q=4"])
    assert asked == [(NAME, 4)]
