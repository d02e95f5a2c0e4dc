"""What the container refuses beside the files of `tests/vectors/bad`, and what no file can hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sv_files import MODEL, lossless, sections, streams

from selfcodec.errors import FormatError, InputError, ModelError
from selfcodec.format.container import Container, pack, unpack
from selfcodec.format.header import Header, peek
from selfcodec.modes import Mode


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
        {"image_mode": "LAB"},
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
