"""Conformance: the files of `tests/vectors` are read as their headers say, by the package and by the second reader.

`python tests/test_vectors.py` writes the good ones that are missing; it never changes those that are there.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image
from second_reader import check_by_the_page, read_by_the_page
from skimage import data as photographs
from sv_files import sections
from vector_files import BAD, GOOD, Vector, metadata_of, pixels_of

from selfcodec.decoding import decode_file, open_file
from selfcodec.encoding import encode_picture
from selfcodec.errors import FormatError
from selfcodec.format.container import Container, pack, unpack
from selfcodec.format.header import IMAGE_MODES, peek
from selfcodec.images import AnyImage, from_image
from selfcodec.images.deep import image_of
from selfcodec.modes import Mode
from selfcodec.settings import Settings
from selfcodec.zoo import find_model, model_by_id

IMAGES = ("1", "L", "LA", "P", "RGB", "RGBA")


def described(data: bytes) -> dict[str, str]:
    """A header's fields that follow from the file."""
    header, image = peek(data), decode_file(data)
    fields = {"mode": str(header.mode), "image": f"{header.image_mode} {header.width}x{header.height}"}
    if header.model_id:
        fields |= {"model": header.model_id.hex(), "transformations": str(model_by_id(header.model_id).levels)}
    fields |= {"pixels": pixels_of(image), "metadata": metadata_of(image)}
    return {name: value for name, value in fields.items() if value}


@pytest.mark.parametrize("name", GOOD.names())
def test_good_file(name: str) -> None:
    vector = GOOD.read(name)
    assert described(vector.data) == {key: vector.fields[key] for key in vector.fields if key != "scenario"}
    fields, _ = read_by_the_page(vector.data, int(vector.fields.get("transformations", 0)))
    mode, image_mode, width, height, model_id, *_ = fields["header"]  # type: ignore[misc]
    assert (str(Mode(mode)), f"{image_mode} {width}x{height}") == (vector.fields["mode"], vector.fields["image"])
    assert model_id.hex() == vector.fields.get("model", "")


@pytest.mark.parametrize("name", BAD.names())
def test_bad_file(name: str) -> None:
    vector = BAD.read(name)
    of_container = vector.fields["part"] == "container"
    read = partial(unpack, sections_for=sections) if of_container else decode_file
    with pytest.raises(FormatError, match=re.escape(vector.fields["error"])) as caught:
        read(vector.data)
    assert str(caught.value.offset) == vector.fields.get("offset", "None")
    if of_container:
        with pytest.raises((ValueError, IndexError)):
            check_by_the_page(vector.data, 2)


def test_every_mode_and_image_mode_and_flag_is_there() -> None:
    found = [peek(GOOD.read(name).data) for name in GOOD.names()]
    assert {header.mode for header in found} == set(Mode)
    assert {header.image_mode for header in found} == set(IMAGE_MODES)
    assert {GOOD.read(name).data[3] & flag for name in GOOD.names() for flag in (1, 2, 4)} == {0, 1, 2, 4}


def pictures() -> Iterator[tuple[str, str, AnyImage, Settings]]:
    """Names and sentences of the scenarios, with what is coded in them."""
    cat = Image.fromarray(photographs.chelsea()[100:124, 120:150])
    alpha = Image.fromarray(photographs.camera()[:24, :30])
    for mode in Mode:
        if mode is not Mode.STORED:
            yield f"mode-{mode}", f"mode {mode} of a photograph", cat, Settings(mode)
    yield "quality", "a quality other than 50", cat, Settings(Mode.CR, quality=80)
    yield "seed", "what is not sent is drawn from a seed", cat, Settings(Mode.CR, seed=2**32 - 1)
    yield "adapting", "a lossless image, with what is learned of it on the way", cat, Settings(effort=1)
    yield "tiles", "two tiles, each with a stream of its own", cat.resize((300, 4)), Settings()
    yield "one-pixel", "one pixel", cat.crop((0, 0, 1, 1)), Settings(Mode.RS1)
    for mode in IMAGES:
        image = cat.convert(mode)
        if "A" in mode:
            image.putalpha(alpha)
        yield f"image-mode-{mode}", f"a lossless image of mode {mode}", image, Settings()
    opaque = cat.copy()
    opaque.putalpha(9)
    yield "constant-alpha", "an alpha plane of one value", opaque, Settings()
    keyed = cat.convert("L")
    keyed.info["transparency"] = 100
    yield "transparent-grey", "a grey level that is transparent", keyed, Settings()
    tagged, exif = cat.crop((0, 0, 4, 4)), Image.Exif()
    exif[0x010E] = "a cat"
    tagged.info |= {"icc_profile": bytes(range(200)), "exif": exif.tobytes(), "xmp": b"<x/>"}
    yield "metadata", "ICC profile, EXIF and XMP", tagged, Settings()
    chunked = cat.crop((0, 0, 4, 4))
    chunked.info["png_chunks"] = ((b"gAMA", (100000).to_bytes(4, "big")), (b"tEXt", b"Title\0a cat"))
    yield "png-chunks", "a gamma and a text", chunked, Settings()
    deep = (
        np.dstack((np.asarray(cat), np.asarray(alpha))).astype(np.uint16) * 257
        + np.arange(30, dtype=np.uint16)[:, None]
    )
    for mode, channels in {"I;16": [0], "LA;16": [0, 3], "RGB;16": [0, 1, 2], "RGBA;16": [0, 1, 2, 3]}.items():
        yield (
            f"image-mode-{mode.replace(';', '-')}",
            f"an image of mode {mode}",
            image_of(deep[:, :, channels]),
            Settings(),
        )
    yield "image-mode-CMYK", "an image of mode CMYK", cat.convert("CMYK"), Settings()
    noise = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    yield "stored-raw", "noise, stored as raw samples", Image.fromarray(noise), Settings()
    samples = np.random.default_rng(0).integers(0, 65536, (3, 5, 3), np.uint16)
    yield "stored-raw-16", "noise of 16 bits a sample, stored as raw samples", image_of(samples), Settings()
    ink = Image.fromarray(np.dstack((noise, noise[..., 0])), "CMYK")
    yield "stored-raw-CMYK", "noise of inks, stored as raw samples", ink, Settings()
    page = np.full((40, 60, 3), 255, np.uint8)
    page[10:12, 5:50] = page[20:22, 5:40] = 0
    yield "stored-flat", "a drawing, stored as PNG or WebP", Image.fromarray(page), Settings()


def forgeries() -> Iterator[tuple[str, str, Container]]:
    """Files whose containers are right and whose payloads are not."""
    opened = {name: open_file(GOOD.read(name).data) for name in GOOD.names()}
    lossless, grey, tiles = opened["mode-lossless"], opened["image-mode-LA"], opened["tiles"]
    last = (*lossless.streams[-1][:-1], np.append(lossless.streams[-1][-1], np.uint32(1)))
    yield "words-left-over", "words follow the last pixel", replace(lossless, streams=(*lossless.streams[:-1], last))
    joined = tuple((np.concatenate(section),) for section in tiles.streams)
    yield "too-few-streams", "one stream for two tiles", replace(tiles, streams=joined)
    yield "alpha-missing", "an LA image without alpha", replace(grey, side=b"")
    yield "alpha-too-much", "an RGB image with alpha", replace(lossless, side=b"\x00\x80")
    yield "alpha-unknown", "an alpha plane of no known kind", replace(grey, side=b"\x02\x80")
    yield "alpha-short", "an alpha plane of too few rows", replace(grey, side=b"\x01" + zlib.compress(bytes(23 * 31)))
    yield "alpha-long", "an alpha plane of too many rows", replace(grey, side=b"\x01" + zlib.compress(bytes(25 * 31)))
    for name, sentence, records in (
        ("empty", "metadata without a record", b""),
        ("tag-0", "a record of no known tag", b"\x00\x01\0\0\0x"),
        ("twice", "two ICC profiles", b"\x01\x01\0\0\0x" * 2),
        ("descending", "EXIF after XMP", b"\x03\x01\0\0\0x\x02\x01\0\0\0x"),
        ("length-0", "a record of no bytes", b"\x01\0\0\0\0"),
        ("cut", "a record that ends early", b"\x01\x02\0\0\0x"),
    ):
        yield f"metadata-{name}", sentence, replace(lossless, metadata=zlib.compress(records))
    yield "metadata-no-stream", "metadata that are no zlib stream", replace(lossless, metadata=b"nonsense")
    chunk = b"tEXt\x02\0\0\0a\0"
    for name, sentence, record in (
        ("many-chunks", "more chunks than are allowed", chunk * 4097),
        ("xmp-as-text", "XMP as a text", b"tEXt\x12\0\0\0XML:com.adobe.xmp\0"),
        ("chunk-twice", "a gamma twice", b"gAMA\x04\0\0\0\0\1\x86\xa0" * 2),
        ("chunk-unknown", "a chunk that metadata do not hold", b"tRNS\x02\0\0\0\0\0"),
        ("chunk-cut", "a chunk that ends early", b"gAMA\x04\0\0\0\0"),
    ):
        packed = zlib.compress(b"\x04" + len(record).to_bytes(4, "little") + record)
        yield f"metadata-{name}", sentence, replace(lossless, metadata=packed)
    inks = opened["image-mode-CMYK"]
    yield "stored-no-jpegxl", "a stored JPEG XL that is none", replace(inks, stored=b"\x03" + bytes(9))
    yield (
        "stored-jpegxl-of-another-size",
        "a stored JPEG XL of another image",
        replace(inks, header=replace(inks.header, width=24, height=30)),
    )
    stored = opened["stored-raw"]
    yield "stored-unknown", "a stored image of no known form", replace(stored, stored=b"\x7f" + stored.stored[1:])
    yield "stored-short", "raw samples that end early", replace(stored, stored=stored.stored[:-1])
    yield "stored-no-png", "a stored PNG that is none", replace(stored, stored=b"\x01" + stored.stored[1:])
    yield "stored-no-webp", "a stored WebP that is none", replace(stored, stored=b"\x02" + stored.stored[1:])
    yield "stored-raw-palette", "raw samples of mode P", replace(stored, header=replace(stored.header, image_mode="P"))


def error_of(data: bytes) -> dict[str, str]:
    try:
        decode_file(data)
    except FormatError as error:
        where = {} if error.offset is None else {"offset": str(error.offset)}
        return {"error": str(error).partition(" (at byte")[0]} | where
    raise SystemExit("a forged file was read")


def main() -> None:
    """Writes the files that are missing."""
    for name, sentence, image, settings in pictures():
        if name not in GOOD.names():
            model = find_model("cifar10-downscale" if settings.mode is not Mode.LOSSLESS else "photo")
            data = encode_picture(from_image(image), settings, model, fallback=name.startswith("stored")).data
            GOOD.write(name, Vector({"scenario": sentence} | described(data), data))
    for name, sentence, container in forgeries():
        if name not in BAD.names():
            data = pack(container)
            BAD.write(name, Vector({"scenario": sentence, "part": "payload"} | error_of(data), data))


if __name__ == "__main__":
    main()
