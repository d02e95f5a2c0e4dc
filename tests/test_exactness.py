"""A file decodes to the same bits under every thread count, batch, window and instruction set."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import variants
from exactness_worker import digest_of_file
from llvmlite.binding import get_host_cpu_features
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.decoding import open_file
from selfcodec.encoding import encode_picture
from selfcodec.images import from_image
from selfcodec.models.config import Recipe
from selfcodec.modes import Mode
from selfcodec.networks.integer import Runtime
from selfcodec.settings import Settings
from selfcodec.zoo import model_by_id

WORKER = Path(__file__).with_name("exactness_worker.py")
TILE = 16
SIZE = (85, 67)
"""(width, height): 20 whole tiles, which batches of 16 and more take down other paths, and three sizes of others."""

Setting = tuple[int, int, int, int]
SETTINGS = [
    (1, 1, 512, 512),
    (2, 64, 512, 512),
    (1, 64, 100, 8),
    (2, 3, 7, 512),
    (3, 64, 512, 40),
    (2, 7, 1, 24),
]
"""Threads, batch, positions in a block, window; all of them in an ordinary process, a few under every environment."""
FEW = [(2, 64, 512, 512), (1, 64, 30, 16), (1, 7, 512, 512)]

FEATURES = ("sse4.2", "ssse3", "avx", "avx2", "fma")
HAS_AVX2 = all(get_host_cpu_features().get(name) for name in FEATURES)
AVX2 = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": ",".join(f"+{name}" for name in FEATURES)}
"""With the name alone Numba would use what else this processor can."""
ENVIRONMENTS = {
    "as it is": {},
    "the least of vector units": {"NUMBA_CPU_NAME": "generic", "OPENBLAS_CORETYPE": "Prescott"},
    "AVX": {"OPENBLAS_CORETYPE": "Sandybridge"},
    "AVX2": {"OPENBLAS_CORETYPE": "Haswell", **(AVX2 if HAS_AVX2 else {})},
    "threads of their own": {"OPENBLAS_NUM_THREADS": "3", "OMP_NUM_THREADS": "2"},
}
"""OpenBLAS multiplies matrices in another order for every kind of processor, and Numba with other instructions."""

Decoded = tuple[list[Path], list[str]]


@pytest.fixture(scope="module")
def files(
    tiny_model_dir: Path,
    tiny_recipe: Recipe,
    photo: UInt8,
    patches: UInt8,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Decoded]:
    """Files of two models and the digests of what they decode to tile by tile here.

    Lossless, by means and drawn, of a model that codes in phases; lossless, drawn, and lossless with what is learned
    of the image of one that codes in context.
    """
    folder = tmp_path_factory.mktemp("exactness")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SELFCODEC_MODELS", os.pathsep.join((str(tiny_model_dir), str(folder))))
        model = variants.install(folder, "tiles", variants.with_tiles(tiny_model_dir / "tiny", TILE))
        rows, columns = (np.arange(n) % m for n, m in zip(SIZE[::-1], photo.shape, strict=False))
        image = Image.fromarray(photo[rows][:, columns])
        picture, paths = from_image(image), []
        in_context = variants.with_blocks(variants.build(tiny_recipe, "context", patches)[2], TILE, tile=2 * TILE)
        of_context = variants.install(folder, "context", in_context)
        for coder, settings in (
            (model, Settings()),
            (model, Settings(Mode.CR)),
            (model, Settings(Mode.RS2, seed=7)),
            (of_context, Settings()),
            (of_context, Settings(Mode.CG, seed=7)),
            (of_context, Settings(effort=1)),
        ):
            data = encode_picture(picture, settings, coder, verify=False, fallback=False).data
            container = open_file(data)
            assert container.header.mode is settings.mode
            assert len(container.streams[0]) == (30 if coder is model else 9)
            paths.append(folder / f"{coder.spec.name} {settings.mode} {settings.effort}.sv")
            paths[-1].write_bytes(data)
        reference = [digest_of_file(path, Runtime(batch=1)) for path in paths]
        original = hashlib.sha256(f"{image.mode} {image.size}".encode() + image.tobytes()).hexdigest()
        assert reference[0] == reference[3] == reference[5] == original
        yield paths, reference


def digests(files: list[Path], settings: list[Setting], environment: dict[str, str], *flags: str) -> list[list[str]]:
    """What a new process makes of the files: for each setting, a digest of each."""
    command = [sys.executable, str(WORKER), *flags, json.dumps(settings), *map(str, files)]
    root = str(Path(__file__).parents[1])
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": root, **environment},
        cwd=root,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: list[list[str]] = json.loads(done.stdout)
    assert len(result) == len(settings)
    return result


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_decoding_gives_the_same_bits(files: Decoded, environment: str) -> None:
    """The lossless file gives its image, and the lossy ones the same image everywhere."""
    paths, reference = files
    settings = FEW if ENVIRONMENTS[environment] else SETTINGS
    found = digests(paths, settings, ENVIRONMENTS[environment])
    for setting, result in zip(settings, found, strict=True):
        assert result == reference, setting


@pytest.mark.skipif(not HAS_AVX2, reason="this processor has no AVX2")
@pytest.mark.parametrize(
    ("environment", "taken", "others"),
    [("the least of vector units", "pmaddwd", r"vpmaddwd|[yz]mm"), ("AVX2", "vpmaddwd", "vpdpwssd|zmm")],
)
def test_environments_have_their_instructions(environment: str, taken: str, others: str) -> None:
    program = """
from numba import njit
from selfcodec.networks import pointwise_loops
types = "void(i2[:, ::1], i2[::1], i4[::1], f4[::1], f4[::1], i2[:, ::1])"
print(*njit(types)(pointwise_loops._product.py_func).inspect_asm().values())
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **ENVIRONMENTS[environment]},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert re.search(rf"\b{taken}\b", done.stdout)
    assert not re.search(rf"\b({others})", done.stdout)


def test_a_network_in_real_numbers_does_not(files: Decoded) -> None:
    """The same harness on a float network finds differences, so that it is able to find one."""
    found = [digests(files[0][:1], FEW, environment, "--float") for environment in ENVIRONMENTS.values()]
    assert len({result[0] for of_environment in found for result in of_environment}) > 1


def test_encoding_gives_the_same_bytes(files: Decoded, photo: UInt8) -> None:
    """Encoders run the same networks, and so write the same file under other settings."""
    rows, columns = (np.arange(n) % m for n, m in zip(SIZE[::-1], photo.shape, strict=False))
    picture = from_image(Image.fromarray(photo[rows][:, columns]))
    lossless = [(files[0][i].read_bytes(), Settings(effort=effort)) for i, effort in ((0, 0), (3, 0), (5, 1))]
    for runtime, (whole, settings) in product((Runtime(64), Runtime(5, window=16)), lossless):
        model = model_by_id(open_file(whole).header.model_id)
        again = encode_picture(picture, settings, model, runtime, verify=False, fallback=False)
        assert again.data == whole
