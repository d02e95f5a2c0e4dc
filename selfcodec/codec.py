"""Whole images: tiles' streams, the container, and the stored fallback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise

import numpy as np

from selfcodec.arrays import Integers, UInt8, Words
from selfcodec.coding.coder import Decoder, Encoder
from selfcodec.errors import FormatError, InputError, SelfcodecError
from selfcodec.format import sidedata
from selfcodec.format.container import Container, Header, cut, pack, unpack
from selfcodec.format.metadata import apply_metadata
from selfcodec.images import AnyImage, Picture, to_image
from selfcodec.images.deep import DeepImage
from selfcodec.images.storing import unpack_stored
from selfcodec.modes import DEFAULT_QUALITY, MAX_TRANSFORMS, Mode, default_level, sent_variables
from selfcodec.networks.integer import DEFAULT_RUNTIME, Runtime
from selfcodec.parallel import mapped, threads
from selfcodec.refining import USUAL, Work, can_refine, refined
from selfcodec.settings import Settings, whole_number
from selfcodec.tiles import Box, by_size, shares, tile_boxes
from selfcodec.walk import Batch, Received, Sent, Source, Values, filling, walk
from selfcodec.zoo import Model, find_model, model_by_id

MOST_SHARES = 4
"""At most so many shares of an image's tiles are decoded at the same time, which bounds memory."""
_GREY_MODES = ("L", "LA")
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


@dataclass(frozen=True)
class _Plan:
    """What is the same for all tiles of a file.

    Attributes:
        sent: in coding order.
        quality: of the latents that it scales, by name.
        grey: only the first channel is coded.
        seed: see `Settings`.
        work: of the encoder.
    """

    model: Model
    sent: tuple[str, ...]
    quality: dict[str, int]
    grey: bool
    seed: int | None
    runtime: Runtime
    work: Work = USUAL

    @staticmethod
    def of(header: Header, model: Model, sent: tuple[str, ...], runtime: Runtime, work: Work | None = None) -> _Plan:
        """Of a file that sends these variables, which are fewer than its mode's where it was cut short."""
        whole = sent_variables(header.mode, model.levels, header.level)
        quality = dict.fromkeys(model.tuned(whole), header.quality)
        grey = header.image_mode in _GREY_MODES
        return _Plan(model, sent, quality, grey, header.seed, runtime, work or USUAL)

    @property
    def refines(self) -> bool:
        """Whether latents are refined before they are coded."""
        return bool(self.work.effort) and can_refine(self.model, self.sent)

    def batch(self, boxes: Sequence[Box]) -> Batch:
        """Tiles of one size."""
        size, seen = (boxes[0].height, boxes[0].width), max(self.quality.values(), default=DEFAULT_QUALITY)
        return Batch(self.model, size, len(boxes), self.grey, self.runtime, seen)

    def sources(self, sent: Source, indices: Sequence[int]) -> dict[str, Source]:
        """Of all variables, for tiles with these indices."""
        fill = filling(None if self.seed is None else [(self.seed << 32) + i for i in indices])
        return {step.name: sent if step.name in self.sent else fill for step in self.model.steps}


def _encode_tiles(
    plan: _Plan, boxes: list[Box], planes: UInt8, expected: UInt8 | None, inferred: dict[int, Values] | None
) -> tuple[list[list[Words]], dict[str, float]]:
    """Streams [tile][variable] of tiles of one size, and the model's bits by variable.

    Args:
        planes: (H, W, 3), the image.
        expected: (H, W, 3), where what a decoder will make of the tiles is put, or None.
        inferred: what was inferred before, by the first tile's index, and is kept now; None where nothing is.
    """
    batch, coder = plan.batch(boxes), Encoder(len(boxes))
    truth = None if inferred is None else inferred.get(boxes[0].index)
    if truth is None:
        images = np.stack([box.of(planes) for box in boxes]) if len(boxes) > 1 else boxes[0].of(planes)[None]
        truth = batch.infer(images, plan.sent)
        if plan.refines:
            truth["z1"] = refined(batch, images, truth, plan.sent, plan.work)
        if inferred is not None:
            inferred[boxes[0].index] = truth
    if inferred is not None:  # coding may overwrite it
        truth = {name: values.copy() for name, values in truth.items()}
    sources = plan.sources(Sent(coder, truth, plan.quality, plan.work.thrift), [box.index for box in boxes])
    if expected is None:  # nothing after the last variable sent is needed
        order = list(sources)
        sources = {name: sources[name] for name in order[: order.index(plan.sent[-1]) + 1]}
    walk([batch], sources)
    if expected is not None:
        _put(expected, boxes, batch.values["x"])
    streams, bits = [], dict.fromkeys(plan.sent, 0.0)
    for stream in coder.finish():
        ends = [0, *stream.ends[:-1], len(stream.words)]
        streams.append([stream.words[a:b] for a, b in pairwise(ends)])
        bits = {name: bits[name] + cost for name, cost in zip(plan.sent, stream.bits, strict=True)}
    return streams, bits


def _put(planes: UInt8, boxes: Sequence[Box], x: Integers) -> None:
    """Puts tiles (B, 3, h, w) into their places."""
    for box, tile in zip(boxes, x.transpose(0, 2, 3, 1), strict=True):
        box.of(planes)[...] = tile


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
    model = model or find_model(mode=settings.mode)
    sent, level = settings.resolved(model.levels)
    if settings.mode not in model.modes:
        raise InputError(f"model {model.spec.name} does not offer mode {settings.mode}")
    lossless = settings.mode is Mode.LOSSLESS
    if not lossless and picture.lossy_refusal:
        raise InputError(picture.lossy_refusal)
    if lossless and picture.stored_reason:
        return _encoded_stored(_stored(picture), picture, verify=verify)
    height, width = picture.planes.shape[:2]
    header = Header(
        mode=settings.mode,
        image_mode=picture.rendering,
        width=width,
        height=height,
        model_id=model.id,
        level=level,
        quality=settings.quality if model.tuned(sent) else DEFAULT_QUALITY,
        seed=None if lossless else settings.seed,
    )
    plan = _Plan.of(header, model, sent, runtime, work or Work(settings.effort))
    # What full transparency hides must stay where a lossless file cut short is to be this one.
    planes = picture.planes if Mode.LOSSLESS in model.modes else picture.shown
    planes = np.repeat(planes, 3, 2) if planes.shape[2] == 1 else planes
    expected = np.empty_like(planes) if (verify or expect) and not lossless else None
    boxes = tile_boxes(width, height, model.spec.tile)
    streams: list[list[Words]] = [[] for _ in boxes]
    bits: dict[str, float] = dict.fromkeys(sent, 0.0)
    for batch in by_size(boxes, 1 if plan.refines else runtime.batch):  # images are refined one by one
        coded, batch_bits = _encode_tiles(plan, batch, planes, expected, inferred)
        for box, stream in zip(batch, coded, strict=True):
            streams[box.index] = stream
        bits = {name: bits[name] + batch_bits[name] for name in sent}
    side = b"" if picture.alpha is None else sidedata.pack_alpha(picture.alpha)
    sections = tuple(zip(*streams, strict=True))
    data = pack(Container(header, sent, sections, side, picture.metadata))
    if fallback and picture.stored_size <= len(data) and len(stored := _stored(picture)) <= len(data):
        return _encoded_stored(stored, picture, verify=verify)
    encoded = Encoded(data, settings.mode, bits, header.quality, expected)
    if verify:
        verify_encoded(encoded, picture, model, runtime)
    return encoded


def _stored(picture: Picture) -> bytes:
    """The fallback: the image's own samples, PNG or WebP, smaller for tiny and for synthetic images."""
    height, width = picture.planes.shape[:2]
    header = Header(Mode.STORED, picture.mode, width, height)
    return pack(Container(header, metadata=picture.metadata, stored=picture.stored))


def _encoded_stored(data: bytes, picture: Picture, *, verify: bool) -> Encoded:
    if verify:
        image, source = decode_file(data), picture.exact
        same = image.mode == source.mode and image.tobytes() == source.tobytes()
        if not same or not _shown_alike(image, source):
            raise SelfcodecError(_UNFAITHFUL)
    return Encoded(data, Mode.STORED)


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
    if encoded.mode is Mode.STORED:
        _encoded_stored(encoded.data, picture, verify=True)
        return
    container = open_file(encoded.data, model=model)
    expected = picture.planes if encoded.expected is None else encoded.expected
    planes, alpha = decode_planes(container, model, runtime)[:, :, : expected.shape[2]], None
    if container.side:
        alpha = sidedata.unpack_alpha(container.side, container.header.width, container.header.height)
    same_alpha = alpha is None if picture.alpha is None else np.array_equal(picture.alpha, alpha)  # type: ignore[arg-type]
    if not same_alpha or not np.array_equal(expected, planes):
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
    sent = sent_variables(mode, own.levels, level)
    shorter = cut(container, sent, mode, level)
    if not own.tuned(sent):
        shorter = replace(shorter, header=replace(shorter.header, quality=DEFAULT_QUALITY))
    return pack(shorter)


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
    container = open_file(data, allow_truncated=allow_truncated, model=model)
    header = container.header
    if header.mode is Mode.STORED:
        image = unpack_stored(container.stored, header.image_mode, header.width, header.height)
        apply_metadata(image, container.metadata)
        return image
    model = _model_of(header.model_id, model)
    if upto is not None and upto is not header.mode:
        level = default_level(upto, model.levels)
        container = cut(container, sent_variables(upto, model.levels, level), upto, level)
    planes = decode_planes(container, model, runtime)
    grey = header.image_mode in _GREY_MODES
    alpha = sidedata.unpack_alpha(container.side, header.width, header.height) if container.side else None
    return to_image(header.image_mode, planes[:, :, :1] if grey else planes, alpha, container.metadata)


def decode_planes(container: Container, model: Model, runtime: Runtime = DEFAULT_RUNTIME) -> UInt8:
    """The colour samples (H, W, 3) of a file that has a model."""
    header = container.header
    boxes = tile_boxes(header.width, header.height, model.spec.tile)
    if any(len(section) != len(boxes) for section in container.streams):
        raise FormatError(f"the file has {len(container.streams[0])} streams where its size needs {len(boxes)}")
    whole = not container.truncated and container.variables == sent_variables(header.mode, model.levels, header.level)
    plan = _Plan.of(header, model, container.variables, runtime)
    planes = np.empty((header.height, header.width, 3), dtype=np.uint8)

    def decode_share(share: list[Box]) -> None:
        groups = list(by_size(share, runtime.batch))
        indices = [box.index for group in groups for box in group]
        decoder = Decoder([np.concatenate([section[i] for section in container.streams]) for i in indices])
        batches = [plan.batch(group) for group in groups]
        walk(batches, plan.sources(Received(decoder, plan.quality), indices))
        if whole and header.mode is Mode.LOSSLESS:
            decoder.finish()
        for group, batch in zip(groups, batches, strict=True):
            _put(planes, group, batch.values["x"])

    workers = min(MOST_SHARES, threads())
    tasks = [partial(decode_share, share) for share in shares(boxes, runtime.batch, workers)]
    for _ in mapped(tasks, workers):
        pass
    return planes
