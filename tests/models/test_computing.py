"""Compiled models compute what they compute without; and where nothing can be compiled, one line says so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lossy_models import image_set, lossy_recipe
from recipe_changes import changed
from trainer_state import CPU, assert_equal

from selfcodec.arrays import UInt8
from selfcodec.cli.device import choose_device
from selfcodec.errors import InputError
from selfcodec.models import train
from selfcodec.models.budget import Steps
from selfcodec.models.config import Recipe
from selfcodec.models.data import ImageSet
from selfcodec.models.train import Trainer

pytest_plugins = ("training_fixtures",)
pytestmark = [
    pytest.mark.usefixtures("own_random_numbers"),
    pytest.mark.filterwarnings("ignore:::torch"),  # which warns of what it does itself when it compiles
]


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch would compile is one graph each, or fails, and runs without being compiled."""
    compile = torch.compile

    def trace(function: Callable[..., Any], **options: object) -> Callable[..., Any]:
        return compile(function, backend="eager", fullgraph=True, dynamic=False)

    monkeypatch.setattr(torch, "compile", trace)


def test_whatever_trains_or_evaluates_computes_float32_in_float32(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the library is used without the command line, and where the command line trains nothing."""
    for begin in (lambda: Trainer(recipe, tmp_path, CPU), lambda: choose_device("cpu")):
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
        begin()
        assert not torch.backends.cudnn.allow_tf32


@pytest.mark.usefixtures("traced")
def test_a_model_is_one_graph_of_the_same_losses(recipe: Recipe, small: ImageSet, tmp_path: Path) -> None:
    """Of likelihoods; without compilation once networks round."""
    recipe = changed(recipe, train={"objective": {"free_share": 0.5}})
    _same_steps(recipe, small, tmp_path, assert_equal)


@pytest.mark.usefixtures("traced")
def test_a_lossy_model_is_one_graph_of_the_same_losses(tiny_recipe: Recipe, patches: UInt8, tmp_path: Path) -> None:
    """Of rates and errors, with latents rounded as encoders do in the second step."""
    recipe = changed(lossy_recipe(tiny_recipe), train={"objective": {"thrifty_share": 0.6}})
    _same_steps(recipe, image_set(patches[64:80, :16, :16]), tmp_path, assert_equal)


def _same_steps(recipe: Recipe, images: ImageSet, out: Path, compare: Callable[[Any, Any], None]) -> None:
    """Two steps, and with rounding a third one, with and without compilation."""
    results = []
    for compile in (False, True):
        trainer, ys, terms = Trainer(recipe, out, CPU, Steps(2), compile=compile), images.batch(torch.arange(8)), []
        for _ in range(2):
            terms.append(torch.stack(list(trainer.train_step(ys).values())))
        trainer.quantise(images)
        terms.append(torch.stack(list(trainer.train_step(ys).values())))
        results.append(terms)
    compare(*results)


SLOW = "SELFCODEC_COMPILE"


@pytest.mark.skipif(not os.environ.get(SLOW), reason=f"takes minutes: {SLOW} is not set")
@pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++")) is None, reason="there is no C++ compiler")
def test_compiled_losses_are_the_same_but_for_rounding(
    recipe: Recipe, small: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the smallest model that there is: one latent, and pixels all at once."""
    monkeypatch.setattr(train, "has_bfloat16", lambda device: False)
    smallest = {"levels": 0, "prior": {"kind": "gaussian"}, "network": {"finest": 0}, "likelihood": {"phases": 1}}
    images = ImageSet(small.ys[:1], small.transformation)
    compare = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-3)
    _same_steps(changed(recipe, model=smallest), images, tmp_path, compare)


def test_where_nothing_compiles_one_line_says_so(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch._inductor.config as inductor

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(inductor.cpp, "cxx", ("no-such-compiler",))
    monkeypatch.setattr(inductor, "force_disable_caches", True)
    with pytest.raises(InputError, match="--compile: torch compiles nothing here"):
        Trainer(recipe, tmp_path, CPU, compile=True)
