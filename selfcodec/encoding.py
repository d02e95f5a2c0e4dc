"""Whole images to files: the container, the stored fallback, and verification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial

import numpy as np

from selfcodec.arrays import UInt8
from selfcodec.decoding import alpha_of, decode_file, decode_planes, open_file
from selfcodec.errors import InputError, SelfcodecError
from selfcodec.format import sidedata
from selfcodec.format.container import Container, pack
from selfcodec.format.header import Header
from selfcodec.images import AnyImage, Picture
from selfcodec.images.deep import DeepImage
from selfcodec.modes import DEFAULT_QUALITY, Mode
from selfcodec.networks.integer import DEFAULT_RUNTIME, Runtime
from selfcodec.parallel import beside
from selfcodec.refining import Work
from selfcodec.settings import Settings
from selfcodec.streams import Plan, Streams, encode_tiles
from selfcodec.together import alike
from selfcodec.walk import Values
from selfcodec.zoo import Model, model_for

_SHOWN_MODES = ("1", "L", "P", "RGB")
"""How images of these modes look does not follow from their samples alone."""
MOST_BESIDE = 1 << 22
"""Of images of at most so many pixels the stored size is measured while they are coded."""
BOTH_WAYS, MOST_BOTH_WAYS = 3, 1 << 12
"""From this effort on, images of at most so many pixels, which teach little, are coded with learning and without."""
_UNFAITHFUL = "the encoded file does not decode to its image; please report this with the image"


@dataclass(frozen=True)
class Encoded:
    """A finished file and what it is made of.

    Attributes:
        data: the file.
        mode: as written; STORED where the fallback was smaller.
        model_bits: the model's sum of -log2 p by variable; empty for STORED.
        quality: as written; 50 where it changes nothing.
        expected: (H, W, 3), what the encoder expects decoders to make of a lossy file; None where that was not asked
            for.
    """

    data: bytes
    mode: Mode
    model_bits: dict[str, float] = field(default_factory=dict)
    quality: int = DEFAULT_QUALITY
    expected: UInt8 | None = None


def encode_picture(
    picture: Picture,
    settings: Settings | None = None,
    model: Model | None = None,
    runtime: Runtime = DEFAULT_RUNTIME,
    *,
    verify: bool = True,
    expect: bool = False,
    fallback: bool = True,
    work: Work | None = None,
    inferred: dict[int, Values] | None = None,
) -> Encoded:
    """Codes an image.

    Args:
        picture: what `load_picture` gives.
        settings: mode and quality; lossless by default.
        model: the model; the default one if None.
        runtime: how networks run; has no influence on the result.
        fallback: store the image where that is smaller than what the model makes; where only that is exact, it is
            stored in any case.
        verify: decode the file again and compare with the image, or where it is lossy with what the encoder expects.
        expect: find what that is even without `verify`.
        work: of the encoder; None for the settings' effort.
        inferred: is given what is inferred from the image, if it is empty, and saves inferring it again, if it is what
            an earlier call at the same quality and effort was given.

    Raises:
        InputError: the settings do not fit the model, or the mode the picture.
        SelfcodecError: verification failed.
    """
    settings = settings or Settings()
    model = model or model_for(settings)
    coder = _Coder(settings, model, runtime, verify=verify, fallback=fallback, expect=expect, work=work)
    return coder.encoded([picture], inferred)[0]


def encode_pictures(
    pictures: Sequence[Picture],
    settings: Settings | None = None,
    model: Model | None = None,
    runtime: Runtime = DEFAULT_RUNTIME,
    *,
    verify: bool = True,
    fallback: bool = True,
    work: Work | None = None,
) -> list[Encoded]:
    """Codes several images at once; see `encode_picture`. Each has the file that it has alone, bit for bit.

    Small ones are coded about twice as fast so. All of them are in memory; an error in one ends them all.
    """
    settings = settings or Settings()
    model = model or model_for(settings)
    coder = _Coder(settings, model, runtime, verify=verify, fallback=fallback, expect=False, work=work)
    return coder.encoded(pictures)


@dataclass(frozen=True)
class _Coder:
    """What `encode_picture` is asked for, whatever the picture."""

    settings: Settings
    model: Model
    runtime: Runtime
    _: KW_ONLY
    verify: bool
    fallback: bool
    expect: bool
    work: Work | None

    def __post_init__(self) -> None:
        self.settings.resolved(self.model.levels)  # which complains of what does not fit
        self.model.check_offers(self.settings.mode)

    def encoded(self, pictures: Sequence[Picture], inferred: dict[int, Values] | None = None) -> list[Encoded]:
        """Files of pictures, each verified if that is asked for."""
        files: dict[int, Encoded] = {}
        groups: list[tuple[Plan, list[int]]] = []
        for i, picture in enumerate(pictures):
            if not self._lossless and picture.lossy_refusal:
                raise InputError(picture.lossy_refusal)
            if self._lossless and picture.stored_reason:
                files[i] = Encoded(_stored(picture), Mode.STORED)
                continue
            header = self._header(picture)
            plan = Plan.of(header, self.model, self._sent, self.runtime, self._work)
            alike(groups, plan).append(i)
        for plan, members in groups:
            planes = [self._planes(pictures[i]) for i in members]
            expect = (self.verify or self.expect) and not self._lossless
            with beside(partial(self._measure_stored, [pictures[i] for i in members])):
                found = encode_tiles(plan, planes, expect=expect, inferred=inferred)
                smaller = _without_learning(plan, planes, found)
            for n, i in enumerate(members):
                files[i] = self._file(pictures[i], smaller.get(n, found[n]), plan.adapting and n not in smaller)
        made = [files[i] for i in range(len(pictures))]
        if self.verify:
            _verify(made, pictures, self.model, self.runtime)
        return made

    @property
    def _lossless(self) -> bool:
        return self.settings.mode is Mode.LOSSLESS

    @property
    def _sent(self) -> tuple[str, ...]:
        return self.settings.resolved(self.model.levels)[0]

    @property
    def _work(self) -> Work:
        return self.work or Work(self.settings.effort)

    def _header(self, picture: Picture) -> Header:
        height, width = picture.planes.shape[:2]
        return Header(
            mode=self.settings.mode,
            image_mode=picture.rendering,
            width=width,
            height=height,
            model_id=self.model.id,
            level=self.settings.resolved(self.model.levels)[1],
            quality=self.settings.quality if self.model.tuned(self._sent) else DEFAULT_QUALITY,
            seed=None if self._lossless else self.settings.seed,
            adapting=bool(self._work.effort) and self.model.adapts(self.settings.mode),
        )

    def _planes(self, picture: Picture) -> UInt8:
        """The samples that are coded, (H, W, 3)."""
        # What full transparency hides must stay where a lossless file cut short is to be this one.
        planes = picture.planes if Mode.LOSSLESS in self.model.modes else picture.shown
        return np.repeat(planes, 3, 2) if planes.shape[2] == 1 else planes

    def _measure_stored(self, pictures: Sequence[Picture]) -> None:
        """Finds, and keeps, how large stored images would be; but of large ones later, since it takes memory."""
        for picture in pictures:
            if self.fallback and picture.pixels <= MOST_BESIDE:
                _ = picture.quick_size or picture.stored_size

    def _file(self, picture: Picture, streams: Streams, adapting: bool) -> Encoded:
        """The file of a picture's streams, or one that stores it, if that is smaller."""
        header = replace(self._header(picture), adapting=adapting)
        side = b"" if picture.alpha is None else sidedata.pack_alpha(picture.alpha)
        data = pack(Container(header, self._sent, streams.sections, side, picture.metadata))
        # Effort 0 saves this time, too, but of models that have no other effort.
        quickly = self._lossless and self.model.adapts(self.settings.mode) and not self._work.effort
        stores = self.fallback and picture.stores_within(len(data), quickly=quickly)
        if stores and len(stored := _stored(picture)) <= len(data):
            return Encoded(stored, Mode.STORED)
        return Encoded(data, self.settings.mode, streams.bits, header.quality, streams.expected)


def _without_learning(plan: Plan, planes: Sequence[UInt8], found: Sequence[Streams]) -> dict[int, Streams]:
    """Of small pictures (H, W, 3), by their number, streams that do not adapt and are no longer than those found."""
    if not plan.adapting or plan.work.effort < BOTH_WAYS:
        return {}
    small = [n for n, picture in enumerate(planes) if picture.shape[0] * picture.shape[1] <= MOST_BOTH_WAYS]
    others = encode_tiles(replace(plan, adapting=False), [planes[n] for n in small], expect=False)
    return {n: other for n, other in zip(small, others, strict=True) if other.words <= found[n].words}


def _stored(picture: Picture) -> bytes:
    """The fallback: the image's own samples, PNG or WebP, smaller for tiny and for synthetic images."""
    height, width = picture.planes.shape[:2]
    header = Header(Mode.STORED, picture.mode, width, height)
    return pack(Container(header, metadata=picture.metadata, stored=picture.stored))


def _check_stored(encoded: Encoded, picture: Picture) -> None:
    """SelfcodecError where a file that stores a picture has another."""
    image, source = decode_file(encoded.data), picture.exact
    same = image.mode == source.mode and image.tobytes() == source.tobytes()
    if not same or not _shownalike(image, source):
        raise SelfcodecError(_UNFAITHFUL)


def _shownalike(image: AnyImage, source: AnyImage) -> bool:
    """Whether images of the same samples have the same palette and transparent colour."""
    if isinstance(image, DeepImage) or isinstance(source, DeepImage) or image.mode not in _SHOWN_MODES:
        return True
    return image.convert("RGBA").tobytes() == source.convert("RGBA").tobytes()


def verify_encoded(encoded: Encoded, picture: Picture, model: Model, runtime: Runtime = DEFAULT_RUNTIME) -> None:
    """Decodes a file that `encode_picture` made of a picture, as that does itself with `verify`.

    Compares colours and alpha with the picture's, or where the file is lossy colours with `Encoded.expected`.

    Raises:
        SelfcodecError: they differ.
    """
    _verify([encoded], [picture], model, runtime)


def _verify(files: Sequence[Encoded], pictures: Sequence[Picture], model: Model, runtime: Runtime) -> None:
    coded = []
    for encoded, picture in zip(files, pictures, strict=True):
        if encoded.mode is Mode.STORED:
            _check_stored(encoded, picture)
        else:
            coded.append((encoded, picture, open_file(encoded.data, model=model)))
    decoded = decode_planes([container for _, _, container in coded], model, runtime)
    for (encoded, picture, container), shown in zip(coded, decoded, strict=True):
        expected = picture.planes if encoded.expected is None else encoded.expected
        alpha = alpha_of(container)
        same_alpha = alpha is None if picture.alpha is None else np.array_equal(picture.alpha, alpha)  # type: ignore[arg-type]
        if not same_alpha or not np.array_equal(expected, shown[:, :, : expected.shape[2]]):
            raise SelfcodecError(_UNFAITHFUL)
