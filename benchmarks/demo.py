"""One photograph in every mode: real files, a table, and a picture to compare them in.

Run as `python -m selfcodec.benchmarks.demo [IMAGE] -o demo/`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from rich.table import Table

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.metrics import (
    PEERS,
    BenchmarkCommand,
    bits_per_pixel,
    make_folder,
    progress,
    psnr,
    show,
)
from selfcodec.codec import Settings, decode_file, encode_picture
from selfcodec.files import write_atomically
from selfcodec.images import Picture, from_image, load_picture, save_image, to_image
from selfcodec.modes import Mode
from selfcodec.zoo import Model, find_model

PICTURE = "comparison.png"
SHOWN_SIDE = 1024
"""Pixels of an image's longer side in the picture at most."""
COLUMNS = 3
WIDTH, DPI = 15, 100
"""Of the picture: inches, and pixels an inch."""


@dataclass(frozen=True, eq=False)
class Result:
    """One mode's file.

    Attributes:
        mode: that was asked for.
        model: the model's name.
        size: of the file, bytes.
        stored: the file holds the fallback, which was smaller than what the model would have made.
        identical: the decoded image equals the original, pixel for pixel, alpha included.
        quality: PSNR of the colour samples in dB, infinite where they are equal.
        encode_seconds, decode_seconds: without reading and writing images.
        decoded: what came back.
    """

    mode: Mode
    model: str
    size: int
    stored: bool
    identical: bool
    quality: float
    encode_seconds: float
    decode_seconds: float
    decoded: Image.Image


def load_photograph(path: Path | None) -> tuple[str, Picture]:
    """The image at `path` without its metadata, or a photograph of scikit-image's own; and a name for its files."""
    if path is not None:
        return path.stem, load_picture(path, strip=True)
    from skimage import data

    return "chelsea", from_image(Image.fromarray(data.chelsea()))


def raw_size(picture: Picture) -> int:
    """Bytes of the samples, alpha included."""
    return picture.planes.size + (0 if picture.alpha is None else picture.alpha.size)


def run_mode(picture: Picture, mode: Mode, model: Model, folder: Path, name: str) -> Result:
    """Writes `NAME.MODE.sv`, reads it back, and writes what it decodes to as `NAME.MODE.png`."""
    path = folder / f"{name}.{mode}.sv"
    start = time.perf_counter()
    encoded = encode_picture(picture, Settings(mode), model, verify=False)
    encode_seconds = time.perf_counter() - start
    write_atomically(path, encoded.data)
    data = path.read_bytes()
    start = time.perf_counter()
    decoded = decode_file(data, model=model)
    decode_seconds = time.perf_counter() - start
    save_image(decoded, folder / f"{name}.{mode}.png")
    return Result(
        mode=mode,
        model=model.spec.name,
        size=path.stat().st_size,
        stored=encoded.mode is Mode.STORED,
        identical=decoded.convert("RGBA").tobytes() == picture.image.convert("RGBA").tobytes(),
        quality=psnr(picture.planes, from_image(decoded, strip=True).planes),
        encode_seconds=encode_seconds,
        decode_seconds=decode_seconds,
        decoded=decoded,
    )


def peer_sizes(picture: Picture) -> dict[str, int]:
    """Bytes of other coders' lossless files of the same pixels, by the coder's title."""
    image = np.asarray(to_image(picture.rendering, picture.planes, picture.alpha))
    return {peer.title: len(peer.write(image)) for peer in (PEERS["png"], PEERS["webp"])}


def table(picture: Picture, results: list[Result], peers: dict[str, int]) -> Table:
    """The figures, one row a file."""
    height, width = picture.planes.shape[:2]
    out = Table(title=f"{width} × {height} pixels, {raw_size(picture):,} bytes raw")
    out.add_column("mode", no_wrap=True)
    out.add_column("model", no_wrap=True)
    for heading in ("bytes", "bpp", "ratio", "PSNR (dB)", "encode (s)", "decode (s)"):
        out.add_column(heading, justify="right")
    for r in results:
        out.add_row(
            f"{r.mode} (stored)" if r.stored else str(r.mode),
            r.model,
            *_size_cells(r.size, picture),
            "identical" if r.identical else f"{r.quality:.2f}",
            f"{r.encode_seconds:.2f}",
            f"{r.decode_seconds:.2f}",
        )
    out.add_section()
    for name, size in peers.items():
        out.add_row(name, "", *_size_cells(size, picture), "identical")
    return out


def _size_cells(size: int, picture: Picture) -> tuple[str, str, str]:
    height, width = picture.planes.shape[:2]
    return f"{size:,}", f"{bits_per_pixel(size, height, width):.3f}", f"{raw_size(picture) / size:.1f}"


def _shown(image: Image.Image) -> UInt8:
    """An image as it is drawn: opaque RGB, not too large."""
    small = image.convert("RGB")
    small.thumbnail((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(small)


def draw(picture: Picture, results: list[Result]) -> Figure:
    """The original and every mode's image in a grid, with their figures."""
    raw = raw_size(picture)
    panels = [(f"original\n{raw:,} bytes", picture.image)]
    for r in results:
        quality = "identical" if r.identical else f"{r.quality:.1f} dB"
        stored = ", stored" if r.stored else ""
        panels.append((f"{r.mode}{stored}\n{r.size:,} bytes, ratio {raw / r.size:.1f}, {quality}", r.decoded))
    height, width = picture.planes.shape[:2]
    shape = min(max(height / width, 1 / 4), 4)
    rows = -(-len(panels) // COLUMNS)
    size = (WIDTH, (WIDTH / COLUMNS * shape + 0.65) * rows)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, (title, image) in zip(axes, panels, strict=False):
        axis.imshow(_shown(image), interpolation="nearest" if max(image.size) < 256 else "antialiased")
        axis.set_title(title, fontsize=14, linespacing=1.3)
    return figure


@click.command("demo", cls=BenchmarkCommand)
@click.argument("image", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    default="demo",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the files.",
)
@click.option("--model", "model_name", help="Name or folder of a model; each mode's default one if not given.")
def main(image: Path | None, output: Path, model_name: str | None) -> None:
    """Encode and decode IMAGE (by default, a photograph that comes with scikit-image) in every mode.

    Ends with exit status 1 if the lossless file does not decode to the image.
    """
    modes = find_model(model_name).modes
    name, picture = load_photograph(image)
    make_folder(output)
    save_image(picture.image, output / f"{name}.original.png")
    results = [
        run_mode(picture, mode, find_model(model_name, mode), output, name)
        for mode in progress(modes, len(modes), "modes")
    ]
    show(table(picture, results, peer_sizes(picture)))
    draw(picture, results).savefig(output / PICTURE)
    click.echo(f"files and {PICTURE} are in {output}")
    if not results[-1].identical:
        click.echo("selfcodec: error: the lossless file does not decode to its image", err=True)
        click.get_current_context().exit(1)


if __name__ == "__main__":
    main()
