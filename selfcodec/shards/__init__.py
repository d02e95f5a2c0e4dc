"""Files that hold many small pictures: tar files as WebDataset reads them, and arrays."""

from selfcodec.shards.array import ArraySink, ArraySource
from selfcodec.shards.shard import Entry, Sink, Source
from selfcodec.shards.tar import TarSink, TarSource

__all__ = ["ArraySink", "ArraySource", "Entry", "Sink", "Source", "TarSink", "TarSource"]
