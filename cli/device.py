"""Where the commands that train and evaluate compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfcodec.errors import InputError

if TYPE_CHECKING:
    import torch


def choose_device(name: str) -> torch.device:
    """`cpu`, `cuda`, or the better one that there is for `auto`.

    It computes float32 in float32. Of several processes on a machine each has a CUDA device of its own, which it makes
    its current one.

    Raises:
        InputError: there is no such device, or not one for each process.
    """
    import torch

    from selfcodec.models.computing import keep_float32
    from selfcodec.models.distributed import place_on_machine

    keep_float32()
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("torch finds no CUDA device: use --device cpu")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    place, there = place_on_machine(), torch.cuda.device_count()
    if place.count > there:
        raise InputError(f"{place.count} processes on a machine with {there} CUDA devices: start one for each")
    torch.cuda.set_device(place.index)
    return torch.device("cuda")
