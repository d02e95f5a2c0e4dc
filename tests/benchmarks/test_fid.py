"""The Fréchet Inception Distance: against its closed form, going on where it was stopped, and what it refuses."""

from __future__ import annotations

import pickle
import sys
from contextlib import nullcontext
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from channel_means import distance
from harm import Harm
from hypothesis import given
from hypothesis import strategies as st

from selfcodec.arrays import UInt8
from selfcodec.benchmarks import fid
from selfcodec.benchmarks.fid import Distance, Fid
from selfcodec.errors import InputError
from selfcodec.zoo import Model

NETWORK = "torch_fidelity.feature_extractor_inceptionv3"
URL = "https://example.org/weights.pth"
Colour = tuple[int, int, int]


def _measure(measuring: Distance, images: UInt8, samples: UInt8, state: Path, about: str = "") -> tuple[Fid, list[int]]:
    """The distance between images and samples, and the seeds of those that were drawn."""
    drawn: list[int] = []

    def sample_images(model: object, count: int, size: tuple[int, int], seed: int) -> UInt8:
        if seed >= len(samples):
            raise KeyboardInterrupt
        drawn.extend(range(seed, seed + count))
        return samples[seed : seed + count]

    model: Any = None
    named = {str(i): image for i, image in enumerate(images)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fid, "sample_images", sample_images)
        found = measuring.measure(
            model, named, state, {"run": about}, torch.device("cpu"), lambda total: nullcontext(lambda: None)
        )
    return found, drawn


def _around(mean: Colour, distances: Colour) -> UInt8:
    """Eight images, (8, 1, 1, 3): every channel lies so far above or below its mean, in each combination."""
    signs = np.array(list(product((-1, 1), repeat=3)))
    return (np.array(mean) + signs * np.array(distances)).astype(np.uint8)[:, None, None]


means, deviations = (st.tuples(*[st.integers(*limits)] * 3) for limits in ((100, 155), (0, 100)))


@given(means, means, deviations, deviations)
def test_the_distance_of_two_gaussians(first: Colour, second: Colour, a: Colour, b: Colour) -> None:
    """Their covariances are diagonal, so that the distance is that of means and of standard deviations."""
    found, _ = _measure(distance(8), _around(first, a), _around(second, b), Path("never kept"))
    means, deviations = ((np.subtract(*pair) ** 2.0).sum() for pair in ((first, second), (a, b)))
    assert found.value == pytest.approx(means + 8 / 7 * deviations, rel=1e-6, abs=1e-6)
    assert (found.samples, found.images) == (8, 8)


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> UInt8:
    """Twenty, whose sums are kept often."""
    monkeypatch.setattr(fid, "BATCH", 2)
    monkeypatch.setattr(fid, "KEPT", 4)
    return np.random.default_rng(0).integers(0, 256, (20, 2, 2, 3), dtype=np.uint8)


def test_a_distance_that_was_stopped_goes_on(pictures: UInt8, tmp_path: Path) -> None:
    images, samples, state = pictures[:8], pictures[8:], tmp_path / "state"
    whole, seeds = _measure(distance(12), images, samples, tmp_path / "whole")
    assert seeds == list(range(12))
    with pytest.raises(KeyboardInterrupt):
        _measure(distance(12), images, samples[:6], state)
    assert _measure(distance(12), images, samples, state) == (whole, list(range(4, 12)))
    again, seeds = _measure(distance(12), images, samples, state)  # what is over takes its last part once more
    assert (again, seeds) == (whole, list(range(8, 12)))


@pytest.mark.parametrize(
    "change",
    [
        {"images": np.zeros((8, 2, 2, 3), np.uint8)},
        {"about": "other"},
        {"measuring": distance(11)},
        {"measuring": distance(12, "other")},
    ],
)
def test_sums_of_something_else_are_not_taken(change: dict[str, Any], pictures: UInt8, tmp_path: Path) -> None:
    run = {"measuring": distance(12), "images": pictures[:8], "samples": pictures[8:], "state": tmp_path / "state"}
    _measure(**run)
    assert _measure(**run | change)[1][0] == 0


def test_damaged_sums(pictures: UInt8, tmp_path: Path) -> None:
    state = tmp_path / "state"
    torch.save([], state)
    for contents in (state.read_bytes(), state.read_bytes()[:-20], b""):
        state.write_bytes(contents)
        with pytest.raises(InputError, match="state: damaged: choose another folder, or begin anew with --force"):
            _measure(distance(12), pictures[:8], pictures[8:], state)


def test_images_that_there_is_no_distance_to(tiny_model: Model) -> None:
    small, large = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 4096, 3), np.uint8)
    Distance.check(tiny_model, {"a": small, "b": small})
    for images, words in (([small], "1 of 1"), ([small, large], "2 of 2"), ([large, large], "not 4096×8")):
        with pytest.raises(InputError, match=words):
            Distance.check(tiny_model, dict(zip("ab", images, strict=False)))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of PyTorch's cache, with nothing in it, where there is no network; torch-fidelity says its address."""

    def no_network(*arguments: object) -> None:
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, NETWORK, SimpleNamespace(URL_INCEPTION_V3=URL))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    return tmp_path


def test_packages_that_are_missing_or_do_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __getattr__(self, name: str) -> str:
            raise RuntimeError("operator torchvision::nms does not exist")

    for package in (NETWORK, "torchmetrics.image.fid"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            with pytest.raises(InputError, match=r"pip install 'selfcodec\[fid\]'"):
                Distance.load(2, None)
    monkeypatch.setitem(sys.modules, NETWORK, Broken())
    with pytest.raises(InputError, match="torchvision, which does not load beside this PyTorch"):
        Distance.load(2, None)


def test_weights_that_cannot_be_fetched(home: Path) -> None:
    with pytest.raises(InputError, match=f"no network.*: get {URL} elsewhere and name the file with --fid-weights"):
        Distance.load(2, None)


def test_weights_in_the_cache_are_not_fetched(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, network = [], torch.nn.Conv2d(2, 2, 3)

    def metric(**options: object) -> SimpleNamespace:
        given.append(options)
        return SimpleNamespace(inception=network)

    monkeypatch.setattr("torchmetrics.image.fid.FrechetInceptionDistance", metric)
    path = home / "hub" / "checkpoints" / "weights.pth"
    path.parent.mkdir(parents=True)
    torch.save({}, path)
    found = Distance.load(7, None)
    assert (found.metric.inception, found.samples, len(found.weights)) == (network, 7, 64)
    assert network.weight.is_contiguous(memory_format=torch.channels_last)
    assert given == [{"feature_extractor_weights_path": str(path), "antialias": False}]
    assert Distance.load(7, path) == found


def test_files_that_hold_no_weights(home: Path) -> None:
    path, harm = home / "file.pth", home / "harm"
    for contents in (None, b"", b"text", pickle.dumps(Harm(harm))):
        if contents is not None:
            path.write_bytes(contents)
        with pytest.raises(InputError, match=rf"file.pth: no weights of the FID's network .*; they are at {URL}"):
            Distance.load(2, path)
    torch.save(Harm(harm), path)
    with pytest.raises(InputError, match=r"file.pth: no weights"):
        Distance.load(2, path)
    assert not harm.exists()


def test_the_network_itself(photo: UInt8, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With random weights the distance is what torch-fidelity makes of the same features."""
    try:
        from torch_fidelity import feature_extractor_inceptionv3 as network
        from torch_fidelity import metric_fid
    except (ImportError, RuntimeError):
        pytest.skip("torch-fidelity is not here, or its torchvision is not of PyTorch's build")
    torch.manual_seed(0)
    path = tmp_path / "weights.pth"
    with monkeypatch.context() as patch:
        patch.setattr(network, "load_state_dict_from_url", lambda *arguments, **options: {})
        patch.setattr(network.FeatureExtractorInceptionV3, "load_state_dict", lambda *arguments: None)
        torch.save(network.FeatureExtractorInceptionV3("", ["2048"]).state_dict(), path)
    parts = photo.reshape(2, 32, 3, 32, 3).transpose(0, 2, 1, 3, 4).reshape(6, 32, 32, 3)
    found, _ = _measure(Distance.load(3, path), parts[:3], parts[3:], tmp_path / "state")
    net = network.FeatureExtractorInceptionV3("", ["2048"], str(path))
    (features,) = net(torch.from_numpy(parts).permute(0, 3, 1, 2))
    first, second = (metric_fid.fid_features_to_statistics(half.double()) for half in features.split(3))
    (expected,) = metric_fid.fid_statistics_to_metric(first, second, verbose=False).values()
    assert found.value == pytest.approx(expected, rel=1e-3)
