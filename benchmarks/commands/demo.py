"""One photograph in every mode: real files, a table, and a picture to compare them in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from PIL import Image
from rich.table import Table

from selfcodec.benchmarks.coders import Coder, choose_peers
from selfcodec.benchmarks.commands.options import image_argument, model_option
from selfcodec.benchmarks.figures.demo import draw
from selfcodec.benchmarks.measure import Measured, measure
from selfcodec.benchmarks.metrics import bits_per_pixel
from selfcodec.benchmarks.own import Own, own_coder
from selfcodec.benchmarks.reports.tables import columns_table, number, show
from selfcodec.benchmarks.sources import load_photograph
from selfcodec.cli.options import folder_option
from selfcodec.cli.output import complain, finish, progress
from selfcodec.files import write_atomically
from selfcodec.images import Picture, save_image
from selfcodec.zoo import find_model

PICTURE = "comparison.png"
PEERS = ("png", "webp-lossless")
"""The files of these coders stand beside ours."""


def raw_size(picture: Picture) -> int:
    """Return the bytes of the samples, alpha included."""
    return picture.planes.size + (0 if picture.alpha is None else picture.alpha.size)


def write_files(picture: Picture, coder: Own, folder: Path, name: str) -> Measured:
    """Code the picture; write the file as `NAME.MODE.sv`, and what it decodes to as `NAME.MODE.png`."""
    measured = measure(picture, coder)
    decoded = measured.returned()
    write_atomically(folder / f"{name}.{coder.mode}.sv", measured.data)
    save_image(decoded.image, folder / f"{name}.{coder.mode}.png")
    return measured


def _quality(measured: Measured, digits: int) -> str:
    return "identical" if measured.max_error == 0 else number(measured.psnr, digits)


def _size_cells(size: int, picture: Picture) -> tuple[str, str, str]:
    height, width = picture.planes.shape[:2]
    return f"{size:,}", f"{bits_per_pixel(size, height, width):.3f}", f"{raw_size(picture) / size:.1f}"


def figures_table(
    picture: Picture, own: Sequence[tuple[Own, Measured]], peers: Sequence[tuple[Coder, Measured]]
) -> Table:
    """Return the figures, one row a file."""
    height, width = picture.planes.shape[:2]
    title = f"{width} × {height} pixels, {raw_size(picture):,} bytes raw"
    headings = ["bytes", "bpp", "ratio", "PSNR (dB)", "encode (s)", "decode (s)"]
    table = columns_table(title, ["mode", "model"], headings)
    for coder, found in own:
        mode = f"{coder.mode} (stored)" if found.stored else str(coder.mode)
        cells = (*_size_cells(found.size, picture), _quality(found, 2))
        seconds = (f"{found.encode_seconds:.2f}", f"{found.decode_seconds:.2f}")
        table.add_row(mode, find_model(coder.model).spec.name, *cells, *seconds)
    table.add_section()
    for peer, found in peers:
        table.add_row(peer.info.title, "", *_size_cells(found.size, picture), _quality(found, 2))
    return table


def panels(picture: Picture, own: Sequence[tuple[Own, Measured]]) -> list[tuple[str, Image.Image]]:
    """Return titles and images, the original first."""
    raw = raw_size(picture)
    shown = [(f"original\n{raw:,} bytes", picture.image)]
    for coder, found in own:
        stored = ", stored" if found.stored else ""
        unit = "" if found.max_error == 0 else " dB"
        figures = f"{found.size:,} bytes, ratio {raw / found.size:.1f}, {_quality(found, 1)}{unit}"
        shown.append((f"{coder.mode}{stored}\n{figures}", found.returned().image))
    return shown


@click.command()
@image_argument
@folder_option("output", "Folder for the files.  [default: demo]", "-o")
@model_option
def main(image: Path | None, output: Path | None, model_name: str | None) -> None:
    """Encode and decode IMAGE (by default, a photograph that comes with scikit-image) in every mode.

    Ends with exit status 1 if the lossless file does not decode to the image.
    """
    modes, peers = find_model(model_name).modes, choose_peers(PEERS)
    output = output or Path("demo")
    name, picture = load_photograph(image)
    output.mkdir(parents=True, exist_ok=True)
    save_image(picture.image, output / f"{name}.original.png")
    own = []
    with progress(len(modes), "modes") as advance:
        for mode in modes:
            coder = own_coder(model_name, mode)
            own.append((coder, write_files(picture, coder, output, name)))
            advance()
    others = [(peer, measure(picture, peer)) for peer in peers.values()]
    for _, found in others:
        found.returned()
    show(figures_table(picture, own, others))
    draw(panels(picture, own)).save(output / PICTURE)
    click.echo(f"files and {PICTURE} are in {output}")
    failures = [found.failure for _, found in own if found.failure]
    if failures:
        complain("the lossless file does not decode to its image")
    finish(len(failures))
