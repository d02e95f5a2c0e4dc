"""Damaged and hostile models of pixels in context: compiled loops check nothing, so nothing wrong may reach them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import variants
from model_changes import changed_at, with_contents

from selfcodec.arrays import UInt8
from selfcodec.encoding import encode_picture
from selfcodec.errors import ModelError, SelfcodecError
from selfcodec.images import from_image
from selfcodec.models.config import Recipe
from selfcodec.settings import Settings
from selfcodec.zoo import Model, read_contents


@pytest.fixture(scope="module")
def model(tiny_recipe: Recipe, patches: UInt8, tmp_path_factory: pytest.TempPathFactory) -> Model:
    _, _, data = variants.build(tiny_recipe, "context", patches)
    return variants.install(tmp_path_factory.mktemp("context"), "context", data)


WRONG: dict[str, list[Any]] = {
    "op": ["pixels", "latent", "plane", "add", "fold", "unfold", "mean", "elu", 1],
    "inputs": [[], ["0.latent"], ["0.latent", "0.latent"], [1], None],
    "channels": [1, 4, 1000, -1, 2.0, True],
    "kernel": [1, 3, 4, 2.0],
    "stride": [1, 2, 1.0, "2"],
}


@pytest.mark.parametrize("net", ["p_x", "p_x_0"])
def test_a_damaged_network_is_an_error_or_codes(model: Model, photo: UInt8, net: str) -> None:
    """Compiled loops check nothing themselves: what they would read beyond is refused before."""
    data, picture = Path(model.where).read_bytes(), from_image(variants.make_image(photo, "RGB", 20, 12))
    contents, errors, loaded = read_contents(data), 0, 0
    for node in range(len(contents["graphs"][net]["nodes"])):
        for key, wrong in [(key, value) for key, values in WRONG.items() for value in values]:
            path = ("graphs", net, "nodes", node, key)
            try:
                damaged = Model(with_contents(data, changed_at(contents, path, wrong)))
                loaded += 1
                encode_picture(picture, Settings(), damaged, fallback=False)
            except SelfcodecError:
                errors += 1
    assert errors > 50
    assert loaded > 10


def test_a_head_that_gives_less_than_its_last_node_says_is_refused(model: Model) -> None:
    """Inputs come first in compiled loops: the last node in the file has to be the one that gives."""
    data = Path(model.where).read_bytes()
    contents = copy.deepcopy(read_contents(data))
    head = contents["graphs"]["p_x_0"]
    last = head["nodes"][-1]
    head["nodes"].append({**last, "name": "last", "op": "latent", "inputs": [], "kernel": 1, "activation": "none"})
    head["formats"]["last"] = 6
    with pytest.raises(ModelError, match="output is an input"):
        Model(with_contents(data, contents))


def test_features_of_fewer_positions_than_there_are_pixels_are_refused(model: Model, photo: UInt8) -> None:
    data, picture = Path(model.where).read_bytes(), from_image(variants.make_image(photo, "RGB", 64, 64))
    contents = copy.deepcopy(read_contents(data))
    convolutions = [node for node in contents["graphs"]["p_x"]["nodes"] if node["op"] == "conv"]
    convolutions[-1] |= {"stride": 2}
    with pytest.raises(ModelError, match=r"the network of x gives \d+x\d+ features for \(64, 64\) pixels"):
        encode_picture(picture, Settings(), Model(with_contents(data, contents)), fallback=False)
