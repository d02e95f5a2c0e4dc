"""Reads numbers back, given their distributions in the order of the schedule."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING

import numpy as np

from selfcodec.arrays import Float64, Int32, Int64, Words
from selfcodec.coding import stack
from selfcodec.coding.mixture import WINDOW, Mixture
from selfcodec.coding.symbols import ALPHABET, CHUNK, LENGTHS, UNIFORM, frequencies_of, repeated
from selfcodec.errors import FormatError, TruncatedError

if TYPE_CHECKING:
    from selfcodec.coding.ans import StackArrays


class SymbolSource:
    """One image's words, in reading order, as symbols."""

    def __init__(self, words: Words) -> None:
        try:
            self.coder = stack.AnsCoder(np.ascontiguousarray(words[::-1], dtype=np.uint32))
        except ValueError as error:
            raise FormatError(f"an entropy-coded stream is damaged: {error}") from error

    def decode(self, frequencies: Float64) -> Int32:
        symbols: Int32 = self.coder.decode(stack.MODEL, frequencies)
        return symbols


class Opened:
    """A decoder's streams as compiled loops read them."""

    def __init__(self, sources: Sequence[SymbolSource]) -> None:
        from selfcodec.coding.ans import Stacks  # here, since only these loops need numba, which takes long to load

        self._sources, self._stacks = sources, Stacks([source.coder.get_compressed() for source in sources])

    def streams(self, groups: Int64) -> StackArrays:
        """From which the next symbols are read; groups (G, B) say how many of each image at once, one after another."""
        return self._stacks.streams

    def close(self) -> None:
        """The decoder goes on where the loops ended."""
        for image, source in enumerate(self._sources):
            source.coder = stack.AnsCoder(self._stacks.rest(image))


class Decoder:
    """Reads numbers back from each image's words, in reading order."""

    def __init__(self, streams: Sequence[Words]) -> None:
        self._sources: Sequence[SymbolSource] = [SymbolSource(words) for words in streams]

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
            part = mixture.part(slice(start, start + CHUNK))
            if part.window is not None:
                numbers = part.window + self._of_each(frequencies_of(part, part.window, 1, WINDOW))
            else:
                high = self._of_each(frequencies_of(part, np.zeros(part.shape, dtype=np.int64), ALPHABET))
                numbers = ALPHABET * high + self._of_each(frequencies_of(part, ALPHABET * high, 1))
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
        counts = self.symbols(repeated(LENGTHS, len(owner)), of_image)
        for place in range(int(counts.max()), -1, -1):
            has = counts >= place
            in_image = np.bincount(owner[has], minlength=len(of_image))
            beyond[has] += ALPHABET**place * self.symbols(repeated(UNIFORM, int(has.sum())), in_image.tolist())
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
