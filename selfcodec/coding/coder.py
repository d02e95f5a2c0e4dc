"""Entropy coding of numbers under integer distributions; the only file that knows constriction.

A number 0..255 is coded as two 16-way symbols, its high and its low half, so that the CDF is evaluated at 17 + 17
points instead of 257, and one of four possible numbers as one 4-way symbol. Distributions come in the order of the
schedule, whichever side it is: the encoder notes symbols and codes them in reverse in the end, since ANS is a stack;
the decoder reads them; the sampler reads them from random words, which is the same as drawing from the distributions.
Images of a batch have a stream each, and their distributions are evaluated together.

Where a distribution is unbounded, 0 and 255 are followed by an escape, which tells how far beyond them the number lies:
in hexadecimal, first how many digits that takes, then the digits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from selfcodec.arrays import Float64, Int32, Int64, UInt8, UInt16, UInt32, Words
from selfcodec.coding.mixture import WINDOW, Mixture
from selfcodec.coding.tables import PRECISION, STATE_WORDS
from selfcodec.errors import FormatError, TruncatedError
from selfcodec.parallel import mapped

if TYPE_CHECKING:
    from selfcodec.coding.ans import Stacks

try:
    from constriction import stream
except ModuleNotFoundError:  # it has no wheel for every platform
    from selfcodec.coding import ans

    AnsCoder, _MODEL = ans.AnsCoder, ans.Categorical(perfect=False)
else:
    AnsCoder, _MODEL = stream.stack.AnsCoder, stream.model.Categorical(perfect=False)

_Stack: TypeAlias = Any
"""An `AnsCoder`, whichever it is."""
Symbols = Sequence[Int64] | Int64 | UInt8
"""Each image has (n,) of them; an array has as many of each, (B, n)."""
Frequencies = Sequence[Float64] | Float64 | UInt16
"""They are exact integers, not normalised: of each image's symbols (n, count)."""

ALPHABET = 16
"""A number is coded as two symbols of this many values, the high one first."""
CHUNK = 8192
"""So many numbers of an image are coded together: all high symbols, then all low ones, then escapes. This is part of
the format."""
ESCAPE_DIGITS = 7
"""An escape has at most so many hexadecimal digits."""
_LENGTHS = np.ldexp(1.0, np.arange(ESCAPE_DIGITS)[::-1])
"""An escape's number of digits less one has these frequencies: each is half as frequent as the one before."""
_UNIFORM = np.ones(ALPHABET)
_COSTS_AT_ONCE = 1 << 12
"""The costs of so many symbols are computed together, in a processor's cache."""


def _frequencies(mixture: Mixture, start: Int64, width: int, count: int = ALPHABET) -> Float64:
    """Frequencies (B, N, count) of the symbols of `width` numbers each from `start` (B, N); integers, at least 1."""
    edges = start[..., None] + width * np.arange(count + 1)
    return (np.diff(mixture.cumulative(edges), axis=-1) + 1).astype(np.float64)


def _repeated(frequencies: Float64, count: int) -> Float64:
    """The same frequencies (K,) for `count` symbols, (count, K)."""
    return np.tile(frequencies, (count, 1))


@cache
def _up_to(count: int) -> Float64:
    """A matrix (count, count) that takes frequencies to the sums of the first 1, 2, ... of them."""
    return np.triu(np.ones((count, count)))


def _bits(frequencies: Float64 | UInt16, symbols: Int64 | UInt8) -> float:
    """-log2 of the probabilities of symbols (N,), which are multiples of 2**-24, from frequencies (N, count).

    Of n frequencies symbol i has what lies between two sums, scaled and rounded down, and one more unit.
    """
    total, count = 0.0, frequencies.shape[1]
    up_to, free = _up_to(count), 2.0**PRECISION - count
    for start in range(0, len(symbols), _COSTS_AT_ONCE):
        own = symbols[start : start + _COSTS_AT_ONCE]
        exact, at = frequencies[start : start + _COSTS_AT_ONCE].astype(np.float64), np.arange(len(own))
        sums = exact @ up_to  # of integers, and exact in any order
        scale, above = free / sums[:, -1], sums[at, own]
        ends = np.where(own == count - 1, free, np.floor(above * scale))
        total += float((PRECISION - np.log2(ends - np.floor((above - exact[at, own]) * scale) + 1)).sum())
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


class Notes(ABC):
    """Symbols of every image that an encoder is to code."""

    @abstractmethod
    def bits(self) -> Float64:
        """-log2 of the probability of each image's, (B,)."""

    @abstractmethod
    def onto(self, coder: _Stack, image: int) -> _Stack:
        """An image's coder with its symbols on top."""


@dataclass(frozen=True)
class Weighted(Notes):
    """Each image's symbols (n,) with their frequencies (n, count)."""

    symbols: Symbols
    frequencies: Frequencies

    def bits(self) -> Float64:
        return np.array([_bits(f, s) for f, s in zip(self.frequencies, self.symbols, strict=True)])

    def onto(self, coder: _Stack, image: int) -> _Stack:
        if len(symbols := self.symbols[image]):
            weights = np.ascontiguousarray(self.frequencies[image], dtype=np.float64)
            coder.encode_reverse(symbols.astype(np.int32), _MODEL, weights)
        return coder


@dataclass(frozen=True)
class Intervals(Notes):
    """Each image's symbols by where their intervals of 2**24 start, (n,), and their sizes (n,), from compiled loops."""

    starts: Sequence[UInt32]
    sizes: Sequence[UInt32]

    def bits(self) -> Float64:
        return np.array([PRECISION * len(sizes) - np.log2(sizes).sum() for sizes in self.sizes])

    def onto(self, coder: _Stack, image: int) -> _Stack:
        from selfcodec.coding.ans import AnsCoder as Own  # here, since only loops need numba, which takes long to load

        own = Own(coder.get_compressed())
        own.encode_intervals(self.starts[image], self.sizes[image])
        return AnsCoder(own.get_compressed())


def _with_bits(evaluate: Callable[[], Notes]) -> tuple[Notes, Float64]:
    notes = evaluate()
    return notes, notes.bits()


class Encoder:
    """Notes numbers with their distributions, then writes one stream an image."""

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._pending: list[Callable[[], Notes]] = []
        self._marks: list[int] = []

    def encode(self, mixture: Mixture, numbers: Int64) -> None:
        """Notes numbers (B, N), 0..255, or any where the mixture is unbounded."""
        for start in range(0, mixture.shape[1], CHUNK):
            part, own = mixture.part(start, start + CHUNK), numbers[:, start : start + CHUNK]
            if part.window is not None:
                self.note(own - part.window, _frequencies(part, part.window, 1, WINDOW))
                continue
            inside = np.clip(own, 0, 255) if part.unbounded else own
            high, low = inside // ALPHABET, inside % ALPHABET
            self.note(high, _frequencies(part, np.zeros_like(high), ALPHABET))
            self.note(low, _frequencies(part, ALPHABET * high, 1))
            if part.unbounded:
                self.note_escapes([np.abs(o - i)[(i == 0) | (i == 255)] for o, i in zip(own, inside, strict=True)])

    def note_escapes(self, beyond: Sequence[Int64]) -> None:
        """Notes how far beyond the ends of their range each image's numbers lie, (n,), at least 0."""
        if not any(map(len, beyond)):
            return
        counts = [sum((b >= ALPHABET**d).astype(np.int64) for d in range(1, ESCAPE_DIGITS)) for b in beyond]
        self.note([np.asarray(c) for c in counts], [_repeated(_LENGTHS, len(b)) for b in beyond])
        for place in range(max(int(np.max(c, initial=0)) for c in counts), -1, -1):
            digits = [b[c >= place] // ALPHABET**place % ALPHABET for b, c in zip(beyond, counts, strict=True)]
            self.note(digits, [_repeated(_UNIFORM, len(d)) for d in digits])

    def note(self, symbols: Symbols, frequencies: Frequencies) -> None:
        """Notes each image's symbols (n,) with their frequencies (n, count)."""
        self.add(Weighted(symbols, frequencies))

    def add(self, notes: Notes) -> None:
        """Notes what is noted already."""
        self._pending.append(lambda: notes)

    def defer(self, evaluate: Callable[[], Notes]) -> None:
        """Notes what `evaluate` returns, which is called in any thread and only once its turn has come."""
        self._pending.append(evaluate)

    def mark(self) -> None:
        """Sets a mark between two sections, for `finish`."""
        self._marks.append(len(self._pending))

    def finish(self) -> list[Stream]:
        """Every image's stream."""
        coders, marks = [AnsCoder() for _ in range(self._batch)], self._marks
        unread = np.zeros((len(marks), self._batch), dtype=np.int64)  # words not read when the decoder gets to a mark
        bits = np.zeros((len(marks) + 1, self._batch))
        position = len(self._pending)
        for notes, costs in mapped([partial(_with_bits, e) for e in self._pending[::-1]]):
            unread[[mark == position for mark in marks]] = [max(0, c.num_words() - STATE_WORDS) for c in coders]
            bits[bisect_left(marks, position)] += costs
            coders = [notes.onto(coder, image) for image, coder in enumerate(coders)]
            position -= 1
        streams = []
        for i, coder in enumerate(coders):
            words: Words = coder.get_compressed()[::-1].astype(np.uint32)
            streams.append(Stream(words, [len(words) - int(n) for n in unread[:, i]], bits[: len(marks), i].tolist()))
        return streams


class _Source:
    """One image's words, in reading order, as symbols."""

    def __init__(self, words: Words) -> None:
        try:
            self.coder = AnsCoder(np.ascontiguousarray(words[::-1], dtype=np.uint32))
        except ValueError as error:
            raise FormatError(f"an entropy-coded stream is damaged: {error}") from error

    def decode(self, frequencies: Float64) -> Int32:
        symbols: Int32 = self.coder.decode(_MODEL, frequencies)
        return symbols


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

    def decode(self, frequencies: Float64) -> Int32:
        if (words := self.refill(self.coder.num_words(), len(frequencies))) is not None:
            super().__init__(words)
        return super().decode(frequencies)

    def refill(self, left: int, count: int) -> Words | None:
        """Words to go on with where so many are left and so many symbols are wanted; None where those are enough."""
        enough = left >= count + STATE_WORDS  # a symbol takes 24 bits at most
        return None if enough else self._words(self.REFILL + count)


class Opened:
    """A decoder's streams as compiled loops read them."""

    def __init__(self, sources: Sequence[_Source]) -> None:
        from selfcodec.coding.ans import Stacks  # here, since only these loops need numba, which takes long to load

        self._sources, self._stacks = sources, Stacks([source.coder.get_compressed() for source in sources])

    def stacks(self, counts: Sequence[int]) -> Stacks:
        """From which the next so many symbols of each image are read."""
        return self._stacks

    def close(self) -> None:
        """The decoder goes on where the loops ended."""
        for image, source in enumerate(self._sources):
            source.coder = AnsCoder(self._stacks.rest(image))


class _OpenedRandom(Opened):
    """The same of random words."""

    _sources: Sequence[_RandomSource]

    def stacks(self, counts: Sequence[int]) -> Stacks:
        for image, (source, count) in enumerate(zip(self._sources, counts, strict=True)):
            if count and (words := source.refill(len(self._stacks.rest(image)), count)) is not None:
                self._stacks.replace(image, words[::-1])
        return self._stacks


class Decoder:
    """Reads numbers back from each image's words, in reading order."""

    def __init__(self, streams: Sequence[Words]) -> None:
        self._sources: Sequence[_Source] = [_Source(words) for words in streams]

    def split(self, counts: Sequence[int]) -> list[Decoder]:
        """Decoders of so many images each, one after another, which read on in the same streams."""
        parts, start = [], 0
        for count in counts:
            part = copy(self)
            part._sources, start = self._sources[start : start + count], start + count
            parts.append(part)
        return parts

    def opened(self) -> Opened:
        """For loops that read symbol by symbol, until it is closed."""
        return Opened(self._sources)

    def decode(self, mixture: Mixture) -> Int64:
        """The next numbers, (B, N)."""
        out = np.empty(mixture.shape, dtype=np.int64)
        for start in range(0, mixture.shape[1], CHUNK):
            part = mixture.part(start, start + CHUNK)
            if part.window is not None:
                numbers = part.window + self._of_each(_frequencies(part, part.window, 1, WINDOW))
            else:
                high = self._of_each(_frequencies(part, np.zeros(part.shape, dtype=np.int64), ALPHABET))
                numbers = ALPHABET * high + self._of_each(_frequencies(part, ALPHABET * high, 1))
            if part.unbounded:
                self._add_escapes(numbers)
            out[:, start : start + CHUNK] = numbers
        return out

    def _add_escapes(self, numbers: Int64) -> None:
        """Moves 0 and 255 among numbers (B, N) to where their escapes say."""
        ends = (numbers == 0) | (numbers == 255)
        beyond = self.escapes(ends.sum(1).tolist())
        numbers[ends] += np.where(numbers[ends] == 0, -beyond, beyond)

    def escapes(self, of_image: Sequence[int]) -> Int64:
        """How far beyond the ends of their range the next numbers lie, (n,), of so many numbers of each image."""
        owner = np.repeat(np.arange(len(of_image)), of_image)
        beyond = np.zeros(len(owner), dtype=np.int64)
        if not len(owner):
            return beyond
        counts = self.symbols(_repeated(_LENGTHS, len(owner)), of_image)
        for place in range(int(counts.max()), -1, -1):
            has = counts >= place
            in_image = np.bincount(owner[has], minlength=len(of_image))
            beyond[has] += ALPHABET**place * self.symbols(_repeated(_UNIFORM, int(has.sum())), in_image.tolist())
        return beyond

    def _of_each(self, frequencies: Float64) -> Int64:
        """As many symbols of each image, (B, N), given their frequencies (B, N, count)."""
        batch, n, count = frequencies.shape
        return self.symbols(frequencies.reshape(batch * n, count), [n] * batch).reshape(batch, n)

    def symbols(self, frequencies: Float64, counts: Sequence[int]) -> Int64:
        """The next symbols (N,), given their frequencies (N, count); `counts` tells how many are each image's."""
        symbols, start = np.empty(len(frequencies), dtype=np.int64), 0
        for source, count in zip(self._sources, counts, strict=True):
            if count:
                symbols[start : start + count] = source.decode(frequencies[start : start + count])
                start += count
        return symbols

    def finish(self) -> None:
        """TruncatedError unless every stream is spent exactly."""
        if not all(source.coder.is_empty() for source in self._sources):
            raise TruncatedError("an entropy-coded stream does not end where its image does")


class Sampler(Decoder):
    """Draws numbers by decoding random words; the same seeds give the same numbers on every machine."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self._sources: Sequence[_RandomSource] = [_RandomSource(seed) for seed in seeds]

    def opened(self) -> Opened:
        return _OpenedRandom(self._sources)
