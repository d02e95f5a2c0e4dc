"""What a training run reports after every step."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass
class Progress:
    """What a training run reports.

    Attributes:
        figures: of the objective, averaged over recent batches.
        words: the same in one short line.
    """

    step: int
    elapsed: float
    fraction: float
    learning_rate: float
    figures: dict[str, float]
    words: str
    images_per_second: float


@dataclass
class RunningMeans:
    """Means of figures over recent batches.

    Attributes:
        figures: by name.
    """

    figures: dict[str, float] = field(default_factory=dict)

    def take(self, figures: dict[str, float]) -> None:
        """One batch more; figures that are not finite are left out, since a batch that was skipped may have no rate."""
        for name, figure in figures.items():
            if math.isfinite(figure):
                before = self.figures.get(name, figure)
                self.figures[name] = 0.98 * before + 0.02 * figure
