"""The container: literal vectors, properties, and a second reader of docs/format.md."""

from __future__ import annotations

import contextlib
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from second_reader import read_by_the_page
from sv_files import MODEL, K, assert_same, example, sections, streams

from selfcodec.errors import FormatError
from selfcodec.format.container import Container, header_bytes, pack, peek_metadata, section_bytes, unpack
from selfcodec.format.header import IMAGE_MODES, Header, peek
from selfcodec.modes import Mode, default_level, has_level, sent_variables

GOLDEN = "93 5356100c 201f5e1f c0dec374 85180101 01010101 01000000 ffffffff 03000000 04000000 05000000 06000000"
GOLDEN_STORED = "9353561425010101c72358916d00616263"
FORMAT_PAGE = Path(__file__).parents[2] / "docs" / "format.md"


def one_level(model_id: bytes, mode: Mode, level: int) -> tuple[str, ...]:
    """Stand in for the zoo: every model has K = 1."""
    return sent_variables(mode, 1, level)


def fields_of(container: Container) -> dict[str, object]:
    h = container.header
    fields: dict[str, object] = {
        "header": (int(h.mode), h.image_mode, h.width, h.height, h.model_id, h.level, h.quality, h.seed, h.adapting),
        "side": container.side,
        "metadata": container.metadata,
    }
    if h.mode is Mode.STORED:
        fields["stored"] = container.stored
    for name, section in zip(container.variables, container.streams, strict=True):
        fields[name] = [words.tolist() for words in section]
    return fields


@st.composite
def containers(draw: st.DrawFn) -> Container:
    mode = draw(st.sampled_from(Mode))
    stored = mode is Mode.STORED
    level = draw(st.integers(1, K)) if has_level(mode) else 0
    header = Header(
        mode,
        draw(st.sampled_from(IMAGE_MODES)),
        draw(st.integers(1, 2**14)),
        draw(st.integers(1, 2**14)),
        b"" if stored else draw(st.binary(min_size=4, max_size=4)),
        level,
        50 if stored else draw(st.sampled_from((1, 50, 100))),
        None if stored else draw(st.none() | st.integers(0, 2**32 - 1)),
        mode is Mode.LOSSLESS and draw(st.booleans()),
    )
    names = sent_variables(mode, K, level)
    tiles = draw(st.integers(1, 3))
    counts = [tuple(draw(st.sampled_from((0, 1, 5, 200))) for _ in range(tiles)) for _ in names]
    side, metadata = draw(st.binary(max_size=5)), draw(st.binary(max_size=200))
    stored_image = draw(st.binary(min_size=1, max_size=9)) if stored else b""
    return Container(header, names, streams(*counts), side, metadata, stored_image)


@settings(deadline=None)
@given(containers())
def test_round_trip_and_the_second_reader_agrees(container: Container) -> None:
    data = pack(container)
    back = unpack(data, sections)
    assert_same(back, container)
    assert peek(data[:64]) == container.header
    assert peek_metadata(data) == container.metadata
    fields, crc_at = read_by_the_page(data, K)
    assert fields == fields_of(container)
    rest = data[:crc_at] + data[crc_at + 4 :]
    assert int.from_bytes(data[crc_at : crc_at + 4], "little") == zlib.crc32(rest)
    assert header_bytes(container) + sum(section_bytes(container).values()) == len(data)


@settings(deadline=None)
@given(containers(), st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=3))
def test_both_readers_take_the_same_files(container: Container, changes: list[tuple[int, int]]) -> None:
    """Change header bytes and put the checksum right, so that only the other rules decide."""
    data = bytearray(pack(container))
    for place, value in changes:
        data[place % (header_bytes(container) + len(container.side) + len(container.metadata))] = value
    try:
        expected, crc_at = read_by_the_page(bytes(data), K)
    except (ValueError, IndexError):
        with pytest.raises(FormatError):
            unpack(bytes(data), sections)
        return
    crc = zlib.crc32(bytes(data[:crc_at] + data[crc_at + 4 :]))
    data[crc_at : crc_at + 4] = crc.to_bytes(4, "little")
    assert fields_of(unpack(bytes(data), sections)) == expected


@settings(deadline=None)
@given(st.sampled_from((b"", b"\x93SV", b"\x93SV\x10\x04\x01\x01", b"\x93SV\x16\x04\x01\x01abcd")), st.binary())
def test_any_bytes_give_format_errors(start: bytes, rest: bytes) -> None:
    for allow_truncated in (False, True):
        with contextlib.suppress(FormatError):
            unpack(start + rest, sections, allow_truncated=allow_truncated)


def test_golden_bytes() -> None:
    header = Header(Mode.LOSSLESS, "L", 32, 31, MODEL)
    words = tuple((np.array([n], np.uint32),) for n in (1, 0xFFFFFFFF, 3, 4, 5, 6))
    container = Container(header, sections(MODEL, Mode.LOSSLESS, 0), words)
    assert pack(container).hex(" ", 4) == GOLDEN
    assert header_bytes(container) == 21
    stored = Container(Header(Mode.STORED, "RGB", 1, 1), stored=b"\x00abc", metadata=b"m")
    assert pack(stored).hex() == GOLDEN_STORED


def test_worked_example_of_the_format_page() -> None:
    dump = FORMAT_PAGE.read_text(encoding="utf-8").split("## Worked example")[1].split("```")[1]
    lines = re.findall(r"^ *(\d+)  ((?:[0-9a-f]{2} )+)", dump, re.MULTILINE)
    data = b""
    for offset, octets in lines:
        assert int(offset) == len(data)
        data += bytes.fromhex(octets)
    assert data.hex(" ") == pack(example()).hex(" ")
    assert_same(unpack(data, one_level), example())
    assert fields_of(example()) == read_by_the_page(data, 1)[0]


def test_words_of_any_layout_and_streams_of_nothing() -> None:
    words = np.arange(20, dtype=np.uint32)[::2]
    header = Header(Mode.RS1, "L", 8, 8, MODEL)
    data = pack(Container(header, ("u",), ((words, words[:0], words.astype(">u4").astype(np.uint32)),)))
    back = unpack(data, sections).streams[0]
    assert [w.tolist() for w in back] == [words.tolist(), [], words.tolist()]
    assert all(w.dtype == np.uint32 and w.flags.c_contiguous and w.flags.aligned for w in back)


def test_default_levels_cost_nothing() -> None:
    for mode in (Mode.CG, Mode.CR):
        names = sections(MODEL, mode, 1)
        container = Container(Header(mode, "L", 9, 9, MODEL, 1), names, streams(*[(1,)] * len(names)))
        assert pack(container)[3] == 0x10
    assert default_level(Mode.CR, K) == 1
