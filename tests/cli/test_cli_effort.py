"""The option --effort, and progress within a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import tiny_lossy
import variants
from command_line import encode, run
from PIL import Image
from shard_files import write_tar

from selfcodec.cli import output
from selfcodec.cli.output import Bar, progress

pytest_plugins = ("command_line", "model_fixtures")


@pytest.fixture
def lossy(tmp_path: Path) -> Iterator[Path]:
    """A small photograph, beside an installed model of lossy ones."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path / "models"
        variants.install(folder, tiny_lossy.NAME, tiny_lossy.weights())
        patch.setenv("SELFCODEC_MODELS", str(folder))
        path = tmp_path / "a.png"
        Image.fromarray(tiny_lossy.photo(96, 112)).save(path)
        yield path


def with_effort(path: Path, *arguments: object) -> bytes:
    result = run("encode", "--model", tiny_lossy.NAME, "-m", "rs2", path, "--force", *arguments)
    assert not result.stderr
    return path.with_suffix(".sv").read_bytes()


def test_effort_changes_the_file_and_not_how_it_is_decoded(lossy: Path) -> None:
    plain, better = (with_effort(lossy, "--effort", effort) for effort in (0, 4))
    assert plain != better
    assert with_effort(lossy) == plain
    run("decode", lossy.with_suffix(".sv"), "-o", lossy.with_name("b.png"))
    assert with_effort(lossy, "--effort", 4, "-j", 2) == better


def test_a_mode_that_the_model_does_not_offer_is_refused_once_with_those_it_does(lossy: Path) -> None:
    lossy.with_name("b.png").write_bytes(lossy.read_bytes())
    told = run("encode", "--model", tiny_lossy.NAME, lossy, lossy.with_name("b.png"), code=1).stderr
    offered = "does not offer mode lossless, but rs1, rs2, cg, cr: add -m rs2, or"
    assert told.startswith(f"selfcodec: error: model {tiny_lossy.NAME} {offered}")
    assert told.count("\n") == 1


@pytest.mark.parametrize("effort", [10, -1, 1.5, "much"])
def test_efforts_out_of_range_are_usage_errors(png: Path, effort: object) -> None:
    result = encode(png, "-m", "rs2", "--effort", effort, code=2)
    assert "--effort" in result.stderr
    assert not png.with_suffix(".sv").exists()


def test_an_effort_that_changes_nothing_is_told(png: Path) -> None:
    result = encode(png, "-m", "rs1", "--effort", 3)
    assert "warning: the effort changes nothing in mode rs1 of tiny" in result.stderr
    data = png.with_suffix(".sv").read_bytes()
    assert not encode(png, "-m", "rs1", "--force").stderr
    assert png.with_suffix(".sv").read_bytes() == data
    assert not encode(png, "-m", "rs1", "--effort", 3, "--quiet", "--force").stderr


# Progress.


@dataclass
class Seen:
    """What a command tells its bar.

    Attributes:
        parts: whether it said that there would be parts.
        updates: how many files were done, each time that it told.
    """

    parts: bool = False
    updates: list[float] = field(default_factory=list)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Stands for the bars of encode and decode."""
    found = Seen()

    @contextmanager
    def progress(total: int, label: str, *, quiet: bool = False, parts: bool = False) -> Iterator[Bar]:
        found.parts = parts
        yield Bar(found.updates.append)

    for command in ("encode", "decode"):
        monkeypatch.setattr(f"selfcodec.cli.{command}.progress", progress)
    return found


@pytest.mark.parametrize(
    ("options", "reported"), [((), False), (("--effort", 2), True), (("--effort", 1, "--bytes", 2000), True)]
)
def test_a_single_lossy_file_has_a_bar_where_it_is_refined(
    lossy: Path, options: tuple[object, ...], reported: bool, seen: Seen
) -> None:
    with_effort(lossy, *options)
    assert seen.parts == reported
    assert any(0 < update < 1 for update in seen.updates) == reported


def test_a_single_lossless_file_has_no_bar_and_a_shard_has_one(png: Path, seen: Seen) -> None:
    encode(png)
    assert (seen.parts, seen.updates) == (False, [1])
    files = write_tar(png.with_name("b.tar"), {"0.png": png.read_bytes()})
    for options in ((), ("-m", "rs2", "--force")):
        seen.updates.clear()
        encode(files, *options)
        assert (seen.parts, seen.updates) == (True, [1, 1])


def test_bars_count_shards_that_fail(png: Path, seen: Seen) -> None:
    bad = write_tar(png.with_name("b.sv.tar"), {"0.sv": b"damaged"})
    run("decode", bad, bad.with_name("c.sv.tar"), "-o", f"{png.parent}/out/", code=1)
    assert (seen.parts, seen.updates) == (True, [1, 2])


def test_a_bar_counts_files_and_parts_of_the_next_one() -> None:
    seen: list[float] = []
    bar = Bar(seen.append)
    bar.part(0.25)
    bar.part(1.0)
    bar()
    bar.part(0.5)
    bar()
    assert seen == [0.25, 1.0, 1, 1.5, 2]


@pytest.mark.parametrize(
    ("total", "options", "shown"),
    [
        (1, {}, False),
        (1, {"parts": True}, True),
        (2, {}, True),
        (2, {"parts": True, "quiet": True}, False),
    ],
)
def test_bars_are_shown_where_there_is_something_to_tell(
    total: int, options: dict[str, bool], shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import rich.progress

    totals: list[float | None] = []
    add_task = rich.progress.Progress.add_task

    def counted(self: rich.progress.Progress, label: str, total: float | None) -> rich.progress.TaskID:
        totals.append(total)
        return add_task(self, label, total=total)

    monkeypatch.setattr(rich.progress.Progress, "add_task", counted)
    for terminal in (False, True):
        monkeypatch.setattr(output.sys.stderr, "isatty", lambda on=terminal: on)
        with progress(total, "encoding", **options) as advance:
            advance.part(0.5)
            advance()
    assert totals == ([total] if shown else [])
