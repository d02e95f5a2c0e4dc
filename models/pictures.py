"""Pictures of what a model does: grids of images, and what decoders show for a training run."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from selfcodec.arrays import UInt8
from selfcodec.models.data import Images
from selfcodec.models.objectives.objective import Objective
from selfcodec.models.selfvae import SelfVAE

GAP = 2
"""So many white pixels lie between images."""
COLUMNS = 8
LABEL_WIDTH = 64
SHOWN_SIDE = 64
"""Smaller images are enlarged by a whole factor to at least this many pixels."""


def grid(images: UInt8, columns: int | None = None) -> UInt8:
    """Images (N, H, W, 3) row by row on white; as many columns as rows by default."""
    count, height, width, _ = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = -(-count // columns)
    out = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3), 255, dtype=np.uint8)
    for i, image in enumerate(images):
        top, left = GAP + i // columns * (height + GAP), GAP + i % columns * (width + GAP)
        out[top : top + height, left : left + width] = image
    return out


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
    """Writes `progress_rows` with their labels as one picture."""
    rows = progress_rows(objective, model, held_out)
    first = next(iter(rows.values()))
    factor = max(1, -(-SHOWN_SIDE // max(first.shape[1:3])))
    images = np.concatenate(list(rows.values())).repeat(factor, 1).repeat(factor, 2)
    body = grid(images, len(first))
    picture = Image.new("RGB", (LABEL_WIDTH + body.shape[1], body.shape[0]), "white")
    picture.paste(Image.fromarray(body), (LABEL_WIDTH, 0))
    draw = ImageDraw.Draw(picture)
    for i, label in enumerate(rows):
        draw.text((GAP + 2, GAP + i * (images.shape[1] + GAP)), label, fill="black")
    picture.save(path)
