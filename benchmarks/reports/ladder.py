"""The ladder of modes: bytes against fidelity, and whether more bytes buy more."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rich.table import Table

from selfcodec.benchmarks.measure import Measured
from selfcodec.benchmarks.metrics import bits_per_dim, mean_finite
from selfcodec.benchmarks.reports.tables import columns_table, number
from selfcodec.modes import Mode

BYTE_CHAINS = ((Mode.RS1, Mode.RS2), (Mode.RS1, Mode.CG, Mode.CR, Mode.LOSSLESS))
PSNR_CHAINS = ((Mode.RS1, Mode.RS2), (Mode.RS1, Mode.CG, Mode.CR))


@dataclass(frozen=True)
class Rung:
    """One mode's results, image by image."""

    files: Sequence[Measured]

    @property
    def size(self) -> float:
        """Return the mean bytes of a file."""
        return sum(file.size for file in self.files) / len(self.files)

    @property
    def quality(self) -> float:
        """Return the mean PSNR in dB of the images that changed; infinity where none did."""
        mean = mean_finite([math.inf if file.psnr is None else file.psnr for file in self.files])
        return math.inf if mean is None else mean

    @property
    def identical(self) -> int:
        """Return how many images came back as they were."""
        return sum(file.exact for file in self.files)

    @property
    def stored(self) -> int:
        """Return how many files hold the fallback."""
        return sum(file.stored for file in self.files)


@dataclass(frozen=True)
class Link:
    """One inequality of a chain, and whether the means obey it."""

    what: str
    holds: bool


def links(rungs: Mapping[Mode, Rung]) -> list[Link]:
    """Return the chains' links, as far as the model offers their modes."""
    out = []
    for chains, name in ((BYTE_CHAINS, "bytes"), (PSNR_CHAINS, "PSNR")):
        for chain in chains:
            for a, b in pairwise(mode for mode in chain if mode in rungs):
                low, high = rungs[a], rungs[b]
                holds = low.size < high.size if name == "bytes" else low.quality < high.quality
                out.append(Link(f"{name} {a} < {b}", holds))
    return out


def summary(shape: tuple[int, ...], rungs: Mapping[Mode, Rung], chain: Sequence[Link]) -> dict[str, Any]:
    """Return the figures by mode of images of one shape (H, W, 3), and the chains."""
    images = len(next(iter(rungs.values())).files)
    lossless = rungs.get(Mode.LOSSLESS)
    modes = {}
    for mode, rung in rungs.items():
        modes[str(mode)] = {
            "bytes": rung.size,
            "bits_per_dim": bits_per_dim(rung.size, shape),
            "ratio": math.prod(shape) / rung.size,
            "psnr": rung.quality if math.isfinite(rung.quality) else None,
            "identical": rung.identical,
            "stored": rung.stored,
        }
    return {
        "images": images,
        "shape": list(shape),
        "modes": modes,
        "chains": {link.what: link.holds for link in chain},
        "round_trip_failures": images - lossless.identical if lossless else 0,
    }


def ladder_table(figures: Mapping[str, Any], title: str) -> Table:
    """Return the modes, one row each."""
    table = columns_table(title, ["mode"], ["bytes", "bits/dim", "ratio", "PSNR (dB)", "identical", "stored"])
    for mode, found in figures["modes"].items():
        cells = (f"{found['bytes']:.1f}", f"{found['bits_per_dim']:.3f}", f"{found['ratio']:.2f}")
        table.add_row(mode, *cells, number(found["psnr"], 2), str(found["identical"]), str(found["stored"]))
    return table
