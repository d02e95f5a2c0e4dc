"""selfcodec figures."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from selfcodec.cli.options import folder_option
from selfcodec.cli.output import complain, describe, progress
from selfcodec.errors import SelfcodecError
from selfcodec.files import write_atomically

if TYPE_CHECKING:
    from PIL import Image

FORMATS: dict[str, dict[str, Any]] = {
    "png": {"format": "PNG", "optimize": True},
    "jpg": {"format": "JPEG", "quality": 80, "subsampling": 0, "optimize": True},
}
"""How Pillow saves pictures, by their suffix."""


def write_picture(path: Path, picture: Image.Image, format: str) -> None:
    """Writes a picture into a folder, which is made where missing."""
    buffer = io.BytesIO()
    picture.save(buffer, **FORMATS[format])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getbuffer())


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--model", metavar="NAME", help="Name or folder of any model.  [default: the paper's, if installed]")
@click.option("--dataset", metavar="NAME|DIR", default="", help="Test images.  [default: those of its training set]")
@folder_option("output", "Folder for the pictures.  [default: figures]", "-o")
@click.option("--format", type=click.Choice(list(FORMATS)), default="png", show_default=True)
@click.option("--page", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Show them in this page.")
def figures(
    names: tuple[str, ...], model: str | None, dataset: str, output: Path | None, format: str, page: Path | None
) -> None:
    """Draw the paper's figures: NAME..., or all that the installed models allow.

    Data sets are looked for below $SELFCODEC_DATA. What cannot be drawn is named and left out, or asked for by name an
    error. --page writes captions and links of all pictures in the folder between `<!-- figures -->` and
    `<!-- end of figures -->` of a Markdown file.

    \b
    Examples:
      selfcodec figures
      selfcodec figures reconstructions interpolations --model my-models/mine --dataset photos/
    """
    from selfcodec.benchmarks.gallery import plan, section
    from selfcodec.benchmarks.reports.pages import replace_part

    output = output or Path("figures")
    chosen = plan(names, model, dataset)
    for line in chosen.skipped:
        complain(line, "skipped")
    with progress(len(chosen.pictures), "figures") as advance:
        for picture in chosen.pictures:
            path = output / f"{picture.stem}.{format}"
            try:
                drawn = picture.figure.draw(picture.subject)
            except SelfcodecError as error:
                if names:
                    raise
                complain(f"{picture.stem}: {describe(error)}", "skipped")
            else:
                write_picture(path, drawn, format)
                click.echo(path)
            advance()
    if page is not None:
        replace_part(page, "figures", section(output, f".{format}", os.path.relpath(output, page.parent)))
        click.echo(page)
