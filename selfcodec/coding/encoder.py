"""Notes numbers with their distributions in the order of the schedule, and codes them in reverse in the end: ANS is a
stack. Images of a batch have a stream each, and their distributions are evaluated together.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from selfcodec.arrays import Float64, Int64, Words
from selfcodec.coding import stack
from selfcodec.coding.mixture import WINDOW, Mixture
from selfcodec.coding.notes import Frequencies, Notes, Symbols, Weighted
from selfcodec.coding.symbols import ALPHABET, CHUNK, ESCAPE_DIGITS, LENGTHS, UNIFORM, frequencies_of, repeated
from selfcodec.coding.tables import STATE_WORDS
from selfcodec.parallel import mapped


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
            chunk = slice(start, start + CHUNK)
            part, own = mixture.part(chunk), numbers[:, chunk]
            if part.window is not None:
                self.note(own - part.window, frequencies_of(part, part.window, 1, WINDOW))
                continue
            inside = np.clip(own, 0, 255) if part.unbounded else own
            high, low = inside // ALPHABET, inside % ALPHABET
            self.note(high, frequencies_of(part, np.zeros_like(high), ALPHABET))
            self.note(low, frequencies_of(part, ALPHABET * high, 1))
            if part.unbounded:
                self.note_escapes([np.abs(o - i)[(i == 0) | (i == 255)] for o, i in zip(own, inside, strict=True)])

    def note_escapes(self, beyond: Sequence[Int64]) -> None:
        """Notes how far beyond the ends of their range each image's numbers lie, (n,), at least 0."""
        if not any(map(len, beyond)):
            return
        counts = [sum((b >= ALPHABET**d).astype(np.int64) for d in range(1, ESCAPE_DIGITS)) for b in beyond]
        self.note([np.asarray(c) for c in counts], [repeated(LENGTHS, len(b)) for b in beyond])
        for place in range(max(int(np.max(c, initial=0)) for c in counts), -1, -1):
            digits = [b[c >= place] // ALPHABET**place % ALPHABET for b, c in zip(beyond, counts, strict=True)]
            self.note(digits, [repeated(UNIFORM, len(d)) for d in digits])

    def note(self, symbols: Symbols, frequencies: Frequencies) -> None:
        """Notes each image's symbols (n,) with their frequencies (n, count)."""
        self.add(Weighted(symbols, frequencies))

    def add(self, notes: Notes) -> None:
        """Notes what is noted already."""
        self.defer(lambda: notes)

    def defer(self, evaluate: Callable[[], Notes]) -> None:
        """Notes what `evaluate` returns, which is called in any thread and only once its turn has come."""
        self._pending.append(evaluate)

    def mark(self) -> None:
        """Sets a mark between two sections, for `finish`."""
        self._marks.append(len(self._pending))

    def finish(self) -> list[Stream]:
        """Every image's stream."""
        coders, marks = [stack.AnsCoder() for _ in range(self._batch)], self._marks
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
