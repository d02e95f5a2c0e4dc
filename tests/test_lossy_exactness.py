"""Files of lossy photographs decode to the same bits in processes of every kind; see `test_exactness`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_lossy
import variants
from exactness_worker import digest_of_file
from PIL import Image
from test_exactness import ENVIRONMENTS, FEW, Decoded, digests

from selfcodec.encoding import encode_picture
from selfcodec.images import from_image
from selfcodec.modes import Mode
from selfcodec.networks.integer import Runtime
from selfcodec.settings import Settings


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Decoded]:
    """Files of an image in tiles and of one in bands, drawn and not, and what they decode to here."""
    folder = tmp_path_factory.mktemp("lossy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SELFCODEC_MODELS", str(folder))
        paths = []
        for name, tile, size in (("whole", tiny_lossy.NO_TILES, (560, 30)), ("tiles", 32, (67, 85))):
            model = variants.install(folder, name, tiny_lossy.weights(tile))
            picture = from_image(Image.fromarray(tiny_lossy.photo(*size)))
            for settings in (Settings(Mode.RS2, quality=70), Settings(Mode.CR, quality=95), Settings(Mode.RS1, seed=7)):
                data = encode_picture(picture, settings, model, verify=False, fallback=False).data
                paths.append(folder / f"{name} {settings.mode}.sv")
                paths[-1].write_bytes(data)
        yield paths, [digest_of_file(path, Runtime(batch=1)) for path in paths]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_decoding_gives_the_same_bits(files: Decoded, environment: str) -> None:
    paths, reference = files
    assert len(set(reference)) == len(paths)
    assert os.environ["SELFCODEC_MODELS"] == str(Path(paths[0]).parent)
    for setting, found in zip(FEW, digests(paths, FEW, ENVIRONMENTS[environment]), strict=True):
        assert found == reference, setting
