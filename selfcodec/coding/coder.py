"""Entropy coding of bytes under integer distributions; the only file that knows constriction.

A byte is coded as two 16-way decisions, its high and its low half, so that the CDF is evaluated at 17 + 17 points
instead of 257, and one of four possible bytes as one 4-way decision. A `ByteCoder` is handed distributions in the order
of the schedule, whichever side it is on: the encoder notes values and codes them in reverse in the end, since ANS is a
stack; the decoder reads them; the sampler reads them from random words, which is the same as drawing from the
distributions; the mean takes each distribution's mean. Images of a batch have a stream each, and their distributions
are evaluated together.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import constriction
import numpy as np

from selfcodec.arrays import Float64, Int32, Int64, UInt8, UInt16, Words
from selfcodec.coding.mixture import WINDOW, Mixture
from selfcodec.compiled import compiled
from selfcodec.errors import FormatError, TruncatedError
from selfcodec.parallel import mapped

Weights = Float64 | UInt16
"""Exact integers."""
Digits = Int64 | UInt8

ALPHABET = 16
"""A byte is coded as two symbols of this many values, the high one first."""
CHUNK = 8192
"""Bytes of an image whose digits are coded together: all high ones, then all low ones. Part of the format."""
PRECISION = 24
"""constriction's default: probabilities are multiples of 2**-24, at least 1."""
STATE_WORDS = 2
"""32-bit words of an ANS coder's state."""


class ByteCoder(Protocol):
    """Turns distributions into bytes, given the true ones where they are known."""

    def code(self, mixture: Mixture, values: Int64 | None) -> Int64:
        """Bytes (B, N), values 0..255; `values` holds them on the encoder's side and is ignored on the others."""
        ...


_MODEL = constriction.stream.model.Categorical(perfect=False)


def _digit_weights(mixture: Mixture, start: Int64, width: int, count: int = ALPHABET) -> Float64:
    """Weights (B, N, count) of the digits of `width` bytes each from `start` (B, N); exact integers, at least 1."""
    edges = start[..., None] + width * np.arange(count + 1)
    return (np.diff(mixture.cumulative(edges), axis=-1) + 1).astype(np.float64)


@compiled
def _bits(weights: Weights, digits: Digits) -> float:
    """-log2 of the probabilities of digits (N,), which are multiples of 2**-24, from weights (N, count).

    Constriction gives a digit what lies between two rounded sums of weights, and one more unit.
    """
    total, (_, count) = 0.0, weights.shape
    free = 2.0**PRECISION - count
    for i in range(len(weights)):
        below, whole = 0.0, 0.0
        for d in range(count):
            if d < digits[i]:
                below += weights[i, d]
            whole += weights[i, d]
        scale = free / whole
        above = free if digits[i] == count - 1 else np.floor((below + weights[i, digits[i]]) * scale)
        total += PRECISION - np.log2(above - np.floor(below * scale) + 1)
    return total


@dataclass(frozen=True)
class Stream:
    """One image's stream.

    Attributes:
        words: in the order in which the decoder reads them, so that a prefix is decodable.
        ends: for each mark, how many of the words hold everything noted before it.
        bits: for each mark, -log2 p of what was noted before it and after the mark before.
    """

    words: Words
    ends: list[int]
    bits: list[float]


Notes = tuple[Digits, Weights]
"""Digits (B, N) with their weights (B, N, count)."""


def _with_costs(evaluate: Callable[[], Notes]) -> tuple[Digits, Weights, Float64]:
    digits, weights = evaluate()
    return digits, weights, np.array([_bits(w, d) for w, d in zip(weights, digits, strict=True)])


class Encoder:
    """Notes bytes with their distributions, then writes one stream an image."""

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._pending: list[Callable[[], Notes]] = []

    def code(self, mixture: Mixture, values: Int64 | None) -> Int64:
        if values is None:
            raise ValueError("an encoder needs the values")
        for start in range(0, mixture.shape[1], CHUNK):
            part, bytes_ = mixture.part(start, start + CHUNK), values[:, start : start + CHUNK]
            if part.window is not None:
                self.note(bytes_ - part.window, _digit_weights(part, part.window, 1, WINDOW))
                continue
            high, low = bytes_ // ALPHABET, bytes_ % ALPHABET
            self.note(high, _digit_weights(part, np.zeros_like(high), ALPHABET))
            self.note(low, _digit_weights(part, ALPHABET * high, 1))
        return values

    def note(self, digits: Digits, weights: Weights) -> None:
        """Notes digits (B, N) with their weights (B, N, count)."""
        self._pending.append(lambda: (digits, weights))

    def defer(self, evaluate: Callable[[], Notes]) -> None:
        """Notes what `evaluate` returns, which is called in any thread and only once its turn has come."""
        self._pending.append(evaluate)

    def mark(self) -> int:
        """A point between two sections, for `finish`."""
        return len(self._pending)

    def finish(self, marks: Sequence[int]) -> list[Stream]:
        """Every image's stream; `marks` are ascending."""
        coders = [constriction.stream.stack.AnsCoder() for _ in range(self._batch)]
        unread = np.zeros((len(marks), self._batch), dtype=np.int64)  # words not read when the decoder gets to a mark
        bits = np.zeros((len(marks) + 1, self._batch))
        position = len(self._pending)
        for digits, weights, costs in mapped([partial(_with_costs, evaluate) for evaluate in self._pending[::-1]]):
            unread[[mark == position for mark in marks]] = [max(0, c.num_words() - STATE_WORDS) for c in coders]
            bits[bisect_left(marks, position)] += costs
            for coder, of_image, exact in zip(coders, digits, weights, strict=True):
                coder.encode_reverse(of_image.astype(np.int32), _MODEL, np.ascontiguousarray(exact, dtype=np.float64))
            position -= 1
        streams = []
        for i, coder in enumerate(coders):
            words: Words = coder.get_compressed()[::-1].astype(np.uint32)
            streams.append(Stream(words, [len(words) - int(n) for n in unread[:, i]], bits[: len(marks), i].tolist()))
        return streams


class _Source:
    """One image's words, in reading order, as digits."""

    def __init__(self, words: Words) -> None:
        try:
            self.coder = constriction.stream.stack.AnsCoder(np.ascontiguousarray(words[::-1], dtype=np.uint32))
        except ValueError as error:
            raise FormatError(f"an entropy-coded stream is damaged: {error}") from error

    def decode(self, weights: Float64) -> Int32:
        digits: Int32 = self.coder.decode(_MODEL, weights)
        return digits


class _RandomSource(_Source):
    """Random words without end."""

    REFILL = 1 << 12

    def __init__(self, seed: int) -> None:
        self._random = np.random.Philox(key=seed)
        super().__init__(self._words(self.REFILL))

    def _words(self, count: int) -> Words:
        words = (self._random.random_raw(count) & 0xFFFFFFFF).astype(np.uint32)
        words[0] |= 1  # the word read first, the top of the ANS coder's stack, must not be 0
        return words

    def decode(self, weights: Float64) -> Int32:
        if self.coder.num_words() < len(weights) + STATE_WORDS:  # a digit takes 24 bits at most
            super().__init__(self._words(self.REFILL + len(weights)))
        return super().decode(weights)


class Decoder:
    """Reads bytes back from each image's words, in reading order."""

    def __init__(self, streams: Sequence[Words]) -> None:
        self._sources: Sequence[_Source] = [_Source(words) for words in streams]

    def part(self, images: slice) -> Decoder:
        """A decoder of some of the images, which reads on in the same streams."""
        part = copy(self)
        part._sources = self._sources[images]
        return part

    def code(self, mixture: Mixture, values: Int64 | None) -> Int64:
        out = np.empty(mixture.shape, dtype=np.int64)
        for start in range(0, mixture.shape[1], CHUNK):
            part = mixture.part(start, start + CHUNK)
            if part.window is not None:
                bytes_ = part.window + self._digits(_digit_weights(part, part.window, 1, WINDOW))
            else:
                high = self._digits(_digit_weights(part, np.zeros(part.shape, dtype=np.int64), ALPHABET))
                bytes_ = ALPHABET * high + self._digits(_digit_weights(part, ALPHABET * high, 1))
            out[:, start : start + CHUNK] = bytes_
        return out

    def _digits(self, weights: Float64) -> Int64:
        """As many digits of each image, (B, N), given their weights (B, N, count)."""
        batch, n, count = weights.shape
        return self.digits(weights.reshape(batch * n, count), [n] * batch).reshape(batch, n)

    def digits(self, weights: Float64, counts: Sequence[int]) -> Int64:
        """The next digits (N,), given their weights (N, count); `counts` tells how many are each image's."""
        digits, start = np.empty(len(weights), dtype=np.int64), 0
        for source, count in zip(self._sources, counts, strict=True):
            if count:
                digits[start : start + count] = source.decode(weights[start : start + count])
                start += count
        return digits

    def finish(self) -> None:
        """TruncatedError unless every stream is spent exactly."""
        if not all(source.coder.is_empty() for source in self._sources):
            raise TruncatedError("an entropy-coded stream does not end where its image does")


class Sampler(Decoder):
    """Draws bytes by decoding random words; the same seeds give the same bytes on every machine."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self._sources = [_RandomSource(seed) for seed in seeds]


class Mean:
    """Takes every distribution's mean."""

    def part(self, images: slice) -> Mean:
        """The same of some of the images."""
        return self

    def code(self, mixture: Mixture, values: Int64 | None) -> Int64:
        return np.clip((mixture.mean() - mixture.first_edge) // mixture.spacing, 0, 255)
