"""Encoding that is ended by signals, and commands that are measured from outside, leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from benchmark_commands import run

from selfcodec.benchmarks import processes
from selfcodec.benchmarks.commands import kills

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no such signals")


def test_every_signal_leaves_whole_files_alone(
    tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kills, "PATIENCE", 60.0)  # a busy machine takes time even for ending processes
    monkeypatch.setattr(kills, "IMAGES", 4)
    result = run("kills", "--kills", "4", "--model", tiny_model_dir / "tiny", "-o", tmp_path)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("4 kills within ")
    assert result.stdout.endswith(": 0 left something behind\n")


def test_what_is_left_is_told(tmp_path: Path) -> None:
    for name in (".selfcodec-1.tmp", "a.sv"):
        (tmp_path / name).write_bytes(b"part")
    assert {line.split()[0] for line in kills.left_behind(tmp_path)} == {".selfcodec-1.tmp", "a.sv:"}


def test_a_measured_command_ends_with_the_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    started = list[subprocess.Popen[bytes]]()

    class Noted(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)

    def broken(*arguments: object) -> None:
        raise OSError("interrupted")

    monkeypatch.setattr(processes, "COMMAND", processes.COMMAND.replace("\nmain()", "\nimport time; time.sleep(600)"))
    monkeypatch.setattr(subprocess, "Popen", Noted)
    monkeypatch.setattr(os, "wait4", broken)
    with pytest.raises(OSError, match="interrupted"):
        processes.command_memory("models")
    assert started[0].poll() == 1
