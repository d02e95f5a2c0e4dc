"""Training on shards of .sv files: a PyTorch data set whose workers decode many pictures at once.

selfcodec encode shards/ -o coded/
python docs/examples/shards.py coded/*.sv.tar
"""

from __future__ import annotations

import os
import sys
import tarfile
from collections.abc import Iterator, Sequence
from itertools import groupby, islice

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

import selfcodec

TOGETHER = 64
"""So many pictures are decoded at once, which takes half the time that they take one by one."""


def parts(name: str) -> tuple[str, str]:
    """Of a member's name what all files of its sample share, and what follows the first dot: `sv`, `cls`, `json`."""
    folder, slash, file = name.rpartition("/")
    stem, _, kind = file.partition(".")
    return folder + slash + stem, kind


def samples(path: str) -> Iterator[dict[str, bytes]]:
    """Every sample of a shard that has a picture: its files by their kind."""
    with tarfile.open(path) as shard:
        files = (member for member in shard if member.isfile())
        for _, members in groupby(files, lambda member: parts(member.name)[0]):
            sample = {parts(m.name)[1]: shard.extractfile(m).read() for m in members}  # type: ignore[union-attr]
            if "sv" in sample:
                yield sample


class Shards(IterableDataset[tuple[torch.Tensor, int]]):
    """Pictures (3, H, W), uint8, with their classes; -1 where there is none. Each worker reads shards of its own."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = tuple(paths)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, int]]:
        worker = get_worker_info()
        for path in self.paths if worker is None else self.paths[worker.id :: worker.num_workers]:
            waiting = samples(path)
            while group := list(islice(waiting, TOGETHER)):
                for sample, image in zip(group, selfcodec.decode_many(s["sv"] for s in group), strict=True):
                    pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
                    yield pixels, int(sample.get("cls", -1))


def one_thread(worker: int) -> None:
    """Workers share the processor, so each has one thread."""
    os.environ["OMP_NUM_THREADS"] = "1"


def loader(paths: Sequence[str], workers: int, batch: int = 32) -> DataLoader[tuple[torch.Tensor, int]]:
    """Batches of shards whose pictures are of one size. Workers are spawned: a copy of a process with threads hangs."""
    context = "spawn" if workers else None
    return DataLoader(
        Shards(paths), batch, num_workers=workers, worker_init_fn=one_thread, multiprocessing_context=context
    )


if __name__ == "__main__":
    count = sum(len(pixels) for pixels, _ in loader(sys.argv[1:], workers=2))
    print(f"{count} pictures")
