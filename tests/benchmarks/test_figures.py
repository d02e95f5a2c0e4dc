"""The paper's figures: what is drawn of which models, what is left out and why, and the page that shows them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import variants
from command_line import pixels, run
from PIL import Image
from recipe_changes import changed

from selfcodec import encode
from selfcodec.arrays import UInt8
from selfcodec.benchmarks.figures import ladder, paper
from selfcodec.benchmarks.figures.paper import FIGURES, TRANSFORMED, transformed
from selfcodec.benchmarks.figures.subject import Subject
from selfcodec.benchmarks.gallery import plan, section
from selfcodec.benchmarks.measure import Measured
from selfcodec.errors import InputError
from selfcodec.models.config import Recipe
from selfcodec.models.export import write_model
from selfcodec.models.mosaic import GAP

DOCS = Path(__file__).parents[2] / "docs"
LARGEST = 150_000
NAMES = {
    "tiny": ("samples", "reconstructions", "interpolations", "drawn-again", "super-resolution"),
    "vae": ("samples", "reconstructions", "interpolations"),
    "deep": ("samples", "reconstructions", "interpolations", "drawn-again", "super-resolution"),
    "celeba-sketch": ("samples", "reconstructions", "interpolations", "drawn-again", "sketches"),
}
"""Each of these models has these figures."""


@pytest.fixture(scope="module")
def installed(
    tiny_recipe: Recipe, tiny_model_dir: Path, patches: UInt8, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Folders with models of several kinds, as $SELFCODEC_MODELS names them; one is called like one of the paper's."""
    folder = tmp_path_factory.mktemp("figures")
    for name in ("vae", "deep", "celeba-sketch"):
        kind = name.removeprefix("celeba-")
        recipe = changed(tiny_recipe, name=name, model=variants.VARIANTS[kind])
        write_model(folder / name, variants.build(tiny_recipe, kind, patches)[2], recipe, {"steps": 0})
    return os.pathsep.join((str(tiny_model_dir), str(folder)))


@pytest.fixture
def data(installed: str, patches: UInt8, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UInt8:
    """The test images of what these models were trained on; figures are small."""
    (tmp_path / "data" / "tiny").mkdir(parents=True)
    np.save(tmp_path / "data" / "tiny" / "test.npy", patches[:40:5])
    monkeypatch.setenv("SELFCODEC_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SELFCODEC_MODELS", installed)
    for name, value in {"ROWS": 2, "SAMPLES": 3, "SAMPLE_COLUMNS": 2, "WAY": 3, "DRAWS": 2}.items():
        monkeypatch.setattr(paper, name, value)
    return patches[:40:5]


@pytest.mark.parametrize("model", NAMES)
def test_all_figures_of_a_model(model: str, data: UInt8, tmp_path: Path) -> None:
    out, names = tmp_path / "out", NAMES[model]
    result = run("figures", "--model", model, "--dataset", "tiny", "-o", out)
    stems = {"transformations", *(f"{name}-{model}" for name in names)}
    assert {path.name for path in out.iterdir()} == {f"{stem}.png" for stem in stems}
    assert [Path(line).stem in stems for line in result.stdout.splitlines()] == [True] * len(stems)
    unsuited = [line.split()[3] for line in result.stderr.splitlines()]
    assert unsuited == [figure.name for figure in FIGURES[1:] if figure.name not in names]
    assert pixels(out / f"samples-{model}.png").shape == (2 * (96 + GAP) + GAP, 2 * (96 + GAP) + GAP, 3)


def test_what_is_asked_for_and_cannot_be_drawn_is_an_error(data: UInt8, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for arguments, words in (
        (
            ("sketches", "--model", "tiny"),
            "figure sketches needs a sketch as its transformation, which model tiny has not",
        ),
        (("drawn-again", "--model", "vae"), "figure drawn-again needs a transformation, which model vae has not"),
        (("samples", "--model", "none"), "no model 'none'"),
        (("figure1",), "no figure 'figure1'; there are transformations, samples,"),
        (("interpolations", "--model", "tiny", "--dataset", "none"), "no data set 'none'; there are: "),
        (("samples", "--page", tmp_path / "none.md", "--model", "tiny"), "none.md: cannot be read"),
    ):
        assert words in run("figures", *arguments, "-o", out, code=1).stderr


def test_papers_models_that_are_not_there_are_named(data: UInt8, monkeypatch: pytest.MonkeyPatch) -> None:
    found = plan(["sketches", "drawn-again"], None, "")
    assert [picture.stem for picture in found.pictures][-1] == "sketches-celeba-sketch"
    assert all("celeba-sketch" not in line for line in found.skipped)
    monkeypatch.setenv("SELFCODEC_MODELS", "")
    monkeypatch.setattr("selfcodec.benchmarks.gallery.available_models", dict)
    with pytest.raises(InputError, match="figure sketches: no model celeba-sketch: add its folder"):
        plan(["sketches"], None, "")
    nothing = plan([], None, "")
    assert [picture.stem for picture in nothing.pictures] == ["transformations"]
    assert len(nothing.skipped) == len(FIGURES) - 1


def test_without_data_the_others_are_drawn(data: UInt8, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFCODEC_DATA", str(tmp_path / "nowhere"))
    out = tmp_path / "out"
    result = run("figures", "--model", "vae", "-o", out)
    assert {path.stem for path in out.iterdir()} == {"transformations", "samples-vae"}
    assert result.stderr.count("skipped: reconstructions-vae: training set 'tiny': no test images of its own; ") == 1


def test_images_that_were_trained_on_are_no_test_images(data: UInt8, tmp_path: Path) -> None:
    (tmp_path / "data" / "tiny" / "test.npy").unlink()
    Image.fromarray(data[0]).save(tmp_path / "data" / "tiny" / "a.png")
    for model, dataset in (("tiny", "tiny"), ("photo-lossy", "photos512+photos")):
        stderr = run("figures", "reconstructions", "--model", model, "-o", tmp_path / "out", code=1).stderr
        words = f"training set '{dataset}': no test images of its own; choose others with --dataset"
        assert stderr == f"selfcodec: error: {words}\n"


def test_sizes_are_those_of_files(data: UInt8, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns: dict[str, list[Measured]] = {}
    draw = ladder.draw

    def noted(images: list[UInt8], files: dict[str, list[Measured]], beside: dict[str, list[UInt8]]) -> object:
        columns.update(files)
        return draw(images, files, beside)

    monkeypatch.setattr(ladder, "draw", noted)
    run("figures", "reconstructions", "--model", "deep", "-o", tmp_path)
    assert list(columns) == ["rs1", "rs2", "cg to y2", "cg to y1", "cr to y2", "cr to y1", "lossless"]
    image = Subject("deep").images(2)[1]
    assert columns["cr to y2"][1].data == encode(image, "cr", "deep", level=2)
    assert columns["rs1"][1].data == encode(image, "rs1", "deep")
    assert columns["lossless"][1].exact


def test_images_are_taken_from_all_over_and_cut_to_the_model_s_size(data: UInt8) -> None:
    assert np.array_equal(Subject("tiny").images(4), data[::2])
    assert [image.shape for image in Subject("tiny", "synthetic").images(2)] == [(32, 32, 3)] * 2
    with pytest.raises(InputError, match="has 8 images, where 9 are shown"):
        Subject("tiny").images(9)


def test_every_transformation_is_shown(photo: UInt8) -> None:
    shown = dict(transformed(photo))
    assert len(shown) == 1 + len(TRANSFORMED)
    assert np.array_equal(shown["original"], photo)
    assert shown["downscaling ×8"].shape == (8, 12, 3)
    assert shown["grey scale"].shape == (64, 96, 1)


def test_a_page_shows_the_pictures_that_there_are(data: UInt8, tmp_path: Path) -> None:
    page, out = tmp_path / "page.md", tmp_path / "pictures"
    page.write_text("before\n<!-- figures -->\nold\n<!-- end of figures -->\nafter\n", encoding="utf-8")
    run("figures", "samples", "transformations", "--format", "jpg", "-o", out, "--page", page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- figures -->\n\n### Transformations (Figure 1)\n")
    assert text.endswith("\n\n<!-- end of figures -->\nafter\n")
    assert "old" not in text
    assert f"{FIGURES[1].caption}\n\n`cifar10-vae`:\n\n![samples-cifar10-vae]" in text
    assert "(pictures/samples-celeba-sketch.jpg)" in text
    assert "Super-resolution" not in text
    run("figures", "samples", "--format", "jpg", "-o", out, "--page", page)
    assert page.read_text(encoding="utf-8") == text
    page.write_text("no place", encoding="utf-8")
    assert "has no lines <!-- figures -->" in run("figures", "samples", "--page", page, "-o", out, code=1).stderr
    assert page.read_text(encoding="utf-8") == "no place"


def test_the_documentation_shows_the_pictures_in_its_folder() -> None:
    text, folder = (DOCS / "paper.md").read_text(encoding="utf-8"), DOCS / "figures"
    shown = section(folder, ".jpg", "figures")
    assert f"<!-- figures -->\n\n{shown.strip()}\n\n<!-- end of figures -->" in text
    for path in folder.iterdir():
        assert f"(figures/{path.name})" in shown
        assert path.stat().st_size < LARGEST, path.name
