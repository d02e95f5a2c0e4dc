"""Damaged and forged files: an error that says so, or the very image, and never a crash, a stall or a memory bomb."""

from __future__ import annotations

import os
import resource
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import variants
from PIL import Image

from selfcodec import encoding
from selfcodec.arrays import UInt8
from selfcodec.decoding import cut_file, decode_file, open_file
from selfcodec.encoding import encode_picture
from selfcodec.errors import FormatError, InputError, ModelError
from selfcodec.format.bytereader import ByteReader
from selfcodec.format.container import Container, pack
from selfcodec.format.header import MAX_PIXELS, peek, read_header
from selfcodec.images import AnyImage, DeepImage, from_image
from selfcodec.models.config import Recipe
from selfcodec.modes import Mode
from selfcodec.settings import Settings
from selfcodec.zoo import Model

COUNT = int(os.environ.get("SELFCODEC_FUZZ", "1000"))
"""Random corruptions in all; forged checksums get half as many."""
SECONDS = 2.0
"""Processor time of one file at most."""
MEGABYTES = 500
"""Growth of the peak memory at most."""
KINDS = ("rs1", "rs2", "cg", "cr", "lossless", "seeded", "grey and alpha", "context", "adapting", "drawn in context")
KINDS += ("predicted", "stored raw", "stored PNG", "stored deep", "stored inks")


@pytest.fixture(scope="module")
def files(
    tiny_model: Model,
    tiny_model_dir: Path,
    tiny_recipe: Recipe,
    photo: UInt8,
    patches: UInt8,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, bytes]]:
    """A small file of every kind, of a model that codes in phases and of one that codes in context."""
    folder = tmp_path_factory.mktemp("fuzz")
    in_context = variants.with_blocks(variants.build(tiny_recipe, "context", patches)[2], 8)
    colour = Image.fromarray(photo[:12, :17])
    alpha = Image.fromarray(photo[:9, :11]).convert("LA")
    alpha.putalpha(Image.fromarray(photo[:9, :11, 1]))
    alpha.info["icc_profile"] = bytes(range(60))
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SELFCODEC_MODELS", os.pathsep.join((str(tiny_model_dir), str(folder))))
        of_context = variants.install(folder, "context", in_context)
        predicted = variants.install(folder, "predicted", variants.build(tiny_recipe, "predicted", patches)[2])
        stored = encoding._stored
        patch.setattr(encoding, "_stored", lambda picture: stored(picture) + bytes(1 << 20))
        for mode in (Mode.RS1, Mode.RS2, Mode.CG, Mode.CR, Mode.LOSSLESS):
            made[str(mode)] = encode_picture(from_image(colour), Settings(mode), tiny_model, verify=False).data
        seeded = Settings(Mode.CG, quality=70, seed=300)
        made["seeded"] = encode_picture(from_image(colour), seeded, tiny_model, verify=False).data
        made["grey and alpha"] = encode_picture(from_image(alpha), None, tiny_model, verify=False).data
        made["context"] = encode_picture(from_image(colour), None, of_context, verify=False).data
        made["adapting"] = encode_picture(from_image(colour), Settings(effort=1), of_context, verify=False).data
        drawn = Settings(Mode.CG, seed=300)
        made["drawn in context"] = encode_picture(from_image(colour), drawn, of_context, verify=False).data
        made["predicted"] = encode_picture(from_image(colour), Settings(effort=1), predicted, verify=False).data
        patch.setattr(encoding, "_stored", stored)
        made["stored raw"] = encode_picture(from_image(colour.crop((0, 0, 3, 3))), None, tiny_model).data
        made["stored PNG"] = encode_picture(from_image(colour.quantize(4)), None, tiny_model).data
        deep = DeepImage("RGBA;16", np.dstack([photo[:20, :30].astype(np.uint16) * 200] * 2)[..., :4])
        deep.info["png_chunks"] = ((b"gAMA", bytes(4)), (b"tEXt", b"Title\0text"))
        made["stored deep"] = encode_picture(from_image(deep), None, tiny_model).data
        inks = Image.fromarray(photo[:20, :30]).convert("CMYK")
        made["stored inks"] = encode_picture(from_image(inks), None, tiny_model).data
        assert tuple(made) == KINDS
        assert [str(open_file(data).header.mode) for data in made.values()] == [
            *(
                "rs1",
                "rs2",
                "cg",
                "cr",
                "lossless",
                "cg",
                "lossless",
                "lossless",
                "lossless",
                "cg",
                "lossless",
                *["stored"] * 4,
            )
        ]
        for data in made.values():  # what the first decoding loads and compiles takes time and memory of no test
            decode_file(data)
            for part in range(0, len(data), 8):
                with suppress(FormatError):
                    decode_file(data[:part], allow_truncated=True)
        yield made


def picture(image: AnyImage) -> tuple[object, ...]:
    """All that a viewer sees of an image."""
    if isinstance(image, DeepImage):
        return image.mode, image.size, image.tobytes(), sorted(image.info)
    return image.mode, image.size, image.tobytes(), image.convert("RGBA").tobytes(), sorted(image.info)


def corrupt(data: bytes, rng: np.random.Generator) -> bytes:
    """One to three flipped bits, replaced, inserted or removed runs of bytes; never the same file."""
    out = bytearray(data)
    # Half of the damage hits the header, where there is most to get wrong.
    for _ in range(rng.integers(1, 4)):
        end = min(len(out), 24) if rng.random() < 0.5 else len(out)
        at = int(rng.integers(0, max(1, end)))
        length = int(rng.integers(1, 6))
        match rng.integers(0, 6):
            case 0 if out:
                out[at % len(out)] ^= 1 << int(rng.integers(0, 8))
            case 1:
                out[at : at + length] = rng.bytes(length)
            case 2:
                out[at:at] = rng.bytes(length)
            case 3:
                del out[at : at + length]
            case 4:
                out[at : at + length] = bytes([int(rng.choice([0, 0x7F, 0x80, 0xFF]))]) * length
            case 5:
                out += out[at : at + 4 * length]
            case _:
                out += b"\x00"
    return bytes(out) if out != data else corrupt(data, rng)


def sealed(data: bytes) -> bytes:
    """The file with the checksum that it should have, where its header can be read as far as that."""
    reader = ByteReader(data)
    try:
        read_header(reader, MAX_PIXELS)
    except FormatError:
        return data
    end = reader.position + 4
    checksum = zlib.crc32(data[end:], zlib.crc32(data[: reader.position]))
    return data[: reader.position] + checksum.to_bytes(4, "little") + data[end:]


class Limits:
    """Checks the time of each file and the memory of all."""

    def __init__(self) -> None:
        self.peak = self._peak()

    @staticmethod
    def _peak() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def check(self, started: float, data: bytes) -> None:
        assert time.process_time() - started < SECONDS, data.hex()
        assert self._peak() - self.peak < MEGABYTES, data.hex()


@pytest.fixture
def limits() -> Limits:
    return Limits()


def cases(seed: int, count: int, kinds: Sequence[str] = KINDS) -> Iterator[tuple[str, np.random.Generator]]:
    """Kinds in turn, each with its own random numbers."""
    for i in range(count):
        yield kinds[i % len(kinds)], np.random.default_rng([seed, i])


def every_truncation_is_noticed(data: bytes) -> None:
    decode_file(data)
    for count in range(len(data)):
        with pytest.raises(FormatError):
            decode_file(data[:count])


def damage_gives_an_error_or_the_image(
    files: dict[str, bytes], damage: Iterator[tuple[str, np.random.Generator]], limits: Limits
) -> None:
    whole = {kind: picture(decode_file(data)) for kind, data in files.items()}
    for kind, rng in damage:
        damaged = corrupt(files[kind], rng)
        started = time.process_time()
        with suppress(FormatError):
            assert picture(decode_file(damaged)) == whole[kind], damaged.hex()
        limits.check(started, damaged)


@pytest.mark.parametrize("kind", KINDS)
def test_every_truncation_is_noticed(files: dict[str, bytes], kind: str) -> None:
    every_truncation_is_noticed(files[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_every_flipped_bit_is_noticed(files: dict[str, bytes], kind: str) -> None:
    """All bits of the header, and one of every byte behind it."""
    data = files[kind]
    for at in range(len(data)):
        for bit in range(8) if at < 30 else (at % 8,):
            damaged = bytearray(data)
            damaged[at] ^= 1 << bit
            with pytest.raises(FormatError):
                decode_file(bytes(damaged))


def test_damage_gives_an_error_or_the_image(files: dict[str, bytes], limits: Limits) -> None:
    damage_gives_an_error_or_the_image(files, cases(1, COUNT), limits)


def test_forged_files_give_an_error_or_some_image(files: dict[str, bytes], limits: Limits) -> None:
    """Damage under a checksum that fits: nothing vouches for the image, but nothing else may go wrong."""
    images = 0
    for kind, rng in cases(2, COUNT // 2):
        forged = sealed(corrupt(files[kind], rng))
        started = time.process_time()
        try:
            image = decode_file(forged)
            header = peek(forged)
            assert (image.mode, image.size) == (header.image_mode, (header.width, header.height)), forged.hex()
            images += 1
        except (FormatError, ModelError):
            pass
        limits.check(started, forged)
    assert images > COUNT // 20, "hardly any forgery gets as far as the coded words"


def test_damaged_files_can_be_read_in_part_or_not_at_all(files: dict[str, bytes], limits: Limits) -> None:
    for kind, rng in cases(3, COUNT // 2):
        damaged = corrupt(files[kind], rng)
        started = time.process_time()
        try:
            image = decode_file(damaged, allow_truncated=True)
            assert image.size == (peek(damaged).width, peek(damaged).height), damaged.hex()
        except (FormatError, ModelError):
            pass
        limits.check(started, damaged)


def cuts(damaged: bytes) -> int:
    """How many cuts a damaged file has if its checksum is forged: whole files of their modes; without that, none."""
    made = 0
    for mode in (Mode.RS1, Mode.CG):
        with pytest.raises((FormatError, ModelError, InputError)):
            cut_file(damaged, mode)
        with suppress(FormatError, ModelError, InputError):
            shorter = cut_file(sealed(damaged), mode)
            assert open_file(shorter).header.mode is mode, damaged.hex()
            made += 1
    return made


def test_damaged_files_are_not_cut(files: dict[str, bytes]) -> None:
    assert sum(cuts(corrupt(files[kind], rng)) for kind, rng in cases(4, COUNT // 2))


def forgeries(container: Container) -> Iterator[tuple[str, Container]]:
    """What a forger would try: words that no encoder writes, sizes that are not the image's."""
    header, streams = container.header, container.streams
    none = np.zeros(0, np.uint32)
    for value in (0, 1, 2**32 - 1):
        filled = tuple((np.full(len(words), value, np.uint32),) for (words,) in streams)
        yield f"words {value:x}", replace(container, streams=filled)
    yield "no words", replace(container, streams=((none,),) * len(streams))
    yield "a million words", replace(container, streams=(*streams[:-1], (np.ones(10**6, np.uint32),)))
    for size in ((1, 1), (2, 512), (100, 3), (200, 200)):
        yield f"size {size}", replace(container, header=replace(header, width=size[0], height=size[1]))
    for size in ((513, 1), (2**14, 2**14), (2**24, 16), (1, 2**24)):
        yield f"too many tiles {size}", replace(container, header=replace(header, width=size[0], height=size[1]))
    for quality in (1, 100):
        yield f"quality {quality}", replace(container, header=replace(header, quality=quality))
    for mode in ("L", "RGB", "RGBA", "P", "1"):
        yield f"image mode {mode}", replace(container, header=replace(header, image_mode=mode))
    yield "an alpha plane", replace(container, side=b"\x00\x80")
    yield "metadata", replace(container, metadata=b"nonsense")


@pytest.mark.parametrize("kind", ["rs2", "cr", "lossless", "seeded", "grey and alpha"])
def test_forged_parts(files: dict[str, bytes], kind: str, limits: Limits) -> None:
    for what, forged in forgeries(open_file(files[kind])):
        data = pack(forged)
        started = time.process_time()
        try:
            image = decode_file(data)
            assert image.size == (forged.header.width, forged.header.height), what
            assert "too many tiles" not in what
        except (FormatError, ModelError):
            pass
        assert time.process_time() - started < SECONDS, what
        limits.check(started, data[:100])
