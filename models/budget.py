"""How long a training runs: for so many minutes, or for so many steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Budget(ABC):
    """What a training may spend; learning rates and all else that changes with time follow the share that is spent."""

    amount: float
    unit: ClassVar[str]

    @abstractmethod
    def spent(self, step: int, elapsed: float) -> float:
        """So much of the budget, in its unit, after so many steps and seconds."""

    @abstractmethod
    def words(self, step: int, elapsed: float) -> str:
        """The same in words, beside the number of the step."""

    def fraction(self, step: int, elapsed: float) -> float:
        """The same as a share, at most 1."""
        return min(1.0, self.spent(step, elapsed) / self.amount)

    def __str__(self) -> str:
        return f"{self.amount:g} {self.unit}"


class Minutes(Budget):
    """Time in which steps are computed; evaluation does not count."""

    unit = "minutes"

    def spent(self, step: int, elapsed: float) -> float:
        return elapsed / 60

    def words(self, step: int, elapsed: float) -> str:
        return f"{elapsed / 60:.1f} of {self}, step {step}"


class Steps(Budget):
    """Equal work on every machine: losses depend on nothing but the recipe and the order of summation."""

    unit = "steps"

    def spent(self, step: int, elapsed: float) -> float:
        return step

    def words(self, step: int, elapsed: float) -> str:
        return f"step {step} of {self.amount:.0f}"


def in_last(share: float, fraction: float) -> bool:
    """Whether the last such share of a training has begun where that fraction of it is over; a share of 0 never has."""
    return share > 0 and fraction >= 1 - share


BUDGETS: dict[str, type[Budget]] = {kind.unit: kind for kind in (Minutes, Steps)}
"""By unit, as checkpoints name them."""
