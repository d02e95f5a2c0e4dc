"""Fixtures that many tests share: a tiny untrained model that still compresses, and a small photograph."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from recipe_changes import changed
from skimage import data as photographs

from selfcodec.arrays import UInt8
from selfcodec.models.config import Recipe
from selfcodec.models.data import ImageSet
from selfcodec.models.export import export_model, write_model
from selfcodec.models.likelihoods.phases import Phases
from selfcodec.models.recipe import load_recipe
from selfcodec.models.selfvae import SelfVAE
from selfcodec.zoo import Model, find_model

MODEL = {
    "u": {"channels": 2},
    "z": {"channels": 2},
    "prior": {"layers": 2, "width": 8},
    "network": {"width": 8, "blocks": 1, "encoder_width": 8},
    "likelihood": {"mixtures": 2, "head_width": 8},
}
MODELS = "SELFCODEC_MODELS"
TRAIN = {
    "dataset": "tiny",
    "batch": 16,
    "minutes": 0.05,
    "ema": 0.9,
    "quantise_share": 0.5,
    "optimizer": {"learning_rate": 1e-2, "warmup": 5},
}
pytest.register_assert_rewrite("bench_command", "command_line", "sv_files", "trainer_state")  # helpers that assert


def pytest_configure() -> None:
    """Signals that are ignored, as in what a shell runs in the background, are not so in tests and what they start."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL)


@pytest.fixture(scope="session")
def photo() -> UInt8:
    """A photograph with film grain, uint8 (64, 96, 3)."""
    crop = photographs.astronaut()[192:256, 192:288].astype(np.float64)
    grain = np.random.default_rng(1).normal(0, 14, (64, 96, 1)).round()
    return (crop + grain).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def patches() -> UInt8:
    """Training images, uint8 (256, 32, 32, 3)."""
    image = photographs.astronaut()
    tiles: UInt8 = image.reshape(16, 32, 16, 32, 3).transpose(0, 2, 1, 3, 4).reshape(-1, 32, 32, 3).copy()
    return tiles


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    """K = 1, downscale, four phases; a few thousand parameters."""
    return changed(load_recipe("cifar10-downscale"), name="tiny", model=MODEL, train=TRAIN)


@torch.no_grad()
def _assume_photographs(model: SelfVAE) -> None:
    """Sets parameters by hand, so that `photo` takes fewer bits than a PNG of it without any training.

    The likelihoods expect every channel to follow the one before it and x to stay near y; latents are small.
    """
    for name, net in model.graphs():
        if name.startswith("q_"):
            net.weight(net.graph.output).mul_(0.3)
    for name, phases in model.pixels.items():
        assert isinstance(phases, Phases)
        layout, last = phases.layout, len(phases.offsets) - 1
        for i in range(last + 1):
            net = dict(model.graphs())[f"p_{name}_{i}"]
            net.weight(net.graph.output).mul_(0.2)
            bias = net.bias(net.graph.output)
            bias[layout.log_scales(0)] = 1.5 if name == "y1" else 0.2
            for channel in (1, 2):
                bias[layout.log_scales(channel)] = 0.3 if name == "y1" else -1.8
                bias[layout.coefficients(channel, channel - 1)] = 1.0
            if name == "x" and i == last:  # 4 y less the other phases is nearly exact
                bias[layout.log_scales(0).start : layout.log_scales(2).stop] = -2.3


@pytest.fixture(scope="session")
def tiny_model_dir(tiny_recipe: Recipe, patches: UInt8, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds the model folder `tiny`; $SELFCODEC_MODELS names it in the tests that ask for it."""
    folder = tmp_path_factory.mktemp("models")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = SelfVAE(tiny_recipe.model).eval()
        _assume_photographs(model)
        images = ImageSet.build(patches[:32], "downscale", 1, flip=False, device=torch.device("cpu"))
        write_model(folder / "tiny", export_model(tiny_recipe, model, images), tiny_recipe, {"steps": 0})
    return folder


@pytest.fixture(autouse=True)
def _tiny_model_is_installed(request: pytest.FixtureRequest) -> Iterator[None]:
    """In tests that ask for it and for no other models; what one test asks for is not there in the next."""
    with pytest.MonkeyPatch.context() as patch:
        if "tiny_model_dir" in request.fixturenames and MODELS not in os.environ:
            patch.setenv(MODELS, str(request.getfixturevalue("tiny_model_dir")))
        yield


@pytest.fixture(scope="session")
def tiny_model(tiny_model_dir: Path) -> Model:
    """The tiny model, loaded."""
    return find_model(str(tiny_model_dir / "tiny"))
