"""What a report says of its own making: the command, the date, the machine, and versions."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from selfcodec import __version__
from selfcodec.zoo import Model

PACKAGES = ("compressai", "constriction", "imagecodecs", "numpy", "pillow", "torch")
"""A report names the versions of these distributions."""


def _processor() -> str:
    """Return the processor's name, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def environment() -> dict[str, Any]:
    """Return date, machine and versions."""
    versions = {"selfcodec": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cpu": _processor(), "cores": os.cpu_count()},
        "versions": versions,
    }


def provenance(command: str, model: Model) -> dict[str, Any]:
    """Return what a report of one model says of its own making."""
    return {"command": command, **environment(), "model": {"name": model.spec.name, "sha256": model.digest}}
