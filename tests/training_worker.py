"""Trains in one of several processes, or alone; run by test_distributed.

python training_worker.py FOLDER RANK COUNT

FOLDER has recipe.json, images.npy, and gets `RANK.pt`, see `train_recorded`. The last process asks to stop after STOP
steps.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from trainer_state import CPU, parameters

from selfcodec.models import train
from selfcodec.models.budget import Steps
from selfcodec.models.data import ImageSet
from selfcodec.models.distributed import Alone, Together
from selfcodec.models.recipe import parse_recipe_dict
from selfcodec.models.train import Trainer

STEPS, STOP = 8, 5


class Recorded(Trainer):
    """Keeps every step's terms, (V, B)."""

    def train_step(self, ys: list[Tensor]) -> dict[str, Tensor]:
        if not self.step:
            self.terms: list[Tensor] = []
        terms = super().train_step(ys)
        self.terms.append(torch.stack(list(terms.values())))
        return terms


def train_recorded(folder: Path, out: Path, processes: Alone, *, stops: bool) -> dict[str, object]:
    """Trains in float32, so that only orders of summation differ; gives each step's terms, and how things ended."""
    train.has_bfloat16 = lambda device: False
    recipe = parse_recipe_dict(json.loads((folder / "recipe.json").read_text(encoding="utf-8")))
    t, images = recipe.train, np.load(folder / "images.npy")
    sets = ImageSet.build(images, "downscale", 1, flip=t.flip, device=CPU, augment=t.augment, affine=t.affine)
    trainer = Recorded(recipe, out, CPU, Steps(STEPS), processes=processes)
    done = trainer.run(sets, sets, lambda progress: None, stopping=lambda: stops and trainer.step == STOP)
    return {"terms": trainer.terms, "done": done, "elapsed": trainer.elapsed, "weights": parameters(trainer)}


def main() -> None:
    folder, rank, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=count)
    found = train_recorded(folder, folder / f"run-{rank}", Together(), stops=rank == count - 1)
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
