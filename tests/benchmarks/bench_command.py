"""Runs of `selfcodec bench`, their results, and records to make up others from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from selfcodec.benchmarks.results import Record, Run
from selfcodec.cli.main import main


def run(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["bench", *(str(a) for a in arguments)])
    assert result.exit_code == code, result.output
    assert (code == 1) == ("selfcodec: error: " in result.stderr)
    return result


def results(path: Path) -> Run:
    return Run.load(path)


def record(coder: str, setting: str, size: int, **more: Any) -> Record:
    unknown = dict.fromkeys(("ms_ssim", "ssimulacra2", "peak_mib"))
    fields = {"psnr": 30.0, "max_error": 9, "failure": "", **unknown} | more
    return Record("i", 10, 20, coder, setting, size, size - 5, encode_seconds=0.5, decode_seconds=0.25, **fields)
