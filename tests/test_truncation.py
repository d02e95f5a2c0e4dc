"""Files that were cut or corrupted: found, salvaged on request, and cut on purpose."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import pytest
from sv_files import MODEL, assert_same, example, lossless, sections

from selfcodec.errors import FormatError, InputError, TruncatedError
from selfcodec.format.container import Container, cut, header_bytes, pack, section_bytes, unpack, verify_checksum
from selfcodec.format.header import Header
from selfcodec.modes import Mode


@pytest.mark.parametrize("tiles", [1, 2])
def test_every_truncation_is_found_and_salvaged_on_request(tiles: int) -> None:
    whole = lossless(tiles, side=b"side", metadata=b"meta")
    data = pack(whole)
    sizes = section_bytes(whole)
    for size in range(len(data)):
        with pytest.raises(FormatError):
            unpack(data[:size], sections)
        ends = np.cumsum([header_bytes(whole) + 8, *(sizes[name] for name in whole.variables)])[1:-1]
        complete = int((ends <= size).sum())
        if not complete:
            with pytest.raises(TruncatedError):
                unpack(data[:size], sections, allow_truncated=True)
            continue
        part = unpack(data[:size], sections, allow_truncated=True)
        assert part.truncated
        kept = replace(whole, variables=whole.variables[:complete], streams=whole.streams[:complete])
        assert_same(replace(part, truncated=False), kept)
    assert_same(unpack(data, sections, allow_truncated=True), whole)


def test_what_is_told_of_a_file_that_is_cut_short() -> None:
    data = pack(lossless())
    with pytest.raises(TruncatedError, match=r"^the file is empty: nothing can be decoded$"):
        unpack(b"", sections)
    with pytest.raises(TruncatedError, match=r"^the file ends in its height: nothing of it can be decoded"):
        unpack(data[:7], sections)
    for check in (lambda cut: unpack(cut, sections), verify_checksum):
        with pytest.raises(FormatError, match=r"damaged or cut short$") as caught:  # where it ends nobody knows
            check(data[:-1])
        assert caught.value.offset is None


def test_random_corruption_is_always_found() -> None:
    rng = np.random.default_rng(1)
    files = [pack(lossless(t, side=b"s")) for t in (1, 3)]
    files += [pack(example()), pack(Container(Header(Mode.STORED, "P", 9, 9), stored=b"\x01png"))]
    for trial in range(6000):
        data = bytearray(files[trial % len(files)])
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            data[place] ^= int(rng.integers(1, 256))
        if bytes(data) == files[trial % len(files)]:
            continue
        with pytest.raises(FormatError):
            unpack(bytes(data), sections)
        with contextlib.suppress(FormatError):
            unpack(bytes(data), sections, allow_truncated=True)


def test_a_stored_image_is_never_salvaged() -> None:
    data = pack(Container(Header(Mode.STORED, "RGB", 1, 1), stored=b"\x00abc"))
    assert unpack(data, sections, allow_truncated=True).stored == b"\x00abc"
    with pytest.raises(TruncatedError, match="in part"):
        unpack(data[:-1], sections, allow_truncated=True)


@pytest.mark.parametrize(
    ("mode", "level"), [(Mode.RS1, 0), (Mode.CG, 2), (Mode.CG, 1), (Mode.CR, 1), (Mode.LOSSLESS, 0)]
)
def test_cut_gives_a_prefix(mode: Mode, level: int) -> None:
    whole = lossless(3, side=b"alpha", metadata=b"icc")
    kept = sections(MODEL, mode, level)
    part = cut(whole, kept, mode, level, 70)
    data, shorter = pack(whole), pack(part)
    before = len(whole.side) + len(whole.metadata)
    assert data[before + header_bytes(whole) :].startswith(shorter[before + header_bytes(part) :])
    assert_same(unpack(shorter, sections), part)
    assert part.header == replace(whole.header, mode=mode, level=level, quality=70)
    cut_short = data[: header_bytes(whole) + sum(section_bytes(part).values())]
    if mode is not Mode.LOSSLESS:
        rescued = unpack(cut_short, sections, allow_truncated=True)
        assert pack(cut(rescued, kept, mode, level, 70)) == shorter


def test_cut_refuses_what_is_no_prefix() -> None:
    for kept in ((), ("u", "z2"), (*sections(MODEL, Mode.LOSSLESS, 0), "x")):
        with pytest.raises(InputError, match="no prefix"):
            cut(lossless(), kept, Mode.RS2, 0, 50)
