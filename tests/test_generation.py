"""Values of variables apart from files: inferred, given, completed, drawn."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import variants
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.encoding import encode_picture
from selfcodec.errors import InputError
from selfcodec.generation import infer, interpolate, render, sample_images
from selfcodec.images import from_image
from selfcodec.modes import Mode
from selfcodec.networks.integer import Runtime
from selfcodec.settings import Settings
from selfcodec.zoo import Model

pytest_plugins = ("model_fixtures",)

SIZE = (24, 40)


@pytest.fixture
def images(photo: UInt8) -> UInt8:
    """Five pieces of a photograph, (5, 24, 40, 3)."""
    return np.stack([photo[t : t + SIZE[0], t : t + SIZE[1]] for t in range(0, 40, 8)])


def psnr(a: UInt8, b: UInt8) -> float:
    return float(10 * np.log10(255**2 / np.square(a.astype(float) - b).mean()))


@pytest.mark.parametrize("name", variants.NAMES)
def test_everything_that_is_inferred_renders_to_the_images(models: dict[str, Model], images: UInt8, name: str) -> None:
    if models[name].spec.tile < max(SIZE):
        images = images[:, :16, :32]
    values = infer(images, models[name])
    assert list(values) == [step.name for step in models[name].steps]
    assert (values["x"].transpose(0, 2, 3, 1) == images).all()
    size = (images.shape[1], images.shape[2])
    assert (render(values, len(images), size, models[name]) == images).all()


def test_inferred_values_do_not_depend_on_how_networks_run(models: dict[str, Model], images: UInt8) -> None:
    values = infer(images, models["deep"])
    again = infer(images, models["deep"], Runtime(batch=2, window=8))
    assert all((values[name] == again[name]).all() for name in values)
    latents = {name: value for name, value in values.items() if name[0] in "uz"}
    pictures = render(latents, 5, SIZE, models["deep"])
    assert (render(latents, 5, SIZE, models["deep"], runtime=Runtime(batch=2, window=8)) == pictures).all()


def test_inferred_latents_render_to_what_fine_grids_give(models: dict[str, Model], images: UInt8) -> None:
    """Values are files without the grids: at the finest quality, rs2 is nearly the same picture."""
    values = infer(images[:1], models["tiny"])
    rendered = render({name: values[name] for name in ("u", "z1")}, 1, SIZE, models["tiny"])[0]
    settings = Settings(Mode.RS2, quality=100)
    picture = from_image(Image.fromarray(images[0]))
    encoded = encode_picture(picture, settings, models["tiny"], verify=False, expect=True, fallback=False)
    assert encoded.expected is not None
    assert psnr(rendered, encoded.expected) > 40


def test_y_alone_is_enlarged(models: dict[str, Model], images: UInt8) -> None:
    """Super-resolution: nothing but y is given, and the picture keeps to it better than one from nothing."""
    values = infer(images, models["tiny"])
    enlarged = render({"y1": values["y1"]}, 5, SIZE, models["tiny"])
    nothing = render({}, 5, SIZE, models["tiny"])
    assert psnr(enlarged, images) > psnr(nothing, images) + 3


def test_a_seed_draws_what_is_not_given_and_keeps_what_is(models: dict[str, Model], images: UInt8) -> None:
    values = infer(images, models["tiny"])
    first, again, other = (
        render({"u": values["u"], "y1": values["y1"]}, 5, SIZE, models["tiny"], seed=seed) for seed in (1, 1, 9)
    )
    assert (first == again).all()
    assert (first != other).any()
    alone = render({"u": values["u"][2:3], "y1": values["y1"][2:3]}, 1, SIZE, models["tiny"], seed=3)
    assert (alone[0] == first[2]).all()  # image i is drawn from seed + i


def test_only_what_is_named_is_drawn(models: dict[str, Model], images: UInt8) -> None:
    model, values = models["deep"], infer(images, models["deep"])
    u = {"u": values["u"]}
    means, all_drawn = render(u, 5, SIZE, model), render(u, 5, SIZE, model, seed=1)
    assert (render(u, 5, SIZE, model, seed=1, drawn=()) == means).all()
    assert (render(u, 5, SIZE, model, seed=1, drawn=("y2", "z2", "y1", "z1", "x")) == all_drawn).all()
    some = render(u, 5, SIZE, model, seed=1, drawn=("z2", "z1"))
    assert (some != means).any()
    assert (some != all_drawn).any()


@pytest.mark.parametrize("name", ["vae", "deep", "sketch"])
def test_interpolation_goes_through_u(models: dict[str, Model], images: UInt8, name: str) -> None:
    """Its ends are what u alone gives of each image, its middle what the mean of both gives, either way round."""
    model, ends = models[name], images[:2]
    u = infer(ends, model)["u"]
    way = interpolate(ends, 5, model)
    assert (way[[0, -1]] == render({"u": u}, 2, SIZE, model)).all()
    assert (way[0] != way[-1]).any()
    for middle in (render({"u": (u[:1] + u[1:]) // 2}, 1, SIZE, model)[0], interpolate(ends[::-1], 5, model)[2]):
        assert np.abs(way[2].astype(int) - middle).max() <= 1


def test_interpolation_has_two_ends(models: dict[str, Model], images: UInt8) -> None:
    for count in (1, 2.5):
        with pytest.raises(InputError, match="at least 2"):
            interpolate(images[:2], count, models["tiny"])  # type: ignore[arg-type]
    for ends in (images[:1], images[:3]):
        with pytest.raises(InputError, match="two images"):
            interpolate(ends, 3, models["tiny"])


def test_samples_are_renders_of_nothing(models: dict[str, Model]) -> None:
    drawn = sample_images(models["tiny"], 3, (16, 24), 5)
    assert (drawn == render({}, 3, (16, 24), models["tiny"], seed=5)).all()


@pytest.mark.parametrize(
    ("known", "text"),
    [
        ({"w": np.zeros((1, 2, 2, 2), np.int64)}, "no variable 'w'"),
        ({"u": np.zeros((1, 2, 2, 2), np.int64)}, r"give \(1, 2, 3, 5\) of int64"),
        ({"u": np.zeros((1, 2, 3, 5))}, "of int64"),
        ({"y1": np.full((1, 3, 12, 20), 256, np.int64)}, "pixels go from 0 to 255"),
        ({"y1": np.full((1, 3, 12, 20), -1, np.int64)}, "pixels go from 0 to 255"),
        ({"u": np.full((1, 2, 3, 5), 2**30, np.int64)}, "u: latents go from -65536 to 65536, in 2"),
        ({"u": np.full((1, 2, 3, 5), -(2**16) - 1, np.int64)}, "not from -65537 to -65537"),
    ],
)
def test_values_that_are_none_are_refused(models: dict[str, Model], known: dict[str, np.ndarray], text: str) -> None:
    with pytest.raises(InputError, match=text):
        render(known, 1, SIZE, models["tiny"])


def test_values_may_lie_in_memory_in_any_way(models: dict[str, Model], images: UInt8) -> None:
    values = infer(images, models["tiny"])
    backwards = {name: value[::-1] for name, value in values.items() if name != "x"}
    for value in values.values():
        value.setflags(write=False)
    there = render({name: values[name] for name in backwards}, 5, SIZE, models["tiny"])
    assert (render(backwards, 5, SIZE, models["tiny"]) == there[::-1]).all()


@pytest.mark.parametrize("seed", [-1, 2**96, 2**32 - 1, 1.5, True])
def test_seeds_out_of_range_are_refused(models: dict[str, Model], seed: int) -> None:
    with pytest.raises(InputError, match="seed is a whole number from 0"):
        render({}, 2, SIZE, models["tiny"], seed=seed)


@pytest.mark.parametrize(
    "wrong", [np.zeros((8, 8, 3), np.uint8), np.zeros((1, 8, 8, 1), np.uint8), np.zeros((1, 8, 8, 3))]
)
def test_images_that_are_none_are_refused(models: dict[str, Model], wrong: np.ndarray) -> None:
    with pytest.raises(InputError, match="give"):
        infer(wrong, models["tiny"])


def test_images_are_of_a_size_that_the_model_has(models: dict[str, Model], photo: UInt8) -> None:
    wrong: Any
    for size in ((33, 8), (0, 8), (8, -1)):
        with pytest.raises(InputError, match="pixels"):
            render({}, 1, size, models["tiled"])
    for wrong in (32, None, (8,), (8, 8, 3), (8, 8.5), ("8", 8), {}):
        with pytest.raises(InputError, match="in pixels"):
            render({}, 1, wrong, models["tiled"])
        with pytest.raises(InputError, match="in pixels"):
            sample_images(models["tiled"], 1, wrong, 0)
    with pytest.raises(InputError, match="at least 1"):
        render({}, 0, (8, 8), models["tiled"])
    with pytest.raises(InputError, match="pixels"):
        infer(photo[None], models["tiled"])


def test_models_are_given_by_name_or_folder(tiny_model: Model, images: UInt8) -> None:
    for given in ("tiny", Path(tiny_model.where).parent):
        values = infer(images, given)
        assert (render(values, 5, SIZE, given) == images).all()
        assert (interpolate(images[:2], 3, given) == interpolate(images[:2], 3, tiny_model)).all()
        assert (sample_images(given, 1, SIZE, 5) == sample_images(tiny_model, 1, SIZE, 5)).all()
    with pytest.raises(InputError, match="no model 'none'"):
        infer(images, "none")


def test_what_is_no_array_is_refused(models: dict[str, Model], images: UInt8) -> None:
    wrong: Any = list(images[:2])
    with pytest.raises(InputError, match="images of list: give an array"):
        infer(wrong, models["tiny"])
    with pytest.raises(InputError, match="images of list: give an array"):
        interpolate(wrong, 3, models["tiny"])
    with pytest.raises(InputError, match="at least 1, not 0"):
        infer(images[:0], models["tiny"])


@pytest.mark.parametrize(
    ("known", "text"),
    [
        ({"u": []}, "u: values"),
        ({"u": np.zeros((0, 2, 3, 5), np.int64)}, "u: values"),
        ({"u": [[1], [1, 2]]}, "make no arrays"),
        ([], "by the names of their variables, not as list"),
    ],
)
def test_values_are_arrays_by_name(models: dict[str, Model], known: Any, text: str) -> None:
    with pytest.raises(InputError, match=text):
        render(known, 1, SIZE, models["tiny"])


def test_what_is_drawn_is_of_the_model(models: dict[str, Model]) -> None:
    with pytest.raises(InputError, match="no variable 'z7'; it has u, "):
        render({}, 1, SIZE, models["tiny"], seed=1, drawn=("u", "z7"))


def test_the_readme_s_example_runs(photo: UInt8, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    (example,) = (code for code in re.findall(r"```python\n(.*?)```", readme, re.S) if "generation" in code)
    Image.fromarray(photo).save(tmp_path / "img.png")
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {"Image": Image}
    exec(example, found)
    assert found["larger"].shape == found["others"].shape == (1, 32, 32, 3)
