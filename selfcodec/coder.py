"""Entropy coding of bytes under integer distributions; the only file that knows constriction.

A byte is coded as two 16-way decisions, its high and its low half, so that the CDF is evaluated at 17 + 17 points
instead of 257, and one of four possible bytes as one 4-way decision. A `ByteCoder` is handed distributions in the order
of the schedule, whichever side it is on: the encoder notes values and codes them in reverse in the end, since ANS is a
stack; the decoder reads them; the sampler reads them from random words, which is the same as drawing from the
distributions; the mean takes each distribution's mean. Images of a batch have a stream each, and their distributions
are evaluated together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import constriction
import numpy as np
import numpy.typing as npt

from selfcodec.errors import FormatError, TruncatedError
from selfcodec.layout import WINDOW
from selfcodec.mixture import IntArray, Mixture

Words = npt.NDArray[np.uint32]
Weights = npt.NDArray[np.float64] | npt.NDArray[np.uint16]
"""Exact integers."""
Digits = IntArray | npt.NDArray[np.uint8]

CHUNK = 8192
"""Bytes of an image whose digits are coded together: all high ones, then all low ones. Part of the format."""
DIGIT = 16
PRECISION = 24
"""constriction's default: probabilities are multiples of 2**-24, at least 1."""
STATE_WORDS = 2
"""32-bit words of an ANS coder's state."""


class ByteCoder(Protocol):
    """Turns distributions into bytes, given the true ones where they are known."""

    def code(self, mixture: Mixture, values: IntArray | None) -> IntArray:
        """Bytes (B, N), values 0..255; `values` holds them on the encoder's side and is ignored on the others."""
        ...


_MODEL = constriction.stream.model.Categorical(perfect=False)


def _digit_weights(mixture: Mixture, start: IntArray, width: int, count: int = DIGIT) -> npt.NDArray[np.float64]:
    """Weights (B, N, count) of the digits of `width` bytes each from `start` (B, N); exact integers, at least 1."""
    edges = start[..., None] + width * np.arange(count + 1)
    return (np.diff(mixture.cumulative(edges), axis=-1) + 1).astype(np.float64)


def _bits(weights: Weights, digits: Digits) -> npt.NDArray[np.float64]:
    """-log2 of the digits' probabilities, rounded to multiples of 2**-24 as constriction does, by image, (B,)."""
    free = 2**PRECISION - weights.shape[-1]
    edges = np.floor(
        np.cumsum(weights, -1, dtype=np.float64) * (free / weights.sum(-1, keepdims=True, dtype=np.float64))
    )
    edges[..., -1] = free
    widths = np.diff(edges, axis=-1, prepend=0.0) + 1
    bits: npt.NDArray[np.float64] = PRECISION - np.log2(np.take_along_axis(widths, digits[..., None], -1)[..., 0])
    return bits.sum(-1)


class Encoder:
    """Notes bytes with their distributions, then writes one stream an image.

    Attributes:
        bits: (B,) sum of -log2 p of everything noted so far.
    """

    def __init__(self, batch: int) -> None:
        self.bits = np.zeros(batch)
        self._pending: list[tuple[Digits, Weights]] = []

    def code(self, mixture: Mixture, values: IntArray | None) -> IntArray:
        if values is None:
            raise ValueError("an encoder needs the values")
        for start in range(0, mixture.shape[1], CHUNK):
            part, bytes_ = mixture.part(start, start + CHUNK), values[:, start : start + CHUNK]
            if part.window is not None:
                self.note(bytes_ - part.window, _digit_weights(part, part.window, 1, WINDOW))
                continue
            high, low = bytes_ // DIGIT, bytes_ % DIGIT
            self.note(high, _digit_weights(part, np.zeros_like(high), DIGIT))
            self.note(low, _digit_weights(part, DIGIT * high, 1))
        return values

    def note(self, digits: Digits, weights: Weights) -> None:
        """Notes digits (B, N) with their weights (B, N, count)."""
        self.bits += _bits(weights, digits)
        self._pending.append((digits, weights))

    def mark(self) -> int:
        """A point between two sections, for `finish`."""
        return len(self._pending)

    def finish(self, image: int, marks: Sequence[int]) -> tuple[Words, list[int]]:
        """One image's stream, and for each mark how many of its words hold everything noted before the mark.

        The stream's words stand in the order in which the decoder reads them, so that a prefix is decodable.
        """
        coder = constriction.stream.stack.AnsCoder()
        unread = {}  # words that the decoder has not read when it gets to a mark
        for i in range(len(self._pending), 0, -1):
            unread[i] = max(0, coder.num_words() - STATE_WORDS)
            digits, weights = self._pending[i - 1]
            exact = np.ascontiguousarray(weights[image], dtype=np.float64)
            coder.encode_reverse(digits[image].astype(np.int32), _MODEL, exact)
        words: Words = coder.get_compressed()[::-1].astype(np.uint32)
        return words, [len(words) - unread.get(mark, 0) for mark in marks]


class Decoder:
    """Reads bytes back from each image's words, in reading order."""

    def __init__(self, streams: Sequence[Words]) -> None:
        self._coders = [self._coder(words) for words in streams]

    @staticmethod
    def _coder(words: Words) -> constriction.stream.stack.AnsCoder:
        try:
            return constriction.stream.stack.AnsCoder(np.ascontiguousarray(words[::-1], dtype=np.uint32))
        except ValueError as error:
            raise FormatError(f"an entropy-coded stream is damaged: {error}") from error

    def code(self, mixture: Mixture, values: IntArray | None) -> IntArray:
        out = np.empty(mixture.shape, dtype=np.int64)
        for start in range(0, mixture.shape[1], CHUNK):
            part = mixture.part(start, start + CHUNK)
            if part.window is not None:
                bytes_ = part.window + self.digits(_digit_weights(part, part.window, 1, WINDOW))
            else:
                high = self.digits(_digit_weights(part, np.zeros(part.shape, dtype=np.int64), DIGIT))
                bytes_ = DIGIT * high + self.digits(_digit_weights(part, DIGIT * high, 1))
            out[:, start : start + CHUNK] = bytes_
        return out

    def digits(self, weights: npt.NDArray[np.float64]) -> IntArray:
        """The next digits (B, N), given their weights (B, N, count)."""
        pairs = zip(self._coders, weights, strict=True)
        return np.stack([coder.decode(_MODEL, np.ascontiguousarray(w)) for coder, w in pairs]).astype(np.int64)

    def finish(self) -> None:
        """TruncatedError unless every stream is spent exactly."""
        if not all(coder.is_empty() for coder in self._coders):
            raise TruncatedError("an entropy-coded stream does not end where its image does")


class Sampler(Decoder):
    """Draws bytes by decoding random words; the same seeds give the same bytes on every machine."""

    REFILL = 1 << 12

    def __init__(self, seeds: Sequence[int]) -> None:
        self._random = [np.random.Philox(key=seed) for seed in seeds]
        super().__init__([self._words(random, self.REFILL) for random in self._random])

    @staticmethod
    def _words(random: np.random.Philox, count: int) -> Words:
        words = (random.random_raw(count) & 0xFFFFFFFF).astype(np.uint32)
        words[0] |= 1  # the word read first, the top of the ANS coder's stack, must not be 0
        return words

    def digits(self, weights: npt.NDArray[np.float64]) -> IntArray:
        for i, random in enumerate(self._random):
            if self._coders[i].num_words() < weights.shape[1] + STATE_WORDS:  # a digit takes 24 bits at most
                self._coders[i] = self._coder(self._words(random, self.REFILL + weights.shape[1]))
        return super().digits(weights)


class Mean:
    """Takes every distribution's mean."""

    def code(self, mixture: Mixture, values: IntArray | None) -> IntArray:
        return np.clip((mixture.mean() - mixture.first_edge) // mixture.spacing, 0, 255)
