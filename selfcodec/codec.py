"""Whole images: the container, the stored fallback, and verification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from selfcodec.arrays import UInt8
from selfcodec.errors import FormatError, InputError, SelfcodecError
from selfcodec.format import sidedata
from selfcodec.format.container import Container, Header, cut, pack, unpack
from selfcodec.format.metadata import apply_metadata
from selfcodec.images import AnyImage, Picture, to_image
from selfcodec.images.deep import DeepImage
from selfcodec.images.storing import unpack_stored
from selfcodec.modes import DEFAULT_QUALITY, MAX_TRANSFORMS, Mode, default_level, sent_variables
from selfcodec.networks.integer import DEFAULT_RUNTIME, Runtime
from selfcodec.refining import Work
from selfcodec.settings import Settings, whole_number
from selfcodec.streams import GREY_MODES, Plan, Streams, decode_tiles, encode_tiles
from selfcodec.walk import Values
from selfcodec.zoo import Model, model_by_id, model_for

Key = TypeVar("Key")

_SHOWN_MODES = ("1", "L", "P", "RGB")
"""How images of these modes look does not follow from their samples alone."""
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


def _model_of(model_id: bytes, given: Model | None) -> Model:
    """The file's model: the caller's if it is that one, else the installed one."""
    return given if given is not None and given.id == model_id else model_by_id(model_id)


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
    coder = _Coder(settings, model, runtime, verify, fallback, expect, work)
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
    coder = _Coder(settings, model, runtime, verify, fallback, False, work)
    return coder.encoded(pictures)


@dataclass(frozen=True)
class _Coder:
    """What `encode_picture` is asked for, whatever the picture."""

    settings: Settings
    model: Model
    runtime: Runtime
    verify: bool
    fallback: bool
    expect: bool
    work: Work | None

    def __post_init__(self) -> None:
        self.settings.resolved(self.model.levels)  # which complains of what does not fit
        if self.settings.mode not in self.model.modes:
            raise InputError(f"model {self.model.spec.name} does not offer mode {self.settings.mode}")

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
            _alike(groups, plan).append(i)
        for plan, members in groups:
            planes = [self._planes(pictures[i]) for i in members]
            expect = (self.verify or self.expect) and not self._lossless
            for i, streams in zip(members, encode_tiles(plan, planes, expect=expect, inferred=inferred), strict=True):
                files[i] = self._file(pictures[i], streams)
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

    def _file(self, picture: Picture, streams: Streams) -> Encoded:
        """The file of a picture's streams, or one that stores it, if that is smaller."""
        header, side = self._header(picture), b"" if picture.alpha is None else sidedata.pack_alpha(picture.alpha)
        data = pack(Container(header, self._sent, streams.sections, side, picture.metadata))
        if self.fallback and picture.stored_size <= len(data) and len(stored := _stored(picture)) <= len(data):
            return Encoded(stored, Mode.STORED)
        return Encoded(data, self.settings.mode, streams.bits, header.quality, streams.expected)


def _alike(groups: list[tuple[Key, list[int]]], key: Key) -> list[int]:
    """The numbers of what has the same key, to which another may be added; keys need not be hashable."""
    for other, members in groups:
        if other == key:
            return members
    groups.append((key, []))
    return groups[-1][1]


def _stored(picture: Picture) -> bytes:
    """The fallback: the image's own samples, PNG or WebP, smaller for tiny and for synthetic images."""
    height, width = picture.planes.shape[:2]
    header = Header(Mode.STORED, picture.mode, width, height)
    return pack(Container(header, metadata=picture.metadata, stored=picture.stored))


def _check_stored(encoded: Encoded, picture: Picture) -> None:
    """SelfcodecError where a file that stores a picture has another."""
    image, source = decode_file(encoded.data), picture.exact
    same = image.mode == source.mode and image.tobytes() == source.tobytes()
    if not same or not _shown_alike(image, source):
        raise SelfcodecError(_UNFAITHFUL)


def _shown_alike(image: AnyImage, source: AnyImage) -> bool:
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
        alpha = _alpha_of(container)
        same_alpha = alpha is None if picture.alpha is None else np.array_equal(picture.alpha, alpha)  # type: ignore[arg-type]
        if not same_alpha or not np.array_equal(expected, shown[:, :, : expected.shape[2]]):
            raise SelfcodecError(_UNFAITHFUL)


def open_file(data: bytes, *, allow_truncated: bool = False, model: Model | None = None) -> Container:
    """A file's contents, checked; see `container.unpack` for the errors, `zoo.model_by_id` for a missing model."""

    def variables(model_id: bytes, mode: Mode, level: int) -> tuple[str, ...]:
        own = _model_of(model_id, model)
        if mode not in own.modes:
            raise InputError(f"model {own.spec.name} does not offer mode {mode}")
        return sent_variables(mode, own.levels, level)

    return unpack(data, variables, allow_truncated=allow_truncated)


def cut_file(
    data: bytes,
    mode: Mode,
    level: int | None = None,
    *,
    allow_truncated: bool = False,
    model: Model | None = None,
) -> bytes:
    """The file that encoding in a shallower mode would have given, up to the last word, without decoding.

    Raises:
        InputError: the mode's variables are no prefix of those in the file.
    """
    container = open_file(data, allow_truncated=allow_truncated, model=model)
    if container.header.mode is Mode.STORED:
        raise InputError("the image is stored whole, there is nothing to cut: encode it again in the mode you want")
    own = _model_of(container.header.model_id, model)
    level = default_level(mode, own.levels) if level is None else whole_number("level", level, 0, MAX_TRANSFORMS)
    return pack(shortened(container, mode, level, own))


def shortened(container: Container, mode: Mode, level: int, model: Model) -> Container:
    """What is left of a file of the model in a mode that sends the first of its variables; InputError for others."""
    header, sent = container.header, sent_variables(mode, model.levels, level)
    coded = model.qualities(sent_variables(header.mode, model.levels, header.level), header.quality)
    # Latents that only the shallower mode scales have the model's own grids, which must stay theirs.
    kept = [coded[name] for name in model.tuned(sent) if name in coded]
    return cut(container, sent, mode, level, min(kept, default=DEFAULT_QUALITY))  # the last one's is the file's


def decode_file(
    data: bytes,
    *,
    upto: Mode | None = None,
    allow_truncated: bool = False,
    model: Model | None = None,
    runtime: Runtime = DEFAULT_RUNTIME,
) -> AnyImage:
    """Decodes a file; a deep image where it has several channels of 16 bits a sample, else one of Pillow's.

    Args:
        data: the file.
        upto: decode as if the file had been cut to this mode, at its default level; a file of that mode, and a stored
            image, which has no parts, come back as they are.
        allow_truncated: take the deepest complete level of a file that was cut short; its checksum vouches for
            nothing then.
        model: a model that the caller has; if the file names another, that one is looked for.
        runtime: how networks run; has no influence on the result.

    Raises:
        FormatError: the file is damaged, or not one.
        ModelError: its model is not installed.
        InputError: `upto` asks for more than is there.
    """
    return decode_files([data], upto=upto, allow_truncated=allow_truncated, model=model, runtime=runtime)[0]


def decode_files(
    files: Sequence[bytes],
    *,
    upto: Mode | None = None,
    allow_truncated: bool = False,
    model: Model | None = None,
    runtime: Runtime = DEFAULT_RUNTIME,
) -> list[AnyImage]:
    """Decodes several files at once, small ones about twice as fast so; see `decode_file`. An error ends them all."""
    opened: list[Container] = []
    images: dict[int, AnyImage] = {}
    models: dict[bytes, tuple[Model, list[int]]] = {}
    for i, data in enumerate(files):
        container = _opened(data, upto, model, allow_truncated=allow_truncated)
        header = container.header
        opened.append(container)
        if header.mode is Mode.STORED:
            images[i] = unpack_stored(container.stored, header.image_mode, header.width, header.height)
            apply_metadata(images[i], container.metadata)
            continue
        model = _model_of(header.model_id, model)  # most probably the next one's, too, and looking for it takes long
        models.setdefault(header.model_id, (model, []))[1].append(i)
    for own, members in models.values():
        containers = [opened[i] for i in members]
        for i, container, planes in zip(members, containers, decode_planes(containers, own, runtime), strict=True):
            mode = container.header.image_mode
            shown = planes[:, :, :1] if mode in GREY_MODES else planes
            images[i] = to_image(mode, shown, _alpha_of(container), container.metadata)
    return [images[i] for i in range(len(files))]


def _alpha_of(container: Container) -> UInt8 | None:
    header = container.header
    return sidedata.unpack_alpha(container.side, header.width, header.height) if container.side else None


def _opened(data: bytes, upto: Mode | None, model: Model | None, *, allow_truncated: bool) -> Container:
    """A file's contents, cut to a mode if it holds more."""
    container = open_file(data, allow_truncated=allow_truncated, model=model)
    header = container.header
    if upto is None or header.mode in (upto, Mode.STORED):
        return container
    own = _model_of(header.model_id, model)
    return shortened(container, upto, default_level(upto, own.levels), own)


def decode_planes(containers: Sequence[Container], model: Model, runtime: Runtime = DEFAULT_RUNTIME) -> list[UInt8]:
    """The colour samples (H, W, 3) of files that have this model."""
    groups: list[tuple[tuple[Plan, bool], list[int]]] = []
    for i, container in enumerate(containers):
        header = container.header
        if header.adapting and not model.adapts(header.mode):
            raise FormatError(f"the file says that model {model.spec.name} adapts, which it cannot")
        sent = sent_variables(header.mode, model.levels, header.level)
        whole = not container.truncated and container.variables == sent
        _alike(groups, (Plan.of(header, model, container.variables, runtime), whole)).append(i)
    planes: dict[int, UInt8] = {}
    for (plan, whole), members in groups:
        decoded = decode_tiles(plan, [containers[i] for i in members], whole=whole)
        planes.update(zip(members, decoded, strict=True))
    return [planes[i] for i in range(len(containers))]
