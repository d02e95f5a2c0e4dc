"""Asymmetric numeral systems on a stack of 32-bit words, for compiled loops, and where constriction is not installed.

They write and read the very words of constriction's `AnsCoder` under its `Categorical(perfect=False)`. `AnsCoder` has
as much of its interface as `encoder` and `decoder` use, so that one can stand for the other where PyPI has no wheel of
it, as for Linux on Arm; and `encode_intervals`, of what loops have noted.
`Stacks` are for loops that decode symbol by symbol, each with frequencies that depend on the one before.

The state is a number of 64 bits. A symbol with the interval [start, start + size) of 2**24 takes it to one whose low 24
bits lie in the interval, which tells the symbol, and whose others are the old state divided by `size`. Words go from
the state to the stack before it would overflow, and come back once it is below 2**32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from selfcodec.arrays import Float64, Int32, Int64, UInt32, UInt64, Words
from selfcodec.coding.tables import PRECISION, RENEWED, STATE_WORDS
from selfcodec.compiled import compiled

# Numbers of the state's type: numba makes a float of an unsigned and a signed integer's sum.
_PRECISION, _WORD = np.uint64(PRECISION), np.uint64(32)
_QUANTILE_MASK, _WORD_MASK = np.uint64(2**PRECISION - 1), np.uint64(2**32 - 1)
_ROOM, _ONE = np.uint64(64 - PRECISION), np.uint64(1)
_STATE, _COUNT = 0, 1
_BOTTOM = np.uint32(1)
"""It is set in the word read first, the top of a stack, which must not be 0."""


class StackArrays(NamedTuple):
    """Several images' stacks for compiled loops.

    Attributes:
        registers: (B, 2), uint64, state and number of words.
        words: (B, n), uint32.
        pool: (B, m), uint32, random words that are there for more; none where a file is read.
        taken: (B,), int64, of those.
    """

    registers: UInt64
    words: Words
    pool: Words
    taken: Int64


@compiled
def interval(frequencies: Float64, symbol: int) -> tuple[int, int]:
    """A symbol's start and size in units of 2**-24, from the frequencies (count,) of its alphabet, positive integers.

    A symbol has what lies between two rounded sums of frequencies, and one more unit.
    """
    count, below, whole = len(frequencies), 0.0, 0.0
    for d in range(count):
        if d == symbol:
            below = whole
        whole += frequencies[d]
    free = 2.0**PRECISION - count
    scale = free / whole
    start = int(np.floor(below * scale))
    end = int(free if symbol == count - 1 else np.floor((below + frequencies[symbol]) * scale))
    return start + symbol, end - start + 1


@compiled
def quantile_of(registers: npt.NDArray[np.uint64]) -> np.int64:
    """The number below 2**24 in the next symbol's interval; registers (2,) of one image, see `StackArrays`."""
    return np.int64(registers[_STATE] & _QUANTILE_MASK)


@compiled
def pop(registers: npt.NDArray[np.uint64], stack: Words, start: int | np.int64, size: int | np.int64) -> None:
    """Decodes the symbol of an interval; where there are no more words, the state runs low.

    Args:
        registers: (2,), of one image.
        stack: (n,), its words.
        start, size: of the interval, in units of 2**-24.
    """
    state = registers[_STATE]
    state = np.uint64(size) * (state >> _PRECISION) + (state & _QUANTILE_MASK) - np.uint64(start)
    if state <= _WORD_MASK and registers[_COUNT]:
        registers[_COUNT] -= _ONE
        state = state << _WORD | np.uint64(stack[np.int64(registers[_COUNT])])
    registers[_STATE] = state


@compiled
def popped(registers: npt.NDArray[np.uint64], stack: Words, frequencies: Float64) -> int:
    """Decodes a symbol with frequencies (count,)."""
    last, whole, quantile = len(frequencies) - 1, frequencies[0], quantile_of(registers)
    for symbol in range(1, len(frequencies)):
        whole += frequencies[symbol]
    scale, symbol = (2.0**PRECISION - len(frequencies)) / whole, 0
    below, above = 0.0, frequencies[0]
    # Until its rounded sum and the units of the symbols so far are beyond the quantile.
    while symbol < last and above * scale < quantile - symbol:
        symbol += 1
        below, above = above, above + frequencies[symbol]
    start = np.int64(np.floor(below * scale)) + symbol
    end = 2**PRECISION - len(frequencies) if symbol == last else np.int64(np.floor(above * scale))
    pop(registers, stack, start, end + symbol - start + 1)
    return symbol


@compiled
def renewed(streams: StackArrays, image: int, count: int) -> None:
    """Before so many symbols of an image are decoded: replaces random words that might not suffice by new ones."""
    registers, pool, first = streams.registers[image], streams.pool[image], streams.taken[image]
    state, left = registers[_STATE], np.int64(registers[_COUNT])
    left += np.int64(state > 0) + np.int64(state > _WORD_MASK)
    if not len(pool) or left >= count + STATE_WORDS:  # a symbol takes 24 bits at most
        return
    last = first + RENEWED + count
    registers[_STATE] = np.uint64(pool[first] | _BOTTOM) << _WORD | np.uint64(pool[first + 1])
    registers[_COUNT] = np.uint64(last - first - STATE_WORDS)
    streams.words[image, : last - first - STATE_WORDS] = pool[first + STATE_WORDS : last][::-1]
    streams.taken[image] = last


@compiled
def _push_one(registers: npt.NDArray[np.uint64], stack: Words, start: int, size: int) -> None:
    """Encodes the symbol of an interval on a stack that has room for a word."""
    state, of_symbol = registers[_STATE], np.uint64(size)
    if state >> _ROOM >= of_symbol:
        stack[np.int64(registers[_COUNT])] = state & _WORD_MASK
        registers[_COUNT] += _ONE
        state >>= _WORD
    registers[_STATE] = (state // of_symbol << _PRECISION) + state % of_symbol + np.uint64(start)


@compiled
def _push(registers: npt.NDArray[np.uint64], stack: Words, symbols: Int32, frequencies: Float64) -> None:
    """Encodes symbols (n,) from the last to the first, with frequencies (n, count), on a stack of enough room."""
    for i in range(len(symbols) - 1, -1, -1):
        if not 0 <= symbols[i] < frequencies.shape[1]:
            raise KeyError("a symbol has no frequency")
        start, size = interval(frequencies[i], symbols[i])
        _push_one(registers, stack, start, size)


@compiled
def _push_intervals(registers: npt.NDArray[np.uint64], stack: Words, starts: UInt32, sizes: UInt32) -> None:
    """The same of symbols by their intervals (n,)."""
    for i in range(len(starts) - 1, -1, -1):
        _push_one(registers, stack, starts[i], sizes[i])


@compiled
def _pop(registers: npt.NDArray[np.uint64], stack: Words, frequencies: Float64, symbols: Int32) -> None:
    """Decodes symbols (n,) with frequencies (n, count)."""
    for i in range(len(frequencies)):
        symbols[i] = popped(registers, stack, frequencies[i])


@dataclass(frozen=True)
class Categorical:
    """The one family of distributions: `interval` tells which part of 2**24 a symbol has."""

    perfect: Literal[False]


class AnsCoder:
    """A stack of symbols, held as words: what is encoded last is decoded first."""

    def __init__(self, compressed: Words | None = None) -> None:
        """Of no words, or of those that `get_compressed` gave; ValueError where the last one is 0."""
        words = np.zeros(0, np.uint32) if compressed is None else compressed
        if len(words) and words[-1] == 0:
            raise ValueError("the top word of an entropy coder's stack is 0")
        state = sum(int(word) << (32 * i) for i, word in enumerate(words[-STATE_WORDS:]))
        self._stack: Words = words[:-STATE_WORDS].copy()
        self._registers = np.array([state, len(self._stack)], np.uint64)

    def encode_reverse(self, symbols: Int32, _: Categorical, frequencies: Float64) -> None:
        """Encodes symbols (n,), the last one first, with their frequencies (n, count); KeyError if one is not below."""
        self._make_room(len(symbols))
        _push(self._registers, self._stack, symbols, frequencies)

    def encode_intervals(self, starts: UInt32, sizes: UInt32) -> None:
        """Encodes symbols, the last one first, by their intervals (n,), see `interval`."""
        self._make_room(len(starts))
        _push_intervals(self._registers, self._stack, starts, sizes)

    def _make_room(self, symbols: int) -> None:
        """Room for so many more, each of which takes 24 bits at most."""
        used = int(self._registers[_COUNT])
        if used + symbols > len(self._stack):
            self._stack = np.concatenate([self._stack[:used], np.empty(used + symbols, np.uint32)])

    def decode(self, _: Categorical, frequencies: Float64) -> Int32:
        """As many symbols as frequencies (n, count)."""
        symbols = np.empty(len(frequencies), np.int32)
        _pop(self._registers, self._stack, frequencies, symbols)
        return symbols

    def _state(self) -> list[int]:
        """The state's words, low ones first, without zeros above."""
        words, state = [], int(self._registers[_STATE])
        while state:
            words.append(state & 0xFFFFFFFF)
            state >>= 32
        return words

    def num_words(self) -> int:
        """As many words as `get_compressed` has."""
        return int(self._registers[_COUNT]) + len(self._state())

    def get_compressed(self) -> Words:
        """All words, from the bottom of the stack to the top."""
        return np.concatenate([self._stack[: int(self._registers[_COUNT])], np.array(self._state(), np.uint32)])

    def is_empty(self) -> bool:
        """Whether there is nothing left."""
        return not self._registers[_STATE]


class Stacks:
    """One stack for each of several images.

    Attributes:
        streams: from which `popped` and `pop` take symbols.
    """

    def __init__(self, compressed: Sequence[Words]) -> None:
        """Of what `get_compressed` gave of each image."""
        coders, batch = [AnsCoder(words) for words in compressed], len(compressed)
        words = np.zeros((batch, max((len(coder._stack) for coder in coders), default=0)), np.uint32)
        for own, coder in zip(words, coders, strict=True):
            own[: len(coder._stack)] = coder._stack
        registers = np.array([coder._registers for coder in coders], np.uint64).reshape(batch, 2)
        self.streams = StackArrays(registers, words, np.zeros((batch, 0), np.uint32), np.zeros(batch, np.int64))

    def supply(self, pool: Words, most: int) -> None:
        """Gives every image random words (B, m), of which `renewed` takes what at most so many symbols want at once."""
        registers, words, _, taken = self.streams
        room = max(0, RENEWED + most - words.shape[1])
        self.streams = StackArrays(registers, np.pad(words, ((0, 0), (0, room))), pool, np.zeros_like(taken))

    def rest(self, image: int) -> Words:
        """What one image's stack still has."""
        coder = AnsCoder()
        coder._registers, coder._stack = self.streams.registers[image].copy(), self.streams.words[image]
        return coder.get_compressed()
