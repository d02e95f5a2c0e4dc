"""Draws numbers from their distributions: what a decoder makes of random words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from selfcodec.arrays import Float64, Int32, Int64, Words
from selfcodec.coding.decoder import Decoder, Opened, SymbolSource
from selfcodec.coding.tables import RENEWED, STATE_WORDS

if TYPE_CHECKING:
    from selfcodec.coding.ans import StackArrays


class _RandomSource(SymbolSource):
    """Random words without end."""

    def __init__(self, seed: int) -> None:
        self._random, self._ahead = np.random.Philox(key=seed), np.zeros(0, np.uint32)
        super().__init__(self._words(RENEWED))

    def ahead(self, count: int) -> Words:
        """The next words, which may be taken then."""
        missing = count - len(self._ahead)
        if missing > 0:
            fresh = (self._random.random_raw(missing) & 0xFFFFFFFF).astype(np.uint32)
            self._ahead = np.concatenate([self._ahead, fresh])
        return self._ahead[:count]

    def take(self, count: int) -> None:
        """Leaves out so many of them from now on."""
        self._ahead = self._ahead[count:]

    def _words(self, count: int) -> Words:
        words = self.ahead(count).copy()
        self.take(count)
        words[0] |= 1  # the word read first, the top of the ANS coder's stack, must not be 0
        return words

    def decode(self, frequencies: Float64) -> Int32:
        if self.coder.num_words() < len(frequencies) + STATE_WORDS:  # a symbol takes 24 bits at most
            super().__init__(self._words(RENEWED + len(frequencies)))
        return super().decode(frequencies)


class _OpenedRandom(Opened):
    """The same of random words."""

    _sources: Sequence[_RandomSource]

    def streams(self, groups: Int64) -> StackArrays:
        self._take()
        if len(groups):
            most, symbols = groups.max(0), groups.sum(0)
            # Words are renewed once all but as many as a group wants were read, and at most once a group.
            times = np.minimum(len(groups), symbols // np.maximum(1, RENEWED - most) + 1)
            wanted = int((times * (RENEWED + most)).max(initial=0))
            pools = [source.ahead(wanted) for source in self._sources]
            self._stacks.supply(np.stack(pools), int(most.max(initial=0)))
        return self._stacks.streams

    def _take(self) -> None:
        for source, count in zip(self._sources, self._stacks.streams.taken.tolist(), strict=True):
            source.take(count)

    def close(self) -> None:
        super().close()
        self._take()


class Sampler(Decoder):
    """Draws numbers by decoding random words; the same seeds give the same numbers on every machine."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self._sources: Sequence[_RandomSource] = [_RandomSource(seed) for seed in seeds]

    def opened(self) -> Opened:
        return _OpenedRandom(self._sources)
