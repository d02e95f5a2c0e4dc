"""Tiles as streams and back. Pictures that are coded alike go together, which is faster where they are small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from selfcodec.arrays import Integers, UInt8, Words
from selfcodec.coding.decoder import Decoder
from selfcodec.coding.encoder import Encoder, Stream
from selfcodec.errors import FormatError
from selfcodec.format.container import Container
from selfcodec.format.header import Header
from selfcodec.modes import DEFAULT_QUALITY, Mode, sent_variables
from selfcodec.networks.integer import Runtime
from selfcodec.parallel import mapped, threads
from selfcodec.refining import USUAL, Work, can_refine, refined
from selfcodec.tiles import Box, by_size, shares, tile_boxes
from selfcodec.walk import Batch, Received, Sent, Source, Values, filling, walk
from selfcodec.zoo import Model

MOST_SHARES = 4
"""At most so many shares of the tiles are coded at the same time, which bounds memory."""
GREY_MODES = ("L", "LA")


@dataclass(frozen=True)
class Plan:
    """What is the same for all tiles of a file, and for those of files that are coded together.

    Attributes:
        sent: in coding order.
        quality: of the latents that it scales, by name.
        grey: only the first channel is coded.
        seed: see `Settings`.
        adapting: see `Batch`.
        work: of the encoder.
    """

    model: Model
    sent: tuple[str, ...]
    quality: dict[str, int]
    grey: bool
    seed: int | None
    adapting: bool
    runtime: Runtime
    work: Work = USUAL

    @staticmethod
    def of(header: Header, model: Model, sent: tuple[str, ...], runtime: Runtime, work: Work | None = None) -> Plan:
        """Of a file that sends these variables, which are fewer than its mode's where it was cut short."""
        whole = sent_variables(header.mode, model.levels, header.level)
        quality = model.qualities(whole, header.quality)
        grey = header.image_mode in GREY_MODES
        return Plan(model, sent, quality, grey, header.seed, header.adapting, runtime, work or USUAL)

    @property
    def refines(self) -> bool:
        """Whether latents are refined before they are coded."""
        return bool(self.work.effort) and can_refine(self.model, self.sent)

    def boxes(self, sizes: Sequence[tuple[int, int]]) -> list[list[Box]]:
        """The tiles of every picture, of its (height, width)."""
        tile = self.model.spec.tile
        return [tile_boxes(width, height, tile, picture) for picture, (height, width) in enumerate(sizes)]

    def batch(self, boxes: Sequence[Box]) -> Batch:
        """Tiles of one size."""
        size, seen = (boxes[0].height, boxes[0].width), min(self.quality.values(), default=DEFAULT_QUALITY)
        return Batch(self.model, size, len(boxes), self.grey, self.runtime, seen, self.adapting)

    def sources(self, sent: Source, boxes: Sequence[Box]) -> dict[str, Source]:
        """Of all variables of these tiles."""
        fill = filling(None if self.seed is None else [(self.seed << 32) + box.index for box in boxes])
        return {step.name: sent if step.name in self.sent else fill for step in self.model.steps}


@dataclass(frozen=True)
class Streams:
    """A picture's.

    Attributes:
        sections: by variable and tile.
        bits: the model's, by variable.
        expected: (H, W, 3), what a decoder will make of them; None where that was not asked for.
    """

    sections: tuple[tuple[Words, ...], ...]
    bits: dict[str, float]
    expected: UInt8 | None

    @property
    def words(self) -> int:
        """How many there are."""
        return sum(len(words) for section in self.sections for words in section)


def encode_tiles(
    plan: Plan, pictures: Sequence[UInt8], *, expect: bool, inferred: dict[int, Values] | None = None
) -> list[Streams]:
    """Streams of pictures (H, W, 3).

    Args:
        plan: of all of them.
        pictures: each its own size.
        expect: find what a decoder will make of them.
        inferred: of one picture, what was inferred before, by the first tile's index, and is kept now; None where
            nothing is.
    """
    expected = [np.empty_like(planes) if expect else None for planes in pictures]
    boxes = plan.boxes([planes.shape[:2] for planes in pictures])
    streams: list[list[list[Words]]] = [[[] for _ in own] for own in boxes]
    bits = [dict.fromkeys(plan.sent, 0.0) for _ in pictures]
    # Images are refined one by one, with all threads for each.
    workers, most = (1, 1) if plan.refines else (min(MOST_SHARES, threads()), plan.runtime.batch)
    shared = shares([box for own in boxes for box in own], most, workers)
    coders = [partial(_encode_share, plan, share, most, pictures, expected, inferred) for share in shared]
    for found in mapped(coders, workers):
        for box, stream in found:
            ends = [0, *stream.ends[:-1], len(stream.words)]
            streams[box.picture][box.index] = [stream.words[a:b] for a, b in pairwise(ends)]
            for name, cost in zip(plan.sent, stream.bits, strict=True):
                bits[box.picture][name] += cost
    return [
        Streams(tuple(zip(*own, strict=True)), costs, seen)
        for own, costs, seen in zip(streams, bits, expected, strict=True)
    ]


def _encode_share(
    plan: Plan,
    share: Sequence[Box],
    most: int,
    pictures: Sequence[UInt8],
    expected: Sequence[UInt8 | None],
    inferred: dict[int, Values] | None,
) -> list[tuple[Box, Stream]]:
    """Some tiles' streams; what a decoder will make of them goes into `expected`, where that is asked for."""
    found: list[tuple[Box, Stream]] = []
    for group in by_size(share, most):
        truth = _inferred(plan, group, pictures, inferred)
        coder, batch = Encoder(len(group)), plan.batch(group)
        sources = plan.sources(Sent(coder, truth, plan.quality, plan.work.thrift), group)
        expecting = expected[group[0].picture] is not None
        if not expecting:  # nothing after the last variable sent is needed
            order = list(sources)
            sources = {name: sources[name] for name in order[: order.index(plan.sent[-1]) + 1]}
        walk([batch], sources)
        if expecting:
            _put(expected, group, batch.values["x"])
        found += zip(group, coder.finish(), strict=True)
    return found


def _inferred(
    plan: Plan, boxes: list[Box], pictures: Sequence[UInt8], inferred: dict[int, Values] | None
) -> dict[str, Integers]:
    """What is sent of tiles of one size, before rounding to grids."""
    truth = None if inferred is None else inferred.get(boxes[0].index)
    if truth is None:
        tiles = [box.of(pictures[box.picture]) for box in boxes]
        images = np.stack(tiles) if len(tiles) > 1 else tiles[0][None]
        batch = plan.batch(boxes)
        truth = batch.infer(images, plan.sent)
        if plan.refines:
            truth["z1"] = refined(batch, images, truth, plan.sent, plan.work)
        if inferred is not None:
            inferred[boxes[0].index] = truth
    if inferred is not None:  # coding may overwrite it
        truth = {name: values.copy() for name, values in truth.items()}
    return truth


def _put(pictures: Sequence[UInt8 | None], boxes: Sequence[Box], x: Integers) -> None:
    """Puts tiles (B, 3, h, w) into their places."""
    for box, tile in zip(boxes, x.transpose(0, 2, 3, 1), strict=True):
        planes = pictures[box.picture]
        assert planes is not None
        box.of(planes)[...] = tile


def decode_tiles(plan: Plan, files: Sequence[Container], *, whole: bool) -> list[UInt8]:
    """Pictures (H, W, 3) of files.

    Args:
        plan: of all of them.
        files: each its own size.
        whole: they have all that their modes send, so that nothing may be left of lossless streams.

    Raises:
        FormatError: a file has too few or too many streams, or they are damaged.
    """
    sizes = [(file.header.height, file.header.width) for file in files]
    boxes = plan.boxes(sizes)
    for file, own in zip(files, boxes, strict=True):
        if any(len(section) != len(own) for section in file.streams):
            raise FormatError(f"the file has {len(file.streams[0])} streams where its size needs {len(own)}")
    pictures = [np.empty((*size, 3), dtype=np.uint8) for size in sizes]

    def decode_share(share: list[Box]) -> None:
        groups = list(by_size(share, plan.runtime.batch))
        ordered = [box for group in groups for box in group]
        words = [np.concatenate([section[box.index] for section in files[box.picture].streams]) for box in ordered]
        decoder = Decoder(words)
        batches = [plan.batch(group) for group in groups]
        walk(batches, plan.sources(Received(decoder, plan.quality), ordered))
        if whole and files[0].header.mode is Mode.LOSSLESS:
            decoder.finish()
        for group, batch in zip(groups, batches, strict=True):
            _put(pictures, group, batch.values["x"])

    workers = min(MOST_SHARES, threads())
    shared = shares([box for own in boxes for box in own], plan.runtime.batch, workers)
    for _ in mapped([partial(decode_share, share) for share in shared], workers):
        pass
    return pictures
