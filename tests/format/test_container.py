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
from sv_files import MODEL, K, assert_same, example, sections, streams

from selfcodec.errors import FormatError
from selfcodec.format.container import IMAGE_MODES, Container, Header, header_bytes, pack, peek, section_bytes, unpack
from selfcodec.modes import Mode, default_level, has_level, sent_variables

GOLDEN = "93 5356100c 201f5e1f c0dec374 85180101 01010101 01000000 ffffffff 03000000 04000000 05000000 06000000"
GOLDEN_STORED = "9353561425010101c72358916d00616263"
FORMAT_PAGE = Path(__file__).parents[2] / "docs" / "format.md"


def one_level(model_id: bytes, mode: Mode, level: int) -> tuple[str, ...]:
    """Stand in for the zoo: every model has K = 1."""
    return sent_variables(mode, 1, level)


def read_by_the_page(data: bytes, transforms: int) -> tuple[dict[str, object], int]:
    """Read a file as docs/format.md says; return its fields and the checksum's offset.

    The checksum itself is left to the caller. Bad files raise ValueError or IndexError.
    """
    position = 0

    def number(low: int, high: int) -> int:
        nonlocal position
        size = 1
        while data[position + size - 1] >= 128:
            size += 1
        value = sum(byte % 128 << 7 * i for i, byte in enumerate(data[position : position + size]))
        position += size
        require(size <= 5 and low <= value <= high and value < 2**32 and (size == 1 or data[position - 1] > 0))
        return value

    def octets(size: int) -> bytes:
        nonlocal position
        require(position + size <= len(data))
        position += size
        return data[position - size : position]

    def require(condition: object) -> None:
        if not condition:
            raise ValueError(position)

    require(octets(3) == bytes((0x93, 0x53, 0x56)))
    version, flags = divmod(octets(1)[0], 16)
    kind = octets(1)[0]
    mode, image_mode = kind % 8, kind // 8
    require(version == 1 and flags < 8 and mode < 6 and image_mode < 11)
    width, height = number(1, 2**24), number(1, 2**24)
    require(width * height <= 2**28)
    model = octets(4) if mode != 5 else b""
    plain: tuple[int, int, int | None] = (1 if mode in (2, 3) else 0, 50, None)
    chosen = plain
    if flags % 2:
        level, quality, seeded = octets(3)
        chosen = (level, quality, number(0, 2**32) if seeded else None)
        require(seeded < 2 and chosen != plain and 1 <= quality <= 100 and mode != 5)
    level = chosen[0]
    require(level in range(1, 16) if mode in (2, 3) else level == 0)
    side_size = number(1, 2**32) if flags & 2 else 0
    metadata_size = number(1, 2**32) if flags & 4 else 0
    crc_at = position
    octets(4)
    order = ["u"] + [f"{v}{k}" for k in range(transforms, 0, -1) for v in "yz"] + ["x"]
    names: list[str] = []
    counts: list[int] = []
    if mode != 5:
        require(mode not in (2, 3) or level <= transforms)
        names = {
            0: lambda: ["u"],
            1: lambda: [v for v in order if v[0] in "uz"],
            2: lambda: order[: order.index(f"y{level}") + 1],
            3: lambda: order[: order.index(f"y{level}") + 1] + [f"z{k}" for k in range(level, 0, -1)],
            4: lambda: order,
        }[mode]()
        tiles = number(1, 65536)
        require(tiles * len(names) - 1 <= len(data) - position)
        counts = [number(0, 2**32) for _ in range(tiles * len(names) - 1)]
    fields: dict[str, object] = {
        "header": (mode, IMAGE_MODES[image_mode], width, height, model, *chosen),
        "side": octets(side_size),
        "metadata": octets(metadata_size),
    }
    if mode == 5:
        require(position < len(data))
        fields["stored"] = octets(len(data) - position)
        return fields, crc_at
    blocks = [octets(4 * count) for count in counts]
    require((len(data) - position) % 4 == 0)
    blocks.append(octets(len(data) - position))
    numbers = [[int.from_bytes(b[i : i + 4], "little") for i in range(0, len(b), 4)] for b in blocks]
    for index, name in enumerate(names):
        fields[name] = numbers[index * tiles : (index + 1) * tiles]
    return fields, crc_at


def fields_of(container: Container) -> dict[str, object]:
    h = container.header
    fields: dict[str, object] = {
        "header": (int(h.mode), h.image_mode, h.width, h.height, h.model_id, h.level, h.quality, h.seed),
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
        data[place % header_bytes(container)] = value
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
