"""Damaged and forged files of lossy photographs: an error that says so, or an image, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
import tiny_lossy
import variants
from PIL import Image
from test_fuzz import (
    Limits,
    cases,
    corrupt,
    cuts,
    damage_gives_an_error_or_the_image,
    every_truncation_is_noticed,
    forgeries,
    sealed,
)

from selfcodec.decoding import decode_file, open_file
from selfcodec.encoding import encode_picture
from selfcodec.errors import FormatError, ModelError
from selfcodec.format.container import pack
from selfcodec.format.header import peek
from selfcodec.images import from_image
from selfcodec.modes import Mode
from selfcodec.settings import Settings

COUNT = 150
MOST_PIXELS = 1 << 16
KINDS = ("rs1", "rs2", "cg", "cr", "grey and alpha")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, bytes]]:
    """A small file of every kind."""
    folder = tmp_path_factory.mktemp("lossy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SELFCODEC_MODELS", str(folder))
        model = variants.install(folder, "tiny-lossy", tiny_lossy.weights())
        colour = Image.fromarray(tiny_lossy.photo(20, 37))
        grey = Image.fromarray(tiny_lossy.photo(9, 21)).convert("LA")
        grey.putalpha(Image.fromarray(tiny_lossy.photo(9, 21)[..., 1]))
        made = {}
        for kind in KINDS:
            image, mode = (grey, Mode.RS2) if " " in kind else (colour, Mode.parse(kind))
            settings = Settings(mode, quality=80)
            made[kind] = encode_picture(from_image(image), settings, model, verify=False, fallback=False).data
        yield made


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.mark.parametrize("kind", KINDS)
def test_every_truncation_is_noticed(files: dict[str, bytes], kind: str) -> None:
    every_truncation_is_noticed(files[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_cut_off_is_left_out_on_request(files: dict[str, bytes], kind: str, limits: Limits) -> None:
    data, shown = files[kind], 0
    for count in range(0, len(data), 3):
        started = time.process_time()
        with suppress(FormatError):
            found = decode_file(data[:count], allow_truncated=True)
            assert found.size == (peek(data).width, peek(data).height)
            shown += 1
        limits.check(started, data[:count])
    assert (shown > 0) == (kind not in ("rs1",))


@pytest.mark.parametrize("kind", KINDS)
def test_every_flipped_bit_is_noticed(files: dict[str, bytes], kind: str) -> None:
    data = files[kind]
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 1 << at % 8
        with pytest.raises(FormatError):
            decode_file(bytes(damaged))


def test_damage_gives_an_error_or_the_image(files: dict[str, bytes], limits: Limits) -> None:
    damage_gives_an_error_or_the_image(files, cases(1, COUNT, KINDS), limits)


def test_forged_files_give_an_error_or_some_image(files: dict[str, bytes], limits: Limits) -> None:
    """Damage under a checksum that fits; symbols, low bits and escapes are then any.

    Where the damage makes the picture large, it takes the time of a large one; such files are left out.
    """
    images = 0
    for kind, rng in cases(2, COUNT, KINDS):
        forged = sealed(corrupt(files[kind], rng))
        started = time.process_time()
        with suppress(FormatError, ModelError):
            header = peek(forged)
            if header.width * header.height > MOST_PIXELS:
                continue
            image = decode_file(forged)
            assert (image.mode, image.size) == (header.image_mode, (header.width, header.height)), forged.hex()
            images += 1
        limits.check(started, forged)
    assert images > COUNT // 20


def test_damaged_files_are_not_cut(files: dict[str, bytes]) -> None:
    assert sum(cuts(corrupt(files[kind], rng)) for kind, rng in cases(4, COUNT, KINDS))


@pytest.mark.parametrize("kind", KINDS)
def test_forged_parts(files: dict[str, bytes], kind: str, limits: Limits) -> None:
    """Large sizes take a model without tiles long, as they would honestly; those are left out here."""
    for what, forged in forgeries(open_file(files[kind])):
        if "too many tiles" in what:
            continue
        data = pack(forged)
        started = time.process_time()
        with suppress(FormatError, ModelError):
            image = decode_file(data)
            assert image.size == (forged.header.width, forged.header.height), what
        limits.check(started, data[:100])
