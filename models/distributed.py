"""Training in several processes, as torchrun starts them: each has its rows of a batch, all have the same weights.

Gradients are averaged in one sum of all of them. That needs no wrapped model, takes parameters without gradients as
they come, and what it costs is little beside such models' steps: a number a parameter, sent once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from selfcodec.models.draws import Share

PATIENCE = timedelta(hours=2)
"""So long processes wait for the first one, which evaluates alone."""

T = TypeVar("T")


class Alone:
    """What a trainer asks of the processes beside its own; here there are none.

    Attributes:
        share: this process's part of every batch.
    """

    share = Share()

    @property
    def first(self) -> bool:
        """Whether this process logs, evaluates and writes, for all."""
        return not self.share.index

    def average(self, gradients: Sequence[Tensor]) -> None:
        """Makes them the processes' means."""

    def gathered(self, terms: Tensor) -> Tensor:
        """(V, B) of whole batches, from every process's rows (V, b)."""
        return terms

    def agreed(self, elapsed: float, stopping: bool) -> tuple[float, bool]:
        """The first process's clock, and whether any process wants to stop."""
        return elapsed, stopping

    def same(self, value: T) -> T:
        """What the first process has."""
        return value

    def take(self, tensors: Sequence[Tensor]) -> None:
        """Gives all processes the first one's values."""

    def wait(self) -> None:
        """Until every process is here."""


class Together(Alone):
    """The processes of torch's default group."""

    def __init__(self) -> None:
        self.share = Share(dist.get_rank(), dist.get_world_size())

    def average(self, gradients: Sequence[Tensor]) -> None:
        total = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(total)
        parts = (total / self.share.count).split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))

    def gathered(self, terms: Tensor) -> Tensor:
        parts = [torch.empty_like(terms) for _ in range(self.share.count)]
        dist.all_gather(parts, terms)
        return torch.cat(parts, 1)

    def agreed(self, elapsed: float, stopping: bool) -> tuple[float, bool]:
        said = torch.tensor([elapsed if self.first else 0.0, stopping], dtype=torch.float64)
        dist.all_reduce(said, dist.ReduceOp.MAX)
        return float(said[0]), bool(said[1])

    def same(self, value: T) -> T:
        values = [value]
        dist.broadcast_object_list(values, device=torch.device("cpu"))
        return values[0]

    def take(self, tensors: Sequence[Tensor]) -> None:
        for tensor in tensors:
            copy = tensor.contiguous()  # communication takes no other order in memory
            dist.broadcast(copy, 0)
            tensor.copy_(copy)

    def wait(self) -> None:
        self.agreed(0.0, False)


def place_on_machine() -> Share:
    """Which of this machine's processes this one is."""
    return Share(int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


@contextmanager
def joined() -> Iterator[Alone]:
    """The processes that torchrun has started, or this one alone; unless the block fails, they part at its end."""
    if not (dist.is_available() and dist.is_torchelastic_launched()):
        yield Alone()
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)
    yield Together()
    dist.destroy_process_group()
