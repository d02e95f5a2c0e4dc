"""Targets of rate and quality: the search, what it encodes, and what the library's functions make of them."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

import selfcodec
from selfcodec import encoding, rate_control
from selfcodec.arrays import UInt8
from selfcodec.decoding import decode_file
from selfcodec.encoding import Encoded, encode_picture
from selfcodec.errors import InputError
from selfcodec.images import Picture, from_image
from selfcodec.modes import Mode
from selfcodec.rate_control import Target, choose_settings, encode_to_target, search
from selfcodec.settings import Settings
from selfcodec.zoo import Model

pytest_plugins = ("model_fixtures",)

MOST_ATTEMPTS = 7
TARGETS: tuple[tuple[str, dict[str, Any]], ...] = (("rs2", {"bpp": 0.5}), ("rs2", {"bytes": 500}), ("cr", {"psnr": 20}))
"""Modes, and targets within their reach for the photograph."""
NO_RATES: tuple[Any, ...] = (0, -1, -0.5, float("nan"), float("inf"), 10**400, True, "1", 1j)
NO_SIZES: tuple[Any, ...] = (0, -1, 99.5, float("nan"), float("inf"), True, "500")


# The search.


def largest_within(values: list[int], limit: int) -> tuple[int, bool]:
    """The highest quality whose value is at most the limit."""
    return search(lambda q: q, lambda q: values[q - 1] - limit, highest=True)


def smallest_reaching(values: list[int], target: int) -> tuple[int, bool]:
    """The lowest quality whose value is at least the target."""
    return search(lambda q: q, lambda q: target - values[q - 1], highest=False)


@hypothesis_settings(deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=100, max_size=100).map(sorted), st.integers(0, 1000))
def test_search_finds_the_best_quality_or_the_nearest(values: list[int], target: int) -> None:
    fitting = [q for q in range(1, 101) if values[q - 1] <= target]
    reaching = [q for q in range(1, 101) if values[q - 1] >= target]
    quality, met = largest_within(values, target)
    assert met == bool(fitting)
    assert quality == fitting[-1] if fitting else values[quality - 1] == values[0]
    quality, met = smallest_reaching(values, target)
    assert met == bool(reaching)
    assert quality == reaching[0] if reaching else values[quality - 1] == values[-1]


@pytest.mark.parametrize(("mode", "options"), [(Mode.CG, {"bytes": 1 << 20}), (Mode.LOSSLESS, {"bpp": 100})])
def test_one_file_is_made_where_the_quality_changes_nothing(
    mode: Mode, options: dict[str, Any], photo: UInt8, tiny_model: Model, work: Work
) -> None:
    picture = from_image(Image.fromarray(photo))
    reached = encode_to_target(picture, Settings(mode), Target(**options), tiny_model, verify=False)
    assert [quality for quality, _ in work.encoded] == [reached.settings.quality] == [50]
    with pytest.raises(InputError, match="every quality takes"):
        encode_to_target(picture, Settings(mode), Target(bytes=5), tiny_model)


@pytest.mark.parametrize("mode", ["rs1", Mode.STORED, 1, None])
def test_modes_that_are_none_are_refused(mode: Any) -> None:
    with pytest.raises(InputError, match="mode is one of"):
        Settings(mode)


def test_few_qualities_are_tried() -> None:
    tried: list[int] = []

    def attempt(quality: int) -> int:
        tried.append(quality)
        return quality

    assert search(attempt, lambda q: 10 * q - 375, highest=True) == (37, True)
    assert len(tried) == len(set(tried)) <= MOST_ATTEMPTS


def test_a_result_fits_even_where_sizes_do_not_rise() -> None:
    sizes = [(37 * q) % 101 for q in range(1, 101)]
    for found, fits in ((largest_within, lambda size: size <= 60), (smallest_reaching, lambda size: size >= 60)):
        quality, met = found(sizes, 60)
        assert met
        assert fits(sizes[quality - 1])


# Files.


@dataclass
class Work:
    """What was done: qualities that were encoded, and files that were verified."""

    encoded: list[tuple[int, bool]] = field(default_factory=list)
    verified: list[bytes] = field(default_factory=list)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Counts what `encode_to_target` has done by the codec."""
    done = Work()

    def encode(picture: Picture, settings: Settings, *arguments: Any, verify: bool, **options: Any) -> Encoded:
        done.encoded.append((settings.quality, verify))
        return encode_picture(picture, settings, *arguments, verify=verify, **options)

    def verify(encoded: Encoded, *arguments: Any) -> None:
        done.verified.append(encoded.data)
        encoding.verify_encoded(encoded, *arguments)

    monkeypatch.setattr(rate_control, "encode_picture", encode)
    monkeypatch.setattr(rate_control, "verify_encoded", verify)
    return done


@pytest.fixture
def picture(photo: UInt8) -> Picture:
    return from_image(Image.fromarray(photo))


@pytest.mark.parametrize(("mode", "options"), TARGETS)
@pytest.mark.parametrize("verify", [True, False])
def test_nothing_is_done_twice(
    mode: str, options: dict[str, Any], verify: bool, picture: Picture, tiny_model: Model, work: Work
) -> None:
    target, settings = Target(**options), Settings(Mode.parse(mode))
    reached = encode_to_target(picture, settings, target, tiny_model, verify=verify)
    qualities = [quality for quality, _ in work.encoded]
    assert len(qualities) == len(set(qualities)) <= MOST_ATTEMPTS
    assert reached.settings.quality in qualities
    assert not any(verified for _, verified in work.encoded)
    assert work.verified == ([reached.encoded.data] if verify else [])
    again = encode_picture(picture, reached.settings, tiny_model, verify=False)
    assert reached.encoded.data == again.data


def test_without_a_target_the_settings_quality_is_taken(picture: Picture, tiny_model: Model, work: Work) -> None:
    chosen = Settings(Mode.RS2, quality=7)
    reached = encode_to_target(picture, chosen, Target(), tiny_model)
    assert (reached.settings, reached.psnr, work.encoded, work.verified) == (chosen, None, [(7, True)], [])


def test_sizes_are_kept_to_as_closely_as_they_can_be(picture: Picture, tiny_model: Model) -> None:
    height, width = picture.planes.shape[:2]
    for target in (Target(bytes=384), Target(bpp=8 * 384 / (height * width))):
        reached = encode_to_target(picture, Settings(Mode.RS2, quality=3), target, tiny_model)
        finer = replace(reached.settings, quality=reached.settings.quality + 1)
        assert len(reached.encoded.data) <= 384
        assert len(encode_picture(picture, finer, tiny_model, verify=False).data) > 384
    assert encode_to_target(picture, Settings(Mode.RS2), Target(bpp=1e308), tiny_model).settings.quality == 100


def test_psnr_is_reached_at_the_lowest_quality(picture: Picture, tiny_model: Model) -> None:
    reached = encode_to_target(picture, Settings(Mode.CG), Target(psnr=20), tiny_model)
    assert reached.psnr is not None
    assert reached.psnr >= 20
    decoded = np.asarray(decode_file(reached.encoded.data)).astype(float)
    assert reached.psnr == pytest.approx(10 * np.log10(255**2 / np.square(decoded - picture.planes).mean()))


def test_a_stored_image_has_every_psnr(tiny_model: Model) -> None:
    flat = from_image(Image.new("RGB", (64, 64)))
    reached = encode_to_target(flat, Settings(Mode.CG), Target(psnr=90), tiny_model)
    assert (reached.encoded.mode, reached.psnr) == (Mode.STORED, float("inf"))


def test_targets_out_of_reach_name_the_nearest_quality(picture: Picture, tiny_model: Model, work: Work) -> None:
    size = len(encode_picture(picture, Settings(Mode.RS2, quality=1), tiny_model, verify=False).data)
    with pytest.raises(InputError, match=f"5 bytes are too few in this mode: quality 1 takes {size}; try another"):
        encode_to_target(picture, Settings(Mode.RS2), Target(bytes=5), tiny_model)
    with pytest.raises(InputError) as caught:
        encode_to_target(picture, Settings(Mode.RS2), Target(bpp=1e-9), tiny_model)
    told = re.fullmatch(
        r"1e-09 bits per pixel are too few .*: quality 1 takes (\S+); try another mode", str(caught.value)
    )
    assert told is not None
    assert 8 * size / picture.pixels <= float(told[1]) < 8.01 * size / picture.pixels
    nearest = encode_to_target(picture, Settings(Mode.RS2), Target(bpp=float(told[1])), tiny_model, verify=False)
    assert len(nearest.encoded.data) <= size
    assert not work.verified


@pytest.mark.parametrize(
    ("mode", "made"), [(Mode.CG, "every quality"), (Mode.CR, r"quality \d+"), (Mode.RS2, r"quality \d+")]
)
def test_a_psnr_that_an_error_offers_is_reached(
    mode: Mode, made: str, picture: Picture, tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    for best in (23.257, 23.2501, 24.995, 24.99, 30.0):  # those nearer to what is above, and those in between
        monkeypatch.setattr(rate_control, "psnr", lambda picture, encoded, best=best: best)
        with pytest.raises(InputError, match="90 dB are too many in this mode") as caught:
            encode_to_target(picture, Settings(mode), Target(psnr=90), tiny_model, verify=False)
        told = re.search(rf": {made} reaches (\d\d\.\d\d); try another mode$", str(caught.value))
        assert told is not None
        assert best - 0.02 < float(told[1]) <= best
        reached = encode_to_target(picture, Settings(mode), Target(psnr=float(told[1])), tiny_model, verify=False)
        assert reached.psnr == best


# What is refused.


@pytest.mark.parametrize(
    ("name", "values"), [("bpp", NO_RATES), ("psnr", NO_RATES), ("bytes", NO_SIZES)], ids=("bpp", "psnr", "bytes")
)
def test_targets_that_are_no_numbers(name: str, values: tuple[Any, ...], photo: UInt8) -> None:
    for value in values:
        with pytest.raises(InputError, match=f"^{name} is a .*number.*, not ") as caught:
            Target(**{name: value})
        with pytest.raises(InputError) as again:
            selfcodec.encode(photo, "rs2", **{name: value})
        assert str(again.value) == str(caught.value)
        assert "\n" not in str(caught.value)


def test_numbers_of_other_kinds_are_taken() -> None:
    assert Target(bpp=np.float32(0.5)) == Target(bpp=Fraction(1, 2)) == Target(bpp=0.5)  # type: ignore[arg-type]
    assert Target(bytes=np.uint8(9)) == Target(bytes=9)  # type: ignore[arg-type]
    assert Target(psnr=30) == Target(psnr=30.0)
    assert Settings(quality=np.uint8(9), seed=np.int64(3)) == Settings(quality=9, seed=3)  # type: ignore[arg-type]
    assert type(Settings(quality=np.uint8(9)).quality) is int  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["quality", "level", "seed"])
@pytest.mark.parametrize("value", [50.5, 50.0, "50", True, b"5", [5], -1, 2**32])
def test_settings_are_whole_numbers_in_their_ranges(name: str, value: Any, photo: UInt8) -> None:
    with pytest.raises(InputError, match=f"^{name} is a whole number from .* to .*, not ") as caught:
        selfcodec.encode(photo, "cg", **{name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "text"), [({"quality": 0}, "1 to 100"), ({"quality": 101}, "1 to 100"), ({"level": 0}, "1 to 15")]
)
def test_ranges_begin_and_end(value: dict[str, int], text: str, photo: UInt8) -> None:
    with pytest.raises(InputError, match=f"{text}, not"):
        selfcodec.encode(photo, "cg", **value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mode", "options", "text"),
    [
        ("rs2", {"bpp": 1.0, "bytes": 100}, "not bpp and bytes"),
        ("rs2", {"bpp": 1.0, "bytes": 100, "psnr": 30}, "not bpp and bytes and psnr"),
        ("rs2", {"bpp": 1.0, "quality": 50}, "give one of quality, bpp, bytes and psnr"),
        ("lossless", {"psnr": 30}, 'psnr and seed go with lossy modes: .*add -m rs2, or mode="rs2" in Python$'),
        ("lossless", {"bpp": 0.5}, "bpp, bytes, psnr and seed go with lossy modes"),
        ("lossless", {"bytes": 100}, "bpp, bytes, psnr and seed go with lossy modes"),
    ],
)
def test_choices_that_exclude_each_other(mode: str, options: dict[str, Any], text: str, photo: UInt8) -> None:
    with pytest.raises(InputError, match=text):
        selfcodec.encode(photo, mode, **options)
    with pytest.raises(InputError, match=text):
        Image.fromarray(photo).save(io.BytesIO(), "SV", mode=mode, **options)


def test_settings_are_chosen_by_the_mode_s_name() -> None:
    chosen = choose_settings("cg", Target(bpp=1), level=2, seed=3)
    assert chosen == Settings(Mode.CG, 2, 50, 3)
    assert choose_settings("rs1", Target(), quality=9) == Settings(Mode.RS1, quality=9)
    with pytest.raises(InputError, match="unknown mode"):
        choose_settings("best", Target())


# The library's functions.


@pytest.mark.parametrize(("mode", "options"), TARGETS)
def test_the_library_and_pillow_encode_to_targets(
    mode: str, options: dict[str, Any], picture: Picture, photo: UInt8, tiny_model: Model
) -> None:
    settings = Settings(Mode.parse(mode))
    expected = encode_to_target(picture, settings, Target(**options), tiny_model).encoded.data
    assert selfcodec.encode(photo, mode, "tiny", **options) == expected
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "SV", mode=mode, model="tiny", **options)
    assert buffer.getvalue() == expected


def test_a_file_that_decodes_to_something_else_is_noticed(
    photo: UInt8, tiny_model: Model, always_the_model: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode_planes: Callable[..., list[UInt8]] = encoding.decode_planes
    monkeypatch.setattr(encoding, "decode_planes", lambda *arguments: [x ^ 1 for x in decode_planes(*arguments)])
    selfcodec.encode(photo, "rs2", "tiny", bpp=24.0, verify=False)
    with pytest.raises(selfcodec.SelfcodecError, match="does not decode to its image"):
        selfcodec.encode(photo, "rs2", "tiny", bpp=24.0)
