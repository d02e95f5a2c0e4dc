"""Whole files of lossy photographs: every mode, size and kind of image, every setting of execution, cuts and sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tiny_lossy
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.decoding import cut_file, decode_file, open_file
from selfcodec.encoding import Encoded, encode_picture
from selfcodec.errors import FormatError, InputError
from selfcodec.fidelity import decibels
from selfcodec.format.container import header_bytes, pack
from selfcodec.images import from_image
from selfcodec.modes import DEFAULT_QUALITY, Mode
from selfcodec.networks.integer import Runtime
from selfcodec.parallel import set_threads
from selfcodec.settings import Settings
from selfcodec.tiles import tile_boxes
from selfcodec.zoo import Model

MODES = (Mode.RS1, Mode.RS2, Mode.CG, Mode.CR)
SIZES = [(1, 1), (2, 1), (16, 16), (31, 33), (70, 50), (20, 560)]
"""(width, height): the last one has bands of rows."""
RUNTIMES = (
    Runtime(batch=1, window=512),
    Runtime(batch=64, window=16),
    Runtime(batch=3, window=32),
    Runtime(batch=5, window=112),
)
TILE = 48
STATE_BYTES = 8
"""An ANS coder ends with a state of two words, which hold part of what was coded."""


def image(mode: str, width: int, height: int) -> Image.Image:
    """A photograph, of one of the modes that have a model; with an alpha plane that hides some of it."""
    found = Image.fromarray(tiny_lossy.photo(height, width)).convert(mode)
    if mode in ("LA", "RGBA"):
        rows, columns = np.mgrid[:height, :width]
        found.putalpha(Image.fromarray(((rows * 9 + columns * 5) % 256 // 64 * 85).astype(np.uint8)))
    return found


def encode(source: Image.Image, mode: Mode, model: Model | None = None, **options: Any) -> Encoded:
    runtime = options.pop("runtime", Runtime())
    settings = Settings(mode, **options)
    model = model or tiny_lossy.model()
    return encode_picture(from_image(source), settings, model, runtime, verify=False, expect=True, fallback=False)


def colours(found: Image.Image) -> UInt8:
    """(H, W, 3)."""
    return np.asarray(found.convert("RGBA"))[..., :3]


def test_the_model_is_for_lossy_modes() -> None:
    model = tiny_lossy.model()
    assert model.modes == MODES
    with pytest.raises(InputError, match="tiny-lossy does not offer mode lossless"):
        encode_picture(from_image(image("RGB", 9, 9)), Settings(), model)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("size", SIZES)
def test_files_decode_to_what_the_encoder_expects(mode: Mode, kind: str, size: tuple[int, int]) -> None:
    source = image(kind, *size)
    encoded = encode(source, mode, quality=70)
    assert open_file(encoded.data, model=tiny_lossy.model()).header.mode is mode
    found = decode_file(encoded.data, model=tiny_lossy.model())
    assert (found.mode, found.size) == (kind, size)
    assert encoded.expected is not None
    assert (colours(found) == encoded.expected).all()
    if kind in ("LA", "RGBA"):
        assert found.getchannel("A").tobytes() == source.getchannel("A").tobytes()


@pytest.mark.parametrize("mode", MODES)
def test_seeds_draw_what_is_not_sent(mode: Mode) -> None:
    source = image("RGB", 40, 50)
    files = [encode(source, mode, seed=seed) for seed in (None, 1, 2)]
    for made in files:
        assert (colours(decode_file(made.data, model=tiny_lossy.model())) == made.expected).all()
    first, drawn, other = (made.expected for made in files)
    assert first is not None
    if mode is Mode.CR:  # nothing that can be drawn is left
        assert (first == drawn).all()
    else:
        assert (first != drawn).any()
        assert (drawn != other).any()


def test_quality_chooses_size_and_fidelity() -> None:
    source = image("RGB", 96, 112)
    for mode in (Mode.RS2, Mode.CR):
        made = [encode(source, mode, quality=q) for q in (1, 40, 80)]
        sizes = [len(m.data) for m in made]
        errors = [np.square(m.expected.astype(float) - colours(source)).mean() for m in made if m.expected is not None]
        assert sizes[0] < sizes[1] < sizes[2]
        assert decibels(errors[0]) < decibels(errors[1]) < decibels(errors[2])
        assert [open_file(m.data, model=tiny_lossy.model()).header.quality for m in made] == [1, 40, 80]


@pytest.mark.parametrize("mode", [Mode.RS1, Mode.CG])
def test_files_say_quality_50_where_the_quality_tunes_nothing(mode: Mode) -> None:
    made = {encode(image("RGB", 40, 50), mode, quality=q).data for q in (1, 50, 99)}
    assert len(made) == 1
    assert open_file(made.pop(), model=tiny_lossy.model()).header.quality == DEFAULT_QUALITY


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["L", "LA"])
def test_grey_pictures_stay_grey_and_cost_less(mode: Mode, kind: str) -> None:
    grey = image(kind, 70, 50)
    encoded = encode(grey, mode)
    found = decode_file(encoded.data, model=tiny_lossy.model())
    assert found.mode == kind
    assert encoded.expected is not None
    assert (encoded.expected == encoded.expected[..., :1]).all()
    if mode in (Mode.CG, Mode.CR):  # of y one channel alone is coded
        colour = encode(grey.convert("RGBA" if kind == "LA" else "RGB"), mode)
        assert encoded.model_bits["y1"] < 0.5 * colour.model_bits["y1"]


@pytest.mark.parametrize("kind", ["LA", "RGBA"])
@pytest.mark.parametrize("mode", MODES)
def test_hidden_colours_do_not_change_the_file(kind: str, mode: Mode) -> None:
    source = image(kind, 50, 41)
    samples = np.asarray(source).copy()
    hidden = samples[..., -1] == 0
    assert 0.1 < hidden.mean() < 0.9
    samples[hidden, :-1] = np.random.default_rng(0).integers(0, 256, samples[hidden, :-1].shape)
    other = Image.fromarray(samples)
    assert other.tobytes() != source.tobytes()
    assert encode(other, mode).data == encode(source, mode).data
    samples[~hidden, :-1] ^= 64
    assert encode(Image.fromarray(samples), mode).data != encode(source, mode).data


def test_fully_hidden_pictures() -> None:
    source = image("RGBA", 30, 20)
    source.putalpha(0)
    assert encode(source, Mode.RS2).data == encode(Image.new("RGBA", (30, 20)), Mode.RS2).data


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("quality", [1, 50, 100])
@pytest.mark.parametrize("size", [(1, 1), (70, 50), (300, 290)])
def test_files_are_as_large_as_the_model_s_bits_say(mode: Mode, quality: int, size: tuple[int, int]) -> None:
    """A per cent and 24 bytes more, and four where the header spells out settings and a third section's size."""
    encoded = encode(image("RGB", *size), mode, quality=quality)
    bits = sum(encoded.model_bits.values())
    container = open_file(encoded.data, model=tiny_lossy.model())
    settings = 0 if encoded.quality == DEFAULT_QUALITY else 4
    assert len(encoded.data) <= 1.01 * bits / 8 + 24 + settings
    words = len(encoded.data) - header_bytes(container)
    assert bits / 8 - 1 <= words <= 1.001 * bits / 8 + STATE_BYTES


# Cuts.


@pytest.mark.parametrize(("whole", "part"), [(Mode.RS2, Mode.RS1), (Mode.CR, Mode.CG)])
@pytest.mark.parametrize("kind", ["RGB", "LA"])
@pytest.mark.parametrize("quality", [20, 50, 90])
def test_cut_files_are_those_of_the_shallower_mode(whole: Mode, part: Mode, kind: str, quality: int) -> None:
    """But for the coder's last words, which hold part of what came after; the same values come out of them."""
    model, source = tiny_lossy.model(), image(kind, 70, 50)
    data = encode(source, whole, quality=quality).data
    cut = cut_file(data, part, model=model)
    other = encode(source, part)
    expected, found = open_file(other.data, model=model), open_file(cut, model=model)
    for name in ("header", "variables", "side", "metadata"):
        assert getattr(found, name) == getattr(expected, name)
    assert found.header.quality == DEFAULT_QUALITY
    assert abs(len(cut) - len(other.data)) <= 2 * STATE_BYTES
    assert other.expected is not None
    shown = decode_file(cut, model=model)
    assert (colours(shown) == other.expected).all()
    assert decode_file(data, upto=part, model=model).tobytes() == shown.tobytes()


def test_deeper_modes_than_the_file_s_are_refused() -> None:
    data = encode(image("RGB", 20, 20), Mode.RS2).data
    with pytest.raises(InputError, match="no prefix"):
        cut_file(data, Mode.CG, model=tiny_lossy.model())


def test_a_truncated_file_shows_what_is_whole() -> None:
    """Its quality remains the file's, so that u's networks and grids do."""
    model, source = tiny_lossy.model(), image("RGB", 70, 50)
    data = encode(source, Mode.CR, quality=80).data
    with pytest.raises(FormatError):
        decode_file(data[:-4], model=model)
    found = decode_file(data[:-4], model=model, allow_truncated=True)
    assert (found.mode, found.size) == (source.mode, source.size)
    assert found.tobytes() != decode_file(data, model=model).tobytes()


def test_a_file_that_claims_to_send_x_is_refused() -> None:
    model = tiny_lossy.model()
    container = open_file(encode(image("RGB", 20, 20), Mode.CR).data, model=model)
    header = replace(container.header, mode=Mode.LOSSLESS, level=0)
    streams = (*container.streams, container.streams[0])
    forged = pack(replace(container, header=header, variables=("u", "y1", "z1", "x"), streams=streams))
    with pytest.raises(FormatError, match="does not offer mode lossless"):
        decode_file(forged, model=model)


# Execution.


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(130, 77), (30, 540)])
def test_no_setting_of_execution_changes_a_byte_or_a_pixel(mode: Mode, size: tuple[int, int]) -> None:
    """There are no seams: in windows of one position of u and in whole images networks give the same."""
    model, source = tiny_lossy.model(), image("L" if mode is Mode.CG else "RGB", *size)
    encoded = encode(source, mode, quality=60, runtime=RUNTIMES[0])
    decoded = decode_file(encoded.data, model=model, runtime=RUNTIMES[0]).tobytes()
    for i, usual in enumerate(RUNTIMES[1:]):
        runtime = replace(usual, window=max(usual.window, size[1] // 8))  # there are not too many of them
        set_threads(1 + i % 2)
        try:
            again = encode(source, mode, quality=60, runtime=runtime)
            assert again.data == encoded.data
            assert (again.expected == encoded.expected).all()
            assert decode_file(encoded.data, model=model, runtime=runtime).tobytes() == decoded
        finally:
            set_threads(None)


@pytest.mark.parametrize("mode", MODES)
def test_tiles_are_coded_alone_whatever_runs_together(mode: Mode) -> None:
    """A model of this kind with tiles: batches of them give the same bytes, and each its own picture."""
    model, source = tiny_lossy.model(TILE), image("RGB", 150, 100)
    made = [encode(source, mode, model, quality=75, runtime=runtime) for runtime in RUNTIMES]
    assert len({m.data for m in made}) == 1
    boxes = tile_boxes(150, 100, TILE)
    assert len(open_file(made[0].data, model=model).streams[0]) == len(boxes) > 8
    for runtime in RUNTIMES:
        found = colours(decode_file(made[0].data, model=model, runtime=runtime))
        assert (found == made[0].expected).all()
    box = boxes[4]
    alone = encode(Image.fromarray(box.of(colours(source))), mode, quality=75)
    assert (box.of(found) == alone.expected).all()
