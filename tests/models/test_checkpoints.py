"""Checkpoints survive crashes; damaged ones and other programs' files are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest
import torch
from recipe_changes import changed, with_optimizer
from trainer_state import CPU, assert_equal

from selfcodec.errors import InputError, ModelError, SelfcodecWarning
from selfcodec.models.checkpoint import CHECKPOINT, load_trained, read_checkpoint
from selfcodec.models.config import Recipe
from selfcodec.models.data import ImageSet
from selfcodec.models.recipe import parse_recipe_dict, recipe_directory
from selfcodec.models.train import Trainer

pytest_plugins = ("training_fixtures",)
pytestmark = pytest.mark.usefixtures("own_random_numbers")


def test_a_checkpoint_of_another_recipe_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    Trainer(recipe, tmp_path, CPU).save()
    Trainer(changed(recipe, train={"minutes": 1.0}), tmp_path, CPU).load()
    with pytest.raises(ModelError, match="another recipe"):
        Trainer(with_optimizer(recipe, "muon"), tmp_path, CPU).load()
    with pytest.raises(ModelError, match="another recipe"):
        Trainer(changed(recipe, model={"network": {"width": 6}}), tmp_path, CPU).load()


def test_a_checkpoint_whose_recipe_is_in_the_old_form_loads(tmp_path: Path) -> None:
    """As released models were trained; also to be resumed."""
    folder = recipe_directory().parent / "zoo"
    old = json.loads((folder / "photo" / "manifest.json").read_text(encoding="utf-8"))["recipe"]
    recipe = changed(parse_recipe_dict(old), train={"start": "", "networks": "all"})
    trainer = Trainer(recipe, tmp_path, CPU)
    trainer.save()
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    torch.save(
        {**state, "recipe": old, "formats": {name: {"a": 3} for name in state["formats"]}}, tmp_path / CHECKPOINT
    )
    loaded, model, _ = load_trained(tmp_path / CHECKPOINT)
    assert loaded == parse_recipe_dict(old)
    assert_equal(dict(model.state_dict()), dict(trainer.ema.state_dict()))
    with pytest.warns(SelfcodecWarning, match=r"goes on with another train\.networks than before"):
        trainer.load()
    assert trainer.quantised


def test_a_crash_while_saving_leaves_the_old_checkpoint(
    recipe: Recipe, small: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(recipe, tmp_path, CPU)
    trainer.save()
    old = (tmp_path / CHECKPOINT).read_bytes()
    trainer.train_step(small.batch(torch.arange(8)))

    def crash(state: object, file: BinaryIO) -> None:
        file.write(old[: len(old) // 2])
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", crash)
        with pytest.raises(OSError, match="no space"):
            trainer.save()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [old]
    resumed = Trainer(recipe, tmp_path, CPU)
    resumed.load()
    assert resumed.step == 0
    trainer.save()
    resumed.load()
    assert resumed.step == 1
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


@pytest.fixture(scope="module")
def checkpoint(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("whole")
    Trainer(recipe, folder, CPU).save()
    return (folder / CHECKPOINT).read_bytes()


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "no checkpoint": lambda data: b"not a checkpoint",
    "first half": lambda data: data[: len(data) // 2],
    "last byte missing": lambda data: data[:-1],
    "zeros in the middle": lambda data: data[:2000] + bytes(200) + data[2200:],
    "zeros at the beginning": lambda data: bytes(100) + data[100:],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_refused(checkpoint: bytes, damage: str, tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT
    path.write_bytes(checkpoint)
    read_checkpoint(path)
    path.write_bytes(DAMAGE[damage](checkpoint))
    with pytest.raises(ModelError, match=CHECKPOINT):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("key", "value", "resumed_only"),
    [
        ("model", {"other": torch.zeros(3)}, True),
        ("ema", {"other": torch.zeros(3)}, False),
        ("ema", [1], False),
        ("optimizer", {"param_groups": [], "state": {}}, True),
        ("optimizer", {}, True),
        ("formats", {}, False),
        ("formats", {"other": {"x": 3}}, False),
        ("generator", torch.zeros(3), True),
        ("step", "3", False),
        ("elapsed", None, False),
        ("recipe", 3, False),
        ("run", {}, True),
        ("run", 3, True),
        ("run", {"budget": {"unit": "parsecs", "amount": 1}}, True),
    ],
)
def test_a_checkpoint_with_other_contents_is_refused_in_one_line(
    recipe: Recipe, checkpoint: bytes, tmp_path: Path, key: str, value: object, *, resumed_only: bool
) -> None:
    path = tmp_path / CHECKPOINT
    path.write_bytes(checkpoint)
    state = torch.load(path, weights_only=True)
    other = {**state[key], **value} if key == "run" and value and isinstance(value, dict) else value
    torch.save({**state, key: other}, path)
    with pytest.raises(ModelError, match=rf"{CHECKPOINT}: (does not hold .*; take another copy|not a check)[^\n]*$"):
        Trainer(recipe, tmp_path, CPU, resume=True)
    if not resumed_only:
        with pytest.raises(ModelError, match=CHECKPOINT):
            load_trained(path)


@pytest.mark.parametrize("state", [{}, [1, 2], {"recipe": {}, "step": 3}])
def test_another_program_s_file_is_refused(state: object, tmp_path: Path) -> None:
    torch.save(state, tmp_path / CHECKPOINT)
    with pytest.raises(ModelError, match=CHECKPOINT):
        load_trained(tmp_path / CHECKPOINT)


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such checkpoint"):
        read_checkpoint(tmp_path / CHECKPOINT)
