"""Compares what models decode and encode on an emulated 64-bit Arm with this processor, and with the pinned files.

python check.py PYTHON [MODEL...]: PYTHON is what make.sh made. Without models it takes all of the released ones.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
ZOO = ROOT / "models" / "zoo"


def results(python: str, models: list[str]) -> Iterator[tuple[str, str]]:
    """What was coded and the digest of what came out, as they come."""
    command = [python, str(Path(__file__).with_name("results.py")), *models]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        for line in worker.stdout:
            case, _, digest = line.strip().rpartition(": ")
            yield case, digest
    if worker.returncode:
        raise SystemExit(f"{python} failed with exit status {worker.returncode}")


def pinned() -> dict[str, str]:
    """The digests of the golden files and of their pixels, under the names that results.py gives them."""
    pixels = json.loads((DATA / "pixels.json").read_text(encoding="utf-8"))
    files = {path.stem: path.read_bytes() for path in DATA.glob("*.sv")}
    decoded = {f"{path} decoded": digest for path, digest in pixels.items()}
    return decoded | {f"{name} of golden": hashlib.sha256(data).hexdigest() for name, data in files.items()}


def main() -> None:
    python, *models = sys.argv[1:]
    models = models or sorted(folder.name for folder in ZOO.iterdir() if folder.is_dir())
    expected = dict(results(sys.executable, models))
    unlike = [case for case, digest in pinned().items() if expected.get(case, digest) != digest]
    if unlike:
        raise SystemExit(f"this processor itself differs from what is pinned: {', '.join(unlike)}")
    different, start = [], time.monotonic()
    for case, digest in results(python, models):
        same = expected.pop(case) == digest
        print(f"{time.monotonic() - start:6.0f} s  {case}: {'the same' if same else 'DIFFERENT'}", flush=True)
        if not same:
            different.append(case)
    if different or expected:
        raise SystemExit(f"different on Arm: {', '.join(different + list(expected))}")


if __name__ == "__main__":
    main()
