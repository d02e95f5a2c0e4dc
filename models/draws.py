"""Random numbers of training, alike however many processes share a batch.

Whoever draws for the images of a batch draws for all of it and takes the rows of this process. So processes that begin
with the same state of torch's random numbers keep it, and together draw what one alone would.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from selfcodec.errors import InputError


@dataclass(frozen=True)
class Share:
    """The part of every batch that a process has: part `index`, from 0, of `count` equal ones."""

    index: int = 0
    count: int = 1

    def check(self, batch: int) -> None:
        """InputError where a batch does not divide."""
        if batch % self.count:
            raise InputError(f"a batch of {batch} images does not divide among {self.count} processes: change either")


_share = Share()


@contextmanager
def sharing(share: Share) -> Iterator[None]:
    """Within the block batches are shared; outside of it every process has whole ones."""
    global _share
    before, _share = _share, share
    try:
        yield
    finally:
        _share = before


def whole(own: int) -> int:
    """Rows of a whole batch, of which this process has `own`."""
    return own * _share.count


def rows(batch: Tensor, dim: int = 0) -> Tensor:
    """This process's rows of what is there for a whole batch along a dimension.

    Raises:
        InputError: the rows do not divide.
    """
    _share.check(batch.shape[dim])
    own = batch.shape[dim] // _share.count
    return batch.narrow(dim, _share.index * own, own)


def uniform_like(x: Tensor) -> Tensor:
    """Uniform draws in [0, 1) for this process's rows x (B, ...)."""
    return rows(torch.rand((whole(len(x)), *x.shape[1:]), device=x.device))


def normal_like(x: Tensor) -> Tensor:
    """Standard normal draws for this process's rows x (B, ...)."""
    return rows(torch.randn((whole(len(x)), *x.shape[1:]), device=x.device))


def random_state(device: torch.device) -> dict[str, Tensor]:
    """The state of torch's random numbers on the processor and on a device."""
    state = {"cpu": torch.get_rng_state()}
    return state | {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else state


def restore(state: dict[str, Tensor], device: torch.device) -> None:
    """Sets what `random_state` gave, as far as it is there: it may be of another kind of device."""
    torch.set_rng_state(state["cpu"].cpu())
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Within the block torch's random numbers are those of a seed; after it they go on as if nothing had been drawn."""
    before = random_state(device)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        restore(before, device)
