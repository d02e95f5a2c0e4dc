"""The container: literal vectors, one for each error, properties, and a second reader of docs/format.md."""

from __future__ import annotations

import contextlib
import re
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfcodec.container import (
    IMAGE_MODES,
    Container,
    Header,
    cut,
    header_bytes,
    pack,
    peek,
    section_bytes,
    unpack,
)
from selfcodec.errors import FormatError, InputError, ModelError, TruncatedError
from selfcodec.modes import Mode, default_level, has_level, sent_variables

K = 2
GOLDEN = "93 5356100c 201f5e1f c0dec374 85180101 01010101 01000000 ffffffff 03000000 04000000 05000000 06000000"
GOLDEN_STORED = "9353561425010101c72358916d00616263"
MODEL = bytes.fromhex("5e1fc0de")
FORMAT_PAGE = Path(__file__).parents[1] / "docs" / "format.md"


def sections(model_id: bytes, mode: Mode, level: int) -> tuple[str, ...]:
    """Stand in for the zoo: every model has K = 2."""
    return sent_variables(mode, K, level)


def one_level(model_id: bytes, mode: Mode, level: int) -> tuple[str, ...]:
    """Stand in for the zoo: every model has K = 1."""
    return sent_variables(mode, 1, level)


def streams(*counts: tuple[int, ...]) -> tuple[tuple[np.ndarray, ...], ...]:
    """Return sections of the given word counts, filled with recognisable words."""
    rng = np.random.default_rng(sum(map(sum, counts)))
    return tuple(tuple(rng.integers(0, 2**32, n, dtype=np.uint32) for n in section) for section in counts)


def example() -> Container:
    """Return the worked example of docs/format.md."""
    header = Header(Mode.CG, "RGBA", 300, 2, MODEL, level=1, quality=70)
    u, y = np.array([0x00010203], np.uint32), np.array([0x89ABCDEF, 0x42], np.uint32)
    return Container(header, ("u", "y1"), ((u,), (y,)), side=b"\x00\x80")


def lossless(tiles: int = 2, side: bytes = b"", metadata: bytes = b"") -> Container:
    """Return a lossless K = 2 file with some empty streams."""
    counts = [tuple(1 + 3 * v * (t % 2) for t in range(tiles)) for v in range(6)]
    header = Header(Mode.LOSSLESS, "RGB", 200, 100, MODEL)
    return Container(header, sections(MODEL, Mode.LOSSLESS, 0), streams(*counts), side, metadata)


def assert_same(left: Container, right: Container) -> None:
    assert replace(left, streams=()).__dict__ == replace(right, streams=()).__dict__
    as_lists = [[[w.tolist() for w in section] for section in c.streams] for c in (left, right)]
    assert as_lists[0] == as_lists[1]


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
    require(version == 1 and flags < 8 and mode < 6 and image_mode < 6)
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
    "image mode 6": ("93 53 56 10 34 01 01", 4, "0x34"),
    "reserved mode bit 6": ("93 53 56 10 65 01 01", 4, "0x65"),
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
    part = cut(whole, kept, mode, level)
    data, shorter = pack(whole), pack(part)
    assert data[header_bytes(whole) :].startswith(shorter[header_bytes(part) :])
    assert_same(unpack(shorter, sections), part)
    assert part.header == replace(whole.header, mode=mode, level=level)
    cut_short = data[: header_bytes(whole) + sum(section_bytes(part).values())]
    if mode is not Mode.LOSSLESS:
        rescued = unpack(cut_short, sections, allow_truncated=True)
        assert pack(cut(rescued, kept, mode, level)) == shorter


def test_cut_refuses_what_is_no_prefix() -> None:
    for kept in ((), ("u", "z2"), (*sections(MODEL, Mode.LOSSLESS, 0), "x")):
        with pytest.raises(InputError, match="no prefix"):
            cut(lossless(), kept, Mode.RS2, 0)


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
        {"image_mode": "CMYK"},
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


def test_default_levels_cost_nothing() -> None:
    for mode in (Mode.CG, Mode.CR):
        names = sections(MODEL, mode, 1)
        container = Container(Header(mode, "L", 9, 9, MODEL, 1), names, streams(*[(1,)] * len(names)))
        assert pack(container)[3] == 0x10
    assert default_level(Mode.CR, K) == 1
