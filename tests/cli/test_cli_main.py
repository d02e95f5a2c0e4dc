"""The command itself: errors in one line, exit statuses, help, and how it is started."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import numba
import pytest
from click.testing import CliRunner
from command_line import run
from PIL import Image

from selfcodec import decoding, rate_control
from selfcodec.cli.group import Group
from selfcodec.cli.main import main
from selfcodec.compiled import _tell, compiled
from selfcodec.errors import warn_of
from selfcodec.signals import Ended

pytest_plugins = ("command_line", "model_fixtures")
README = Path(__file__).parents[2] / "README.md"


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (RuntimeError("one\ntwo"), 1, "internal error, please report it: RuntimeError: one two"),
        (MemoryError(), 1, "not enough memory"),
        (OSError(28, "No space left"), 1, "No space left"),
        (KeyboardInterrupt(), 130, "stopped"),
        (Ended(15), 143, "stopped by SIGTERM"),
    ],
)
def test_every_error_is_one_line(
    error: BaseException, code: int, text: str, sv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(decoding, "decode_file", fail)
    result = run("verify", sv, code=code)
    assert text in result.stderr
    assert result.stderr.count("\n") == 1


def test_what_the_library_warns_of_is_a_line() -> None:
    @click.group(cls=Group)
    def group() -> None:
        pass

    @group.command()
    def warned() -> None:
        for _ in range(2):
            warn_of(["its text is left out"], "a.png")

    result = CliRunner().invoke(group, ["warned"])
    assert result.stderr == 2 * "selfcodec: warning: a.png: its text is left out\n"


def _twice(value: float) -> float:
    return 2 * value


@pytest.mark.parametrize("looked_at", [True, False])
def test_who_looks_on_is_told_that_loops_are_compiled(
    looked_at: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, however many there are; a script's log has no use for it."""

    @click.group(cls=Group)
    def group() -> None:
        pass

    @group.command()
    def coded() -> None:
        monkeypatch.setattr(sys.stderr, "isatty", lambda: looked_at, raising=False)
        for value in (1, 2.0):
            assert twice(value) == 2 * value

    with monkeypatch.context() as patch:
        patch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
        twice = compiled(_twice)
    _tell.cache_clear()
    result = CliRunner().invoke(group, ["coded"])
    told = "selfcodec: note: compiling loops for this processor, which takes up to a minute the first time\n"
    assert result.stderr == (told if looked_at else "")
    assert CliRunner().invoke(group, ["coded"]).stderr == ""


@pytest.mark.parametrize("quiet", [True, False])
def test_quiet_commands_leave_notes_out(quiet: bool, sv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choose_settings = rate_control.choose_settings

    def telling(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        logging.getLogger("selfcodec").info("this takes long")
        return choose_settings(*arguments, **options)

    monkeypatch.setattr(rate_control, "choose_settings", telling)
    png = sv.with_suffix(".png")
    Image.new("RGB", (8, 8)).save(png)
    result = run("encode", png, "-m", "rs1", "-o", sv, "--force", *["--quiet"][: int(quiet)])
    assert ("selfcodec: note: this takes long\n" in result.stderr) is not quiet
    assert not logging.getLogger("selfcodec").level


def test_a_note_that_nobody_can_read_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.group(cls=Group)
    def group() -> None:
        pass

    @group.command()
    def told() -> None:
        def closed() -> bool:
            raise ValueError("I/O operation on closed file")

        monkeypatch.setattr(sys.stderr, "isatty", closed, raising=False)
        logging.getLogger("selfcodec").info("this takes long")
        click.echo("done")

    result = CliRunner().invoke(group, ["told"])
    assert (result.exit_code, result.stdout, result.stderr) == (0, "done\n", "")


def test_a_reader_that_goes_away_is_no_error(tiny_model_dir: Path) -> None:
    program = "from selfcodec.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "models"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait() == 1


def test_help_is_quick_because_it_loads_little() -> None:
    program = "import sys, selfcodec.cli.main; sys.exit(bool({'torch', 'numpy', 'rich'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("program", ["import selfcodec", "import selfcodec.__main__"])
def test_importing_the_package_loads_neither_torch_nor_numpy(program: str) -> None:
    program += "; import sys; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_package_runs_as_a_program() -> None:
    def started(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "selfcodec", *arguments], capture_output=True, text=True)

    version, usage, failed = started("--version"), started("encode"), started("verify", "none.sv")
    assert (version.returncode, version.stdout) == (0, "selfcodec, version 0.1.0\n")
    assert usage.returncode == 2
    assert usage.stderr.startswith("Usage: selfcodec encode ")
    assert (failed.returncode, failed.stderr.startswith("selfcodec: error: none.sv: ")) == (1, True)


def test_usage_version_and_help() -> None:
    run(code=2)
    run("unknown", code=2)
    run("encode", code=2)
    assert run("--version").stdout == "selfcodec, version 0.1.0\n"
    for name in main.places:
        text = run(name, "--help").stdout
        assert f"selfcodec {name} " in text.replace("Usage: ", "")


@pytest.mark.skipif(not README.exists(), reason="there is no README.md")
@pytest.mark.parametrize("name", main.places)
def test_readme_shows_every_command(name: str) -> None:
    assert f"selfcodec {name}" in README.read_text(encoding="utf-8")


@pytest.mark.parametrize("command", ["bench", "eval"])
def test_force_is_told_to_begin_anew_where_results_are_gone_on_with(command: str) -> None:
    text = " ".join(run(command, "--help").stdout.split())
    assert "--force Begin anew, whatever is in the folder." in text


def test_comparing_results_takes_no_data_set(tmp_path: Path) -> None:
    told = run("bench", "--compare", tmp_path, tmp_path, "--dataset", "kodak", code=2).stderr
    assert told.endswith("Error: --compare and --dataset exclude each other\n")
