"""What benchmarks share: measures, PNG and its peers, and what a report says of where it was made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from benchmark_commands import run

from selfcodec.arrays import UInt8
from selfcodec.benchmarks import metrics


def test_psnr_of_known_errors() -> None:
    black = np.zeros((4, 5, 3), np.uint8)
    assert metrics.psnr(black, black) == np.inf
    assert metrics.psnr(black, black + 255) == 0
    assert metrics.psnr(black + 1, black) == pytest.approx(48.1308, abs=1e-4)
    assert metrics.psnr(black, black + 1) == metrics.psnr(black + 1, black)


@pytest.mark.parametrize("other", [np.zeros((4, 5), np.uint8), np.zeros((4, 5, 3))])
def test_psnr_refuses_other_shapes_and_types(other: Any) -> None:
    with pytest.raises(ValueError, match="PSNR"):
        metrics.psnr(np.zeros((4, 5, 3), np.uint8), other)


def test_bits_per_pixel_and_per_dimension() -> None:
    assert metrics.bits_per_pixel(3072, 32, 32) == 24
    assert metrics.bits_per_dim(3072, (32, 32, 3)) == 8


def test_mean_of_what_is_finite() -> None:
    assert metrics.mean_finite([1.0, np.inf, 4.0]) == 2.5
    assert metrics.mean_finite([np.inf]) is None


@pytest.mark.parametrize("name", metrics.PEERS)
def test_peers_are_lossless(name: str, photo: UInt8) -> None:
    if name == "jxl":
        pytest.importorskip("imagecodecs")
    peer = metrics.PEERS[name]
    data = peer.write(photo)
    assert len(data) < photo.size
    assert np.array_equal(peer.read(data), photo)


def test_a_command_line_leaves_out_where_files_lie(tmp_path: Path) -> None:
    lines = []

    @click.command("name", cls=metrics.BenchmarkCommand)
    @click.option("-o", "--output")
    def command(output: str) -> None:
        lines.append(metrics.command_line(click.get_current_context()))

    run(command, "-o", tmp_path / "out file")
    run(command, f"--output={tmp_path / 'out'}")
    run(command, "-o", "here/out")
    start = "python -m selfcodec.benchmarks.name"
    assert lines == [f"{start} -o 'out file'", f"{start} --output=out", f"{start} -o here/out"]


def test_environment_names_versions() -> None:
    assert {"selfcodec", "python", "torch", "imagecodecs"} <= set(metrics.environment()["versions"])
