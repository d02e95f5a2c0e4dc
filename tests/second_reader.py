"""A second reader of the container, written from docs/format.md and nothing else."""

from __future__ import annotations

import zlib

IMAGE_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "LA;16", "RGB;16", "RGBA;16", "CMYK")


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
    mode, image_mode, adapting = kind % 8, kind // 8 % 16, kind >= 128
    require(version == 1 and flags < 8 and mode < 6 and image_mode < 11 and (mode == 4 or not adapting))
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
    side, metadata = octets(side_size), octets(metadata_size)
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
        "header": (mode, IMAGE_MODES[image_mode], width, height, model, *chosen, adapting),
        "side": side,
        "metadata": metadata,
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


def check_by_the_page(data: bytes, transforms: int) -> None:
    """The same with the checksum."""
    _, crc_at = read_by_the_page(data, transforms)
    if int.from_bytes(data[crc_at : crc_at + 4], "little") != zlib.crc32(data[:crc_at] + data[crc_at + 4 :]):
        raise ValueError(crc_at)
