"""One of several processes that train the recipe of a checkpoint's folder together, for tests.

    python training_worker.py FOLDER RANK COUNT

FOLDER has recipe.json and images.npy, and gets terms-RANK.pt: every step's terms, (V, B), and the weights in the end.
The last process asks to stop after STOP steps.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from selfcodec.models import train
from selfcodec.models.budget import Steps
from selfcodec.models.data import ImageSet
from selfcodec.models.distributed import Alone, Together
from selfcodec.models.recipe import parse_recipe_dict
from selfcodec.models.train import Trainer

STOP = 5
CPU = torch.device("cpu")


class Recorded(Trainer):
    """Keeps every step's terms."""

    def train_step(self, ys: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        terms = super().train_step(ys)
        self.seen = [*getattr(self, "seen", []), torch.stack(list(terms.values()))]
        return terms


def trained(folder: Path, out: Path, processes: Alone, stops: bool) -> None:
    """Trains in float32, so that the order of summation is all that differs."""
    train.has_bfloat16 = lambda device: False
    recipe = parse_recipe_dict(json.loads((folder / "recipe.json").read_text()))
    images = ImageSet.build(np.load(folder / "images.npy"), "downscale", 1, flip=False, device=CPU, augment=True, affine=True)
    trainer = Recorded(recipe, out, CPU, Steps(8), processes=processes)
    done = trainer.run(
        images, images, lambda progress: None, every=1e9, stopping=lambda: stops and trainer.step == STOP
    )
    weights = torch.cat([p.detach().flatten() for p in trainer.model.parameters()])
    torch.save((trainer.seen, weights, done, trainer.elapsed), folder / f"terms-{processes.share.index}-{processes.share.count}.pt")


def main() -> None:
    folder, rank, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=count)
    trained(folder, folder / f"run-{rank}", Together(), rank == count - 1)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
