"""What is taken of folders, what is skipped, and how outputs are named."""

from __future__ import annotations

import os
import string
from pathlib import Path

import click
import pytest
from command_line import encode, run
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from selfcodec.cli.files import coded_suffix, plan
from selfcodec.cli.inputs import CODED_FILES, IMAGES, expand
from selfcodec.errors import InputError

pytest_plugins = ("command_line", "model_fixtures")


def image(path: Path, format: str = "PNG") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (3, 2), "red").save(path, format)
    return path


def targets(*inputs: Path | str, output: str | None = None) -> list[str]:
    return [job.target for job in plan([str(i) for i in inputs], output, IMAGES, coded_suffix).jobs]


def test_images_are_known_by_their_content(tmp_path: Path) -> None:
    for name, format in (
        ("a.avif", "AVIF"),
        ("b.jp2", "JPEG2000"),
        ("c.jfif", "JPEG"),
        ("d", "PNG"),
        ("e.dat", "WEBP"),
    ):
        image(tmp_path / name, format)
    (tmp_path / "f.jpg").write_bytes(b"damaged")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "g.sv").write_bytes(b"\x93SV")
    (tmp_path / "coded").write_bytes(b"\x93SV")
    found = expand([str(tmp_path)], IMAGES)
    assert [s.relative.name for s in found.sources] == ["a.avif", "b.jp2", "c.jfif", "d", "e.dat", "f.jpg"]
    assert [(Path(path).name, reason.one) for path, reason in found.skipped] == [
        ("coded", ".sv file"),
        ("g.sv", ".sv file"),
        ("notes.txt", "not an image"),
    ]
    assert [s.relative.name for s in expand([str(tmp_path)], CODED_FILES).sources] == ["coded", "g.sv"]


def test_what_is_hidden_special_or_leads_in_circles_is_skipped(tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    image(tmp_path / ".b.png")
    image(tmp_path / ".cache" / "c.png")
    (tmp_path / "up").symlink_to(tmp_path)
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    found = expand([str(tmp_path)], IMAGES)
    assert [s.relative.name for s in found.sources] == ["a.png", "link.png"]
    assert {Path(path).name: reason.one for path, reason in found.skipped} == {
        ".b.png": "hidden",
        ".cache": "hidden",
        "up": "link to a folder",
        "pipe.png": "pipe, socket or device",
    }


def test_what_cannot_be_read_has_a_problem_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image(tmp_path / "a.png")
    (tmp_path / "closed").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    scandir = os.scandir

    def refusing(path: str) -> object:
        if os.path.basename(path) == "closed":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    sources = {s.relative.name: s for s in expand([str(tmp_path)], IMAGES).sources}
    assert list(sources) == ["a.png", "closed", "loop"]
    with pytest.raises(InputError, match="cannot be read: Permission denied"):
        sources["closed"].check()
    sources["loop"].check()  # it fails when it is opened
    (alone,) = expand([str(tmp_path / "closed")], IMAGES).sources
    assert "cannot be read" in alone.problem


def test_an_empty_folder_stops_no_other_input(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    a = image(tmp_path / "a.png")
    empty, other = expand([str(tmp_path / "empty"), str(a), str(a)], IMAGES).sources
    assert "no images below" in empty.problem
    assert (other.path, other.problem) == (str(a), "")
    with pytest.raises(click.UsageError, match="empty"):
        expand([""], IMAGES)


def test_inputs_that_would_share_an_output_keep_their_whole_names(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "a.png.gif", "b.png"):
        image(tmp_path / name)
    expected = {"a.png.sv", "a.jpg.sv", "a.png.gif.sv", "b.sv"}
    assert {Path(t).name for t in targets(tmp_path)} == expected
    assert {Path(t).name for t in targets(*sorted(tmp_path.iterdir(), reverse=True))} == expected
    assert [Path(t).name for t in targets(tmp_path / "a.png")] == ["a.sv"]


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_no_order_of_inputs_matters_and_no_two_share_an_output(data: st.DataObject) -> None:
    stems = st.text(string.ascii_lowercase[:2] + ".", min_size=1, max_size=5).filter(lambda s: s.strip("."))
    inputs = data.draw(st.lists(stems.map(lambda stem: f"/none/{stem}"), min_size=1, max_size=6, unique=True))
    shuffled = data.draw(st.permutations(inputs))
    named = dict(zip(inputs, targets(*inputs), strict=True))
    assert named == dict(zip(shuffled, targets(*shuffled), strict=True))
    assert len(set(named.values())) == len(named)


def test_names_that_no_rule_tells_apart_fail_alone(tmp_path: Path) -> None:
    inputs = [image(tmp_path / folder / "a.png") for folder in ("x", "y")] + [image(tmp_path / "b.png")]
    jobs = plan([str(i) for i in inputs], f"{tmp_path / 'out'}/", IMAGES, coded_suffix).jobs
    assert ["would become" in job.source.problem for job in jobs] == [True, True, False]


def test_several_inputs_make_no_folder_that_looks_like_a_file(tmp_path: Path) -> None:
    a, b = image(tmp_path / "a.png"), image(tmp_path / "b.png")
    with pytest.raises(InputError, match="slash"):
        targets(a, b, output=str(tmp_path / "one.sv"))
    assert targets(a, b, output=f"{tmp_path / 'one.sv'}/")
    (tmp_path / "one.sv").mkdir()
    assert targets(a, b, output=str(tmp_path / "one.sv")) == [str(tmp_path / "one.sv" / n) for n in ("a.sv", "b.sv")]


def test_the_command_counts_what_it_skips_and_goes_on_where_it_was(png: Path, tmp_path: Path) -> None:
    image(png.with_name("b.png"))
    png.with_name("notes.txt").write_text("no image")
    note = "selfcodec: note: 1 file skipped: 1 not an image\n"
    assert encode(png.parent, "-o", tmp_path / "out", "-m", "rs1").stderr == note
    again = encode(png.parent, "-o", tmp_path / "out", "-m", "rs1", "--skip-existing")
    assert again.stderr == "selfcodec: note: 3 files skipped: 2 with an output already, 1 not an image\n"
    assert again.stdout == ""
    (tmp_path / "out" / "b.sv").unlink()
    verbose = encode(png.parent, "-o", tmp_path / "out", "-m", "rs1", "--skip-existing", "-v")
    assert f"selfcodec: skipped: {png.with_name('notes.txt')}: not an image\n" in verbose.stderr
    assert (tmp_path / "out" / "b.sv").exists()
    run("decode", tmp_path / "out" / "a.sv")
    decoded = run("decode", tmp_path / "out", "--skip-existing")
    assert decoded.stderr == "selfcodec: note: 2 files skipped: 1 not an .sv file, 1 with an output already\n"
    assert (tmp_path / "out" / "b.png").exists()
    encode(png, "--force", "--skip-existing", code=2)
