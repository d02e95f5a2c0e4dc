"""Whole images: tiles' streams, the container, and the stored fallback."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from PIL import Image

from selfcodec.arrays import Int64, UInt8, Words
from selfcodec.coding.coder import Decoder, Encoder, Mean, Sampler
from selfcodec.errors import FormatError, InputError, SelfcodecError
from selfcodec.format import sidedata
from selfcodec.format.container import DEFAULT_QUALITY, Container, Header, cut, pack, unpack
from selfcodec.format.stored import unpack_stored
from selfcodec.images import Picture, to_image
from selfcodec.modes import Mode, default_level, sent_variables
from selfcodec.networks.integer import Runtime
from selfcodec.parallel import mapped
from selfcodec.settings import Settings as Settings  # callers of encode_picture find it here
from selfcodec.tiles import PIXELS_AT_ONCE, Box, by_size, shares, tile_boxes
from selfcodec.transforms import get_transform
from selfcodec.walk import Walk, run_together
from selfcodec.zoo import Model, find_model, model_by_id

DEFAULT_RUNTIME = Runtime()
MOST_SHARES = 4
"""Shares of an image's tiles at most that are decoded at the same time, likewise."""
_GREY_MODES = ("L", "LA")
_UNFAITHFUL = "the encoded file does not decode to its image; please report this with the image"


@dataclass(frozen=True)
class Encoded:
    """A finished file and what it is made of.

    Attributes:
        data: the file.
        mode: as written; STORED where the fallback was smaller.
        model_bits: the model's sum of -log2 p by variable; empty for STORED.
    """

    data: bytes
    mode: Mode
    model_bits: dict[str, float] = field(default_factory=dict)


def _model_of(model_id: bytes, given: Model | None) -> Model:
    """The file's model: the caller's if it is that one, else the installed one."""
    return given if given is not None and given.id == model_id else model_by_id(model_id)


def _truth(model: Model, tiles: list[UInt8]) -> dict[str, Int64]:
    """x and all y_k of a batch, int64 (B, C, h, w)."""
    transform = get_transform(model.spec.transformation)
    y, truth = np.stack(tiles), {}
    for k in range(model.levels + 1):
        truth["x" if k == 0 else f"y{k}"] = y.transpose(0, 3, 1, 2).astype(np.int64)
        y = transform(y) if k < model.levels else y
    return truth


def _encode_batch(
    model: Model, tiles: list[UInt8], settings: Settings, sent: tuple[str, ...], grey: bool, runtime: Runtime
) -> tuple[list[list[Words]], dict[str, float]]:
    """Streams [tile][variable] of tiles (H, W, 3) of one size, and the model's bits by variable."""
    coder = Encoder(len(tiles))
    size = (tiles[0].shape[0], tiles[0].shape[1])
    walk = Walk(
        model, size, len(tiles), frozenset(sent), coder, Mean(), settings.quality, grey, runtime, _truth(model, tiles)
    )
    marks = []
    for step in model.steps:
        walk.step(step)
        if step.name in sent:
            marks.append(coder.mark())
        if step.name == sent[-1]:
            break
    streams, bits = [], dict.fromkeys(sent, 0.0)
    for stream in coder.finish(marks):
        ends = [0, *stream.ends[:-1], len(stream.words)]
        streams.append([stream.words[a:b] for a, b in pairwise(ends)])
        bits = {name: bits[name] + cost for name, cost in zip(sent, stream.bits, strict=True)}
    return streams, bits


def encode_picture(
    picture: Picture,
    settings: Settings | None = None,
    model: Model | None = None,
    runtime: Runtime = DEFAULT_RUNTIME,
    *,
    verify: bool = True,
    fallback: bool = True,
) -> Encoded:
    """Codes an image.

    Args:
        picture: what `load_picture` gives.
        settings: mode and quality; lossless by default.
        model: the model; the default one if None.
        runtime: how networks run; has no influence on the result.
        fallback: store the image where that is smaller than what the model makes; where only that is exact, it is
            stored in any case.
        verify: decode the file again and compare: alpha, and where it is lossless the colours.

    Raises:
        InputError: the settings do not fit the model.
        SelfcodecError: verification failed.
    """
    settings = settings or Settings()
    model = model or find_model(mode=settings.mode)
    sent, level = settings.resolved(model.levels)
    lossless = settings.mode is Mode.LOSSLESS
    if lossless and picture.exact_only:
        return _encoded_stored(_stored(picture), picture, verify=verify)
    height, width = picture.planes.shape[:2]
    grey = picture.planes.shape[2] == 1
    planes = np.repeat(picture.planes, 3, 2) if grey else picture.planes
    boxes = tile_boxes(width, height, model.spec.tile)
    streams: list[list[Words]] = [[] for _ in boxes]
    bits: dict[str, float] = dict.fromkeys(sent, 0.0)
    for batch in by_size(boxes, runtime.batch):
        tiles = [box.of(planes) for box in batch]
        coded, batch_bits = _encode_batch(model, tiles, settings, sent, grey, runtime)
        for box, stream in zip(batch, coded, strict=True):
            streams[box.index] = stream
        bits = {name: bits[name] + batch_bits[name] for name in sent}
    header = Header(
        mode=settings.mode,
        image_mode=picture.rendering,
        width=width,
        height=height,
        model_id=model.id,
        level=level,
        quality=settings.quality,
        seed=None if lossless else settings.seed,
    )
    side = b"" if picture.alpha is None else sidedata.pack_alpha(picture.alpha)
    sections = tuple(zip(*streams, strict=True))
    data = pack(Container(header, sent, sections, side, picture.metadata))
    if fallback and picture.stored_size <= len(data) and len(stored := _stored(picture)) <= len(data):
        return _encoded_stored(stored, picture, verify=verify)
    if verify:
        _verify(data, picture, model, runtime, lossless=lossless)
    return Encoded(data, settings.mode, bits)


def _stored(picture: Picture) -> bytes:
    """The fallback: the image's own samples, PNG or WebP, smaller for tiny and for synthetic images."""
    height, width = picture.planes.shape[:2]
    header = Header(Mode.STORED, picture.mode, width, height)
    return pack(Container(header, metadata=picture.metadata, stored=picture.stored))


def _encoded_stored(data: bytes, picture: Picture, *, verify: bool) -> Encoded:
    if verify:
        image, source = decode_file(data), picture.image
        if image.mode != source.mode or image.tobytes() != source.tobytes():
            raise SelfcodecError(_UNFAITHFUL)
    return Encoded(data, Mode.STORED)


def _verify(data: bytes, picture: Picture, model: Model, runtime: Runtime, *, lossless: bool) -> None:
    """Decodes a file; SelfcodecError unless alpha, and without loss the colours too, are the picture's."""
    container = open_file(data, model=model)
    planes = decode_planes(container, model, runtime)[:, :, : picture.planes.shape[2]]
    alpha = None
    if container.side:
        alpha = sidedata.unpack_alpha(container.side, container.header.width, container.header.height)
    same_alpha = alpha is None if picture.alpha is None else np.array_equal(picture.alpha, alpha)  # type: ignore[arg-type]
    if not same_alpha or (lossless and not np.array_equal(picture.planes, planes)):
        raise SelfcodecError(_UNFAITHFUL)


def verify_encoded(encoded: Encoded, picture: Picture, model: Model, runtime: Runtime = DEFAULT_RUNTIME) -> None:
    """Checks a file that `encode_picture` made of this picture with `verify=False`, as it else does itself.

    Raises:
        SelfcodecError: the file does not decode to its image.
    """
    if encoded.mode is Mode.STORED:
        _encoded_stored(encoded.data, picture, verify=True)
    else:
        _verify(encoded.data, picture, model, runtime, lossless=encoded.mode is Mode.LOSSLESS)


def open_file(data: bytes, *, allow_truncated: bool = False, model: Model | None = None) -> Container:
    """A file's contents, checked; see `container.unpack` for the errors, `zoo.model_by_id` for a missing model."""

    def variables(model_id: bytes, mode: Mode, level: int) -> tuple[str, ...]:
        return sent_variables(mode, _model_of(model_id, model).levels, level)

    return unpack(data, variables, allow_truncated=allow_truncated)


def cut_file(data: bytes, mode: Mode, level: int | None = None, *, allow_truncated: bool = False) -> bytes:
    """The file that encoding in a shallower mode would have given, up to the last word, without decoding.

    Raises:
        InputError: the mode's variables are no prefix of those in the file.
    """
    container = open_file(data, allow_truncated=allow_truncated)
    if container.header.mode is Mode.STORED:
        raise InputError("the image is stored whole, there is nothing to cut: encode it again in the mode you want")
    levels = model_by_id(container.header.model_id).levels
    level = default_level(mode, levels) if level is None else level
    return pack(cut(container, sent_variables(mode, levels, level), mode, level))


def decode_file(
    data: bytes,
    *,
    upto: Mode | None = None,
    allow_truncated: bool = False,
    model: Model | None = None,
    runtime: Runtime = DEFAULT_RUNTIME,
) -> Image.Image:
    """Decodes a file.

    Args:
        data: the file.
        upto: decode as if the file had been cut to this mode; a stored image has no parts and comes back whole.
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
        sidedata.apply_metadata(image, container.metadata)
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
    sent, grey = frozenset(container.variables), header.image_mode in _GREY_MODES
    planes = np.empty((header.height, header.width, 3), dtype=np.uint8)

    def decode_share(share: list[Box]) -> None:
        batches = list(by_size(share, runtime.batch))
        indices = [box.index for batch in batches for box in batch]
        decoder = Decoder([np.concatenate([section[i] for section in container.streams]) for i in indices])
        fill = Mean() if header.seed is None else Sampler([(header.seed << 32) + i for i in indices])
        walks, start = list[Walk](), 0
        for batch in batches:
            part, size = slice(start, start + len(batch)), (batch[0].height, batch[0].width)
            coders = (decoder.part(part), fill.part(part))
            walks.append(Walk(model, size, len(batch), sent, *coders, header.quality, grey, runtime))
            start = part.stop
        images = run_together(walks, decoder, fill)
        if whole and header.mode is Mode.LOSSLESS:
            decoder.finish()
        for batch, x in zip(batches, images, strict=True):
            for box, tile in zip(batch, x.transpose(0, 2, 3, 1), strict=True):
                box.of(planes)[...] = tile

    workers = min(MOST_SHARES, torch.get_num_threads())
    tasks = [partial(decode_share, share) for share in shares(boxes, runtime.batch, workers)]
    for _ in mapped(tasks, workers):
        pass
    return planes


def sample_images(
    model: Model, count: int, size: tuple[int, int], seed: int, runtime: Runtime = DEFAULT_RUNTIME
) -> UInt8:
    """Images drawn from the model (paper: generation), (count, H, W, 3); the same on every machine.

    Args:
        size: (height, width) in pixels, at most the model's tile.
        seed: image i is drawn from seed + i.

    Raises:
        InputError: the size is larger than a tile.
    """
    tile = model.spec.tile
    if max(size) > tile:
        raise InputError(f"images are drawn up to {tile}×{tile} pixels with this model, not {size[1]}×{size[0]}")
    images, batch = [], max(1, min(runtime.batch, PIXELS_AT_ONCE // (size[0] * size[1])))
    for start in range(0, count, batch):
        n = min(batch, count - start)
        fill = Sampler([(seed + start + i) << 32 for i in range(n)])
        walk = Walk(model, size, n, frozenset(), Mean(), fill, DEFAULT_QUALITY, False, runtime)
        images.append(walk.run().transpose(0, 2, 3, 1).astype(np.uint8))
    return np.concatenate(images)
