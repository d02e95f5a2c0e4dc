"""Measures of size and fidelity, and what a report says of where it was made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

from selfcodec.benchmarks import metrics
from selfcodec.benchmarks.provenance import environment
from selfcodec.cli.group import Group, command_line


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


def test_a_command_line_leaves_out_where_files_lie(tmp_path: Path) -> None:
    lines = []

    @click.group("python -m some.program", cls=Group)
    def program() -> None: ...

    @program.command("name")
    @click.option("-o", "--output")
    def command(output: str) -> None:
        lines.append(command_line())

    for options in (("-o", f"{tmp_path / 'out file'}"), (f"--output={tmp_path / 'out'}",), ("-o", "here/out")):
        assert CliRunner().invoke(program, ["name", *options]).exit_code == 0
    start = "python -m some.program name"
    assert lines == [f"{start} -o 'out file'", f"{start} --output=out", f"{start} -o here/out"]


def test_ms_ssim() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (170, 180, 3), dtype=np.uint8)
    other = np.clip(image.astype(int) + rng.integers(-40, 41, image.shape), 0, 255).astype(np.uint8)
    image.flags.writeable = False  # of which PyTorch would warn
    assert metrics.ms_ssim(image, image) == 1
    assert 0.5 < (metrics.ms_ssim(image, other) or 0) < 0.999
    assert metrics.ms_ssim(image[:160], other[:160]) is None


def test_environment_names_versions() -> None:
    assert {"selfcodec", "python", "torch", "imagecodecs"} <= set(environment()["versions"])
