"""Alpha: round trips, refusals, and damaged bytes that give FormatError only."""

from __future__ import annotations

import contextlib
import zlib

import numpy as np
import pytest
from damage import fuzz
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from random_images import noise

from selfcodec.arrays import UInt8
from selfcodec.errors import FormatError, InputError
from selfcodec.format.sidedata import pack_alpha, unpack_alpha

SIZES = [(1, 1), (1, 1000), (31, 33)]


@settings(deadline=None)
@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_alpha_round_trip(alpha: UInt8) -> None:
    height, width = alpha.shape
    back = unpack_alpha(pack_alpha(alpha), width, height)
    assert back.dtype == np.uint8
    assert np.array_equal(back, alpha)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_alpha_of_noise_and_of_masks(width: int, height: int) -> None:
    rng = np.random.default_rng(3)
    ramp = np.add.outer(np.arange(height), np.arange(width)).astype(np.uint8)
    for alpha in (rng.integers(0, 256, (height, width), np.uint8), ramp, np.asarray(ramp % 64 // 32 * 255)):
        packed = pack_alpha(alpha.astype(np.uint8))
        assert len(packed) <= alpha.size + height + 30
        assert np.array_equal(unpack_alpha(packed, width, height), alpha)


def test_constant_alpha_takes_two_bytes() -> None:
    assert pack_alpha(np.full((500, 3), 77, np.uint8)) == b"\x00\x4d"
    assert (unpack_alpha(b"\x00\x4d", 3, 500) == np.full((500, 3), 77)).all()


@pytest.mark.parametrize("shape", [(0, 3), (3,), (2, 2, 1)])
def test_pack_alpha_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="uint8"):
        pack_alpha(np.zeros(shape, np.uint8))


SCANLINES = b"\x00abc\x02def"

BAD_ALPHA = {
    "empty": b"",
    "unknown kind": b"\x02\x00",
    "constant without a value": b"\x00",
    "constant with two values": b"\x00\x01\x02",
    "no stream": b"\x01",
    "not zlib": b"\x01abcdef",
    "stream cut": b"\x01" + zlib.compress(SCANLINES)[:-1],
    "stream and more": b"\x01" + zlib.compress(SCANLINES) + b"!",
    "a byte too few": b"\x01" + zlib.compress(SCANLINES[:-1]),
    "a byte too many": b"\x01" + zlib.compress(SCANLINES + b"!"),
    "no such filter": b"\x01" + zlib.compress(b"\x05abc\x00def"),
    "bomb": b"\x01" + zlib.compress(bytes(10**7)),
}


def test_alpha_of_hand_made_scanlines() -> None:
    alpha = unpack_alpha(b"\x01" + zlib.compress(SCANLINES), 3, 2)
    assert alpha.tolist() == [[97, 98, 99], [(97 + 100) % 256, (98 + 101) % 256, (99 + 102) % 256]]


@pytest.mark.parametrize("name", BAD_ALPHA)
def test_bad_alpha(name: str) -> None:
    with pytest.raises(FormatError):
        unpack_alpha(BAD_ALPHA[name], 3, 2)


def test_damaged_alpha() -> None:
    alpha = np.asarray(noise("L", (31, 33)))
    fuzz(pack_alpha(alpha), lambda data: unpack_alpha(data, 31, 33))


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_give_format_errors(data: bytes) -> None:
    for start in (b"", b"\x00", b"\x01"):
        with contextlib.suppress(FormatError):
            unpack_alpha(start + data, 3, 2)
