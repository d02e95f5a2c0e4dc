"""What the container refuses: one file for each error, and what no file can hold."""

from __future__ import annotations

import re
import zlib
from dataclasses import replace

import numpy as np
import pytest
from sv_files import MODEL, lossless, sections, streams

from selfcodec.errors import FormatError, InputError, ModelError
from selfcodec.format.container import Container, Header, pack, peek, unpack
from selfcodec.modes import Mode

STORED_1X1 = "93 53 56 10 25 01 01"
CODED_1X1 = "93 53 56 10 04 01 01 5e 1f c0 de"

BAD_FILES = {
    "empty": ("", 0, "ends in its magic"),
    "part of the magic": ("93 53", 2, "ends in its magic"),
    "not the magic": ("89 50 4e 47", 0, "not an .sv file"),
    "a short other file": ("94", 0, "not an .sv file"),
    "no version": ("93 53 56", 3, "ends in its version"),
    "version 0": ("93 53 56 00 25 01 01", 3, "version 0"),
    "version 2": ("93 53 56 20 25 01 01", 3, "version 2"),
    "reserved flag": ("93 53 56 18 25 01 01", 3, "reserved flag"),
    "no mode": ("93 53 56 10", 4, "ends in its mode"),
    "mode 6": ("93 53 56 10 26 01 01", 4, "0x26"),
    "mode 7": ("93 53 56 10 07 01 01", 4, "0x07"),
    "image mode 11": ("93 53 56 10 5d 01 01", 4, "0x5d"),
    "image mode 15": ("93 53 56 10 7d 01 01", 4, "0x7d"),
    "reserved mode bit 7": ("93 53 56 10 a5 01 01", 4, "0xa5"),
    "stored with settings": ("93 53 56 11 25 01 01 00 46 00", 4, "no settings"),
    "no width": ("93 53 56 10 25", 5, "ends in its width"),
    "width 0": ("93 53 56 10 25 00 01", 5, "width is 0"),
    "width 2**24 + 1": ("93 53 56 10 25 81 80 80 08 01", 5, "width is 16777217"),
    "width in two bytes for one": ("93 53 56 10 25 81 00 01", 5, "shortest"),
    "width of six bytes": ("93 53 56 10 25 80 80 80 80 80 01 01", 5, "longer than 5"),
    "width cut": ("93 53 56 10 25 81", 6, "ends in its width"),
    "height 0": ("93 53 56 10 25 01 00", 6, "height is 0"),
    "2**28 + 2**14 pixels": ("93 53 56 10 25 80 80 01 81 80 01", 8, "16384×16385"),
    "model id cut": ("93 53 56 10 04 01 01 5e 1f c0", 10, "ends in its model id"),
    "cg at level 0": ("93 53 56 11 22 01 01 5e 1f c0 de 00 46 00", 11, "level 0"),
    "cr at level 16": ("93 53 56 11 23 01 01 5e 1f c0 de 10 46 00", 11, "level 16"),
    "lossless at level 1": ("93 53 56 11 24 01 01 5e 1f c0 de 01 46 00", 11, "level 1"),
    "quality 0": ("93 53 56 11 24 01 01 5e 1f c0 de 00 00 00", 12, "quality is 0"),
    "quality 101": ("93 53 56 11 24 01 01 5e 1f c0 de 00 65 00", 12, "quality is 101"),
    "seed flag 2": ("93 53 56 11 24 01 01 5e 1f c0 de 00 32 02", 13, "seed flag is 2"),
    "seed 2**32": ("93 53 56 11 24 01 01 5e 1f c0 de 00 32 01 80 80 80 80 10", 14, "seed is 4294967296"),
    "defaults spelt out": ("93 53 56 11 24 01 01 5e 1f c0 de 00 32 00", 11, "all are the defaults"),
    "cg's defaults spelt out": ("93 53 56 11 22 01 01 5e 1f c0 de 01 32 00", 11, "all are the defaults"),
    "side size 0": ("93 53 56 12 25 01 01 00", 7, "side data size is 0"),
    "metadata size 0": ("93 53 56 14 25 01 01 00", 7, "metadata size is 0"),
    "level 3 of 2": ("93 53 56 11 22 01 01 5e 1f c0 de 03 32 00 CRC 01", 4, "a level from 1 to 2, not 3"),
    "no streams": (f"{CODED_1X1} CRC 00", 15, "number of streams is 0"),
    "65537 streams": (f"{CODED_1X1} CRC 81 80 04", 15, "number of streams is 65537"),
    "table beyond the end": (f"{CODED_1X1} CRC 01 00 00 00 00", 15, "does not fit"),
    "table entry beyond 32 bits": (f"{CODED_1X1} CRC 01 ff ff ff ff 1f 00 00 00 00", 16, "section table is"),
    "checksum cut": (f"{STORED_1X1} 00 00 00", 10, "ends in its checksum"),
    "side data cut": ("93 53 56 12 25 01 01 02 CRC aa", 13, "ends in its side data"),
    "words cut": (f"{CODED_1X1} CRC 01 01 00 00 00 00 aa bb cc", 24, "size that the section table gives"),
    "half a word": (f"{CODED_1X1} CRC 01 00 00 00 00 00 aa bb", 23, "size that the section table gives"),
    "huge count": (f"{CODED_1X1} CRC 01 ff ff ff ff 0f 00 00 00 00", 25, "size that the section table gives"),
    "wrong checksum": (f"{STORED_1X1} 00 00 00 00 00 aa bb cc", 7, "checksum does not match"),
    "stored nothing": (f"{STORED_1X1} CRC", 11, "cannot be read in part"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_file(name: str) -> None:
    text, offset, message = BAD_FILES[name]
    before, after = (bytes.fromhex(part) for part in (*text.split("CRC"), "")[:2])
    crc = zlib.crc32(before + after).to_bytes(4, "little") if "CRC" in text else b""
    with pytest.raises(FormatError, match=re.escape(message)) as caught:
        unpack(before + crc + after, sections)
    assert caught.value.offset == offset


def test_a_damaged_model_id_is_no_missing_model() -> None:
    def never(model_id: bytes, mode: Mode, level: int) -> tuple[str, ...]:
        raise AssertionError("asked for a model before the checksum was tested")

    for at in range(7, 11):
        data = bytearray(pack(replace(lossless(), header=Header(Mode.LOSSLESS, "RGB", 20, 10, MODEL))))
        data[at] ^= 1
        with pytest.raises(FormatError, match="checksum"):
            unpack(bytes(data), never)


def test_a_missing_model_passes_through() -> None:
    def no_model(model_id: bytes, mode: Mode, level: int) -> tuple[str, ...]:
        raise ModelError("no such model")

    with pytest.raises(ModelError, match="no such model"):
        unpack(pack(lossless()), no_model)
    with pytest.raises(FormatError, match="sends nothing"):
        unpack(pack(lossless()), lambda *_: ())


def test_the_pixel_limit_can_be_moved() -> None:
    container = Container(Header(Mode.STORED, "1", 2**15, 2**14), stored=b"\x01")
    with pytest.raises(InputError, match="pixels"):
        pack(container)
    data = pack(container, max_pixels=2**29)
    with pytest.raises(FormatError, match="exceed the limit"):
        peek(data)
    assert unpack(data, sections, max_pixels=2**29).header == container.header


@pytest.mark.parametrize(
    "change",
    [
        {"image_mode": "YCbCr"},
        {"width": 0},
        {"height": 2**24 + 1},
        {"model_id": b"abc"},
        {"level": 1},
        {"mode": Mode.CG},
        {"mode": Mode.CR, "level": 16},
        {"quality": 0},
        {"quality": 101},
        {"seed": -1},
        {"seed": 2**32},
        {"mode": Mode.STORED, "model_id": b"", "seed": 1},
    ],
)
def test_pack_refuses_bad_headers(change: dict[str, object]) -> None:
    whole = lossless()
    with pytest.raises(InputError, match="cannot hold"):
        pack(replace(whole, header=replace(whole.header, **change)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"truncated": True},
        {"stored": b"x"},
        {"variables": ("u",)},
        {"variables": (), "streams": ()},
        {"streams": streams((1,), (1,), (1,), (1,), (1,), (1, 1))},
        {"streams": ((),) * 6},
        {"streams": ((np.zeros(1, np.int64),),) * 6},
        {"streams": ((np.zeros((1, 1), np.uint32),),) * 6},
    ],
)
def test_pack_refuses_bad_bodies(change: dict[str, object]) -> None:
    with pytest.raises(InputError, match="cannot hold"):
        pack(replace(lossless(), **change))  # type: ignore[arg-type]
