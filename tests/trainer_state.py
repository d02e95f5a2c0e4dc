"""What a trainer holds, and its comparison with another's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from selfcodec.models.train import Trainer

CPU = torch.device("cpu")


def parameters(trainer: Trainer) -> Tensor:
    return torch.cat([p.detach().flatten() for p in trainer.model.parameters()])


def assert_equal(a: Any, b: Any) -> None:
    """Equality of nested states."""
    assert type(a) is type(b)
    if isinstance(a, Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            assert_equal(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_equal(x, y)
    else:
        assert a == b
