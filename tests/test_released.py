"""The models in the box: files written with them decode to the same pixels for good, and are written the same.

`tests/data` holds a file for each model and mode, and `pixels.json` the SHA-256 of what they decode to. A new model
gets its files by `python tests/test_released.py`, which never changes those that are there.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from exactness_worker import digest_of_file
from PIL import Image
from skimage import data as photographs
from test_exactness import ENVIRONMENTS, FEW, digests

from selfcodec.decoding import decode_file, open_file
from selfcodec.encoding import encode_picture
from selfcodec.fixed_point import EXACT_LIMIT
from selfcodec.images import from_image
from selfcodec.modes import Mode
from selfcodec.networks.integer import Runtime
from selfcodec.settings import Settings
from selfcodec.zoo import CARD, Model, find_model, read_manifest

ZOO = Path(__file__).parents[1] / "models" / "zoo"
MODELS = sorted(folder.name for folder in ZOO.iterdir() if folder.is_dir())
MODES = {name: find_model(str(ZOO / name)).modes for name in MODELS}
FILES = [(name, mode) for name, modes in MODES.items() for mode in modes]
DATA = Path(__file__).parent / "data"
PIXELS = DATA / "pixels.json"


def crop() -> Image.Image:
    """A part of a photograph of scikit-image's own, 75 × 50 pixels."""
    return Image.fromarray(photographs.chelsea()[100:150, 120:195])


def encode(model: Model, mode: Mode) -> bytes:
    return encode_picture(from_image(crop()), Settings(mode), model, verify=False, fallback=False).data


def golden(name: str, mode: Mode) -> Path:
    return DATA / f"{name}.{mode}.sv"


@pytest.mark.parametrize(("name", "mode"), FILES)
def test_files_stay_readable(name: str, mode: Mode) -> None:
    path = golden(name, mode)
    container = open_file(path.read_bytes())
    assert (container.header.mode, container.header.model_id) == (mode, find_model(str(ZOO / name)).id)
    assert digest_of_file(path, Runtime()) == json.loads(PIXELS.read_text(encoding="utf-8"))[path.name]
    if mode is Mode.LOSSLESS:
        assert decode_file(path.read_bytes()).tobytes() == crop().tobytes()


@pytest.mark.parametrize(("name", "mode"), FILES)
def test_files_are_written_the_same(name: str, mode: Mode) -> None:
    assert encode(find_model(str(ZOO / name)), mode) == golden(name, mode).read_bytes()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("name", MODELS)
def test_files_decode_the_same_everywhere(name: str, environment: str) -> None:
    pixels = json.loads(PIXELS.read_text(encoding="utf-8"))
    paths = [golden(name, mode) for mode in MODES[name]]
    for setting, result in zip(FEW, digests(paths, FEW, ENVIRONMENTS[environment]), strict=True):
        assert result == [pixels[path.name] for path in paths], setting


@pytest.mark.parametrize("name", MODELS)
def test_models_are_complete(name: str) -> None:
    """Loading proves that no sum overflows, and that the weights are the manifest's."""
    model, manifest = find_model(str(ZOO / name)), read_manifest(ZOO / name)
    assert manifest["name"] == model.spec.name == name
    assert manifest["sha256"] == model.digest
    assert manifest["parameters"] == model.parameters
    assert max(bound for net in model.nets.values() for bound in net.bounds.values()) < EXACT_LIMIT
    lossless = Mode.LOSSLESS in model.modes
    assert ({"rates", "ladder"} if lossless else {"bench"}) <= set(manifest["measured"])
    runs = [run for found in manifest["measured"].values() for run in (found if isinstance(found, list) else [found])]
    assert all(run["command"] for run in runs)
    assert "Not evaluated yet" not in (ZOO / name / CARD).read_text(encoding="utf-8")


def main() -> None:
    """Writes the files that are missing."""
    DATA.mkdir(exist_ok=True)
    pixels = json.loads(PIXELS.read_text(encoding="utf-8")) if PIXELS.exists() else {}
    for name, mode in FILES:
        path = golden(name, mode)
        if not path.exists():
            path.write_bytes(encode(find_model(str(ZOO / name)), mode))
            pixels[path.name] = digest_of_file(path, Runtime())
    PIXELS.write_text(json.dumps(pixels, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
