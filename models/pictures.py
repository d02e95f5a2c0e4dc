"""What decoders show for a training run, as a picture."""

from __future__ import annotations

from pathlib import Path

import torch

from selfcodec.arrays import UInt8
from selfcodec.files import writing
from selfcodec.models.data import Images
from selfcodec.models.mosaic import Row, mosaic
from selfcodec.models.objectives.objective import Objective
from selfcodec.models.selfvae import SelfVAE

COLUMNS = 8
SHOWN_SIDE = 64
"""Images are enlarged by a whole factor to at most this many pixels."""


def _pixels(x: torch.Tensor) -> UInt8:
    """(B, 3, H, W) of grey levels to (B, H, W, 3)."""
    return x.permute(0, 2, 3, 1).round().clamp(0, 255).to("cpu", torch.uint8).numpy()


@torch.no_grad()
def progress_rows(objective: Objective, model: SelfVAE, held_out: Images) -> dict[str, UInt8]:
    """Rows of a training run's picture by label: originals, and what the objective shows; each (B, H, W, 3)."""
    count = min(COLUMNS, len(held_out))
    ys = held_out.batch(torch.linspace(0, len(held_out) - 1, count, device=held_out.device).long())
    shown = objective.shown(model, ys)
    return {"original": _pixels(ys[0]), **{label: _pixels(images) for label, images in shown.items()}}


def write_progress(path: Path, objective: Objective, model: SelfVAE, held_out: Images) -> None:
    """Writes `progress_rows` with their labels as one PNG file, whole or not at all."""
    rows = progress_rows(objective, model, held_out)
    picture = mosaic([Row(list(images), label) for label, images in rows.items()], side=SHOWN_SIDE)
    with writing(path) as file:
        picture.save(file, "PNG")
