"""How training steps are computed: in which numbers, and compiled to few large kernels in place of many small ones."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch

from selfcodec.errors import InputError
from selfcodec.models.selfvae import SelfVAE


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 matrices in hardware; two CPU cores that do train 1.8 times as fast."""
    if device.type == "cpu":
        able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older versions of PyTorch do not tell
        return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    return device.type == "cuda"


def keep_float32() -> None:
    """Has CUDA convolve in all of float32's bits, where it would by default in TF32's 10 of a mantissa.

    Rounding to formats needs them, and what is measured should not depend on the device.
    """
    torch.backends.cudnn.allow_tf32 = False


def _compiled(function: Callable[..., Any], device: torch.device) -> Callable[..., Any]:
    """Compiled for every shape that comes; on CUDA a recorded graph, which is launched at once (`reduce-overhead`).

    Random numbers are drawn by torch as they are without compilation, so that losses are the same but for rounding.
    """
    graphs = device.type == "cuda"
    fast = torch.compile(function, dynamic=False, options={"fallback_random": True, "triton.cudagraphs": graphs})

    if not graphs:
        return fast

    def called(*arguments: Any) -> Any:
        torch.compiler.cudagraph_mark_step_begin()  # what the last step gave is no longer read
        return fast(*arguments)

    return called


def compiled(model: SelfVAE, device: torch.device) -> SelfVAE:
    """The model with the same parameters, whose `forward` and `transmit` are compiled when they are first called.

    Raises:
        InputError: torch can compile nothing here.
    """
    try:
        _compiled(torch.sin, device)(torch.ones(8, device=device))
    except Exception as error:  # compilers, and how torch calls them, fail in many ways
        raise InputError(
            f"--compile: torch compiles nothing here ({type(error).__name__}); install a C++ compiler (g++), "
            "or leave the option out"
        ) from error
    fast = copy.copy(model)
    for name in ("forward", "transmit"):
        setattr(fast, name, _compiled(getattr(fast, name), device))
    return fast
