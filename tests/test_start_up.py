"""What a command loads: libraries take longer to start than small pictures take to code."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from selfcodec.arrays import UInt8

SLOW = {"torch", "matplotlib", "skimage", "cv2"}
"""No command that codes small pictures needs these."""
COMPILED = {"numba", "scipy"} if importlib.util.find_spec("constriction") else set()
"""Nor does one that codes no pixels in context, where the entropy coder is not compiled here."""
PROGRAM = """
import json, sys
sys.modules.update(dict.fromkeys(sys.argv[2:]))
from selfcodec.cli.main import main
for command in json.loads(sys.argv[1]):
    main(command, standalone_mode=False)
print(json.dumps(sorted(sys.modules)))
"""


def modules(*commands: list[str], without: tuple[str, ...] = ()) -> set[str]:
    """The modules of a new process that runs these commands, one after another, and cannot import some."""
    command = [sys.executable, "-c", PROGRAM, json.dumps(commands), *without]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def loaded(*commands: list[str]) -> set[str]:
    """The packages that they load."""
    return {name.partition(".")[0] for name in modules(*commands)}


@pytest.fixture
def png(tmp_path: Path, photo: UInt8) -> Path:
    path = tmp_path / "a.png"
    Image.fromarray(photo[:64, :64]).save(path)
    return path


def test_lossy_files_load_neither_pytorch_nor_compiled_loops(png: Path) -> None:
    sv, out = str(png.with_suffix(".sv")), str(png.with_name("b.png"))
    found = loaded(
        ["encode", str(png), "-m", "rs2", "-q", "90", "--effort", "0", "-o", sv],
        ["decode", sv, "-o", out],
        ["info", sv],
        ["models"],
    )
    assert not found & (SLOW | COMPILED)
    assert "numpy" in found


def test_lossless_files_load_no_pytorch(png: Path) -> None:
    sv, out = str(png.with_suffix(".sv")), str(png.with_name("b.png"))
    assert not loaded(["encode", str(png), "-o", sv], ["info", sv], ["decode", sv, "-o", out]) & SLOW
    with Image.open(png) as image, Image.open(out) as back:
        assert image.tobytes() == back.tobytes()


def test_compiled_loops_that_are_kept_load_no_compiler(png: Path) -> None:
    """NumPy's polynomials and SciPy's linear algebra are among what Numba compiles; of SciPy it takes the version."""
    sv, out = str(png.with_suffix(".sv")), str(png.with_name("b.png"))
    decode = ["decode", sv, "-o", out, "--force"]
    loaded(["encode", str(png), "-o", sv], decode)
    found = modules(decode)
    assert "numba" in found
    assert not {"scipy.linalg", "numba.np.linalg", "numba.np.polynomial.polynomial_functions"} & found


def test_telling_about_a_lossless_file_loads_no_compiled_loops() -> None:
    golden = Path(__file__).with_name("data") / "photo.lossless.sv"
    assert not loaded(["info", str(golden)], ["models", "photo"]) & (SLOW | COMPILED)


def test_refining_loads_pytorch(png: Path) -> None:
    """So that the tests above would notice it."""
    assert "torch" in loaded(["encode", str(png), "-m", "rs2", "-q", "90", "--effort", "1"])


def test_nothing_is_coded_with_scipy(png: Path) -> None:
    """It need not be installed."""
    sv, out = str(png.with_suffix(".sv")), str(png.with_name("b.png"))
    for mode in ("lossless", "rs2"):
        encode = ["encode", str(png), "-m", mode, "-o", sv, "--force"]
        found = modules(encode, ["decode", sv, "-o", out, "--force"], without=("scipy",))
        assert not [name for name in found if name.startswith("scipy.")]
