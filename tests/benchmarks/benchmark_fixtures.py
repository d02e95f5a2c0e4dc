"""Images to measure, for the test modules that name this one in `pytest_plugins`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmark_commands import put_test_set
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.images import Picture
from selfcodec.zoo import Model


@pytest.fixture
def images(patches: UInt8, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UInt8:
    """What $SELFCODEC_DATA holds as the test set of CIFAR-10; one image is flat, so that its file is stored."""
    chosen = np.concatenate([patches[40:42], np.full((1, 32, 32, 3), 77, np.uint8)])
    put_test_set(chosen, tmp_path, monkeypatch)
    return chosen


@pytest.fixture
def folder(photo: UInt8, tmp_path: Path, tiny_model: Model) -> Path:
    """Three images: a photograph, a part of it, and a flat one."""
    path = tmp_path / "pictures"
    path.mkdir()
    for name, image in (("a", photo), ("b", photo[:40, :56]), ("c", np.full((24, 24, 3), 9, np.uint8))):
        Image.fromarray(image).save(path / f"{name}.png")
    return path


@pytest.fixture
def nothing_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fallback always loses, as it does not against a model that is worth its name."""
    monkeypatch.setattr(Picture, "stored_size", 1 << 20)
