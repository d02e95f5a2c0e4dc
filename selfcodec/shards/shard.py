"""What every file of many pictures is to those who read and write it: files with names, one after another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from tarfile import TarInfo

from selfcodec.images.deep import AnyImage

HEAD_BYTES = 64
"""So many first bytes tell what a file is."""


@dataclass(frozen=True)
class Entry:
    """A file, or a folder, in a shard.

    Attributes:
        name: in the shard.
        info: permissions, owner, time and kind.
        head: its first bytes, as many as are there of HEAD_BYTES; of what is an image by its name perhaps none.
        read: returns all of its bytes; InputError naming shard and entry. Of compressed shards this is fast only from
            one entry to the next.
    """

    name: str
    info: TarInfo
    head: bytes
    read: Callable[[], bytes]


class Source(ABC):
    """A shard that is read."""

    left_out: tuple[str, ...] = ()
    """What it has that is no entry, or is else to be told of it, one line each; known when all entries are."""

    instead: str = ""
    """Of a file that can be read, but has no pictures, perhaps what it has, with the remedy."""

    @abstractmethod
    def entries(self) -> Iterator[Entry]:
        """All of them in order; InputError, naming the shard, where it is damaged."""

    @abstractmethod
    def close(self) -> None:
        """Nothing is read any more."""


class Sink(ABC):
    """A shard that is written."""

    @abstractmethod
    def add(self, name: str, info: TarInfo, data: bytes | memoryview) -> None:
        """A file, or a folder, that is copied."""

    @abstractmethod
    def add_image(self, name: str, info: TarInfo, image: AnyImage) -> tuple[str, ...]:
        """A picture; returns what cannot be kept of it, one line each. InputError where it does not fit."""

    @abstractmethod
    def finish(self) -> tuple[str, ...]:
        """There are no more; returns what was not kept, one line each."""
