"""Pictures as people judge them: ours beside AVIF's of equal bytes, and crops of those that look worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.coders import PEERS, Coder, choose_peers, picture_of
from selfcodec.benchmarks.commands.options import (
    dataset_option_with,
    model_option,
    numbers_option,
    output_folder_option,
)
from selfcodec.benchmarks.figures.crops import most_different
from selfcodec.benchmarks.figures.looks import draw
from selfcodec.benchmarks.files import write_report
from selfcodec.benchmarks.measure import measure
from selfcodec.benchmarks.own import own_coder
from selfcodec.benchmarks.provenance import provenance
from selfcodec.benchmarks.reports.looks import Look, Version, each_look, each_table, means_table, summary, worst
from selfcodec.benchmarks.reports.tables import show
from selfcodec.benchmarks.runner import side_by_side
from selfcodec.benchmarks.sources import load_pictures
from selfcodec.cli.group import command_line
from selfcodec.cli.output import progress
from selfcodec.errors import InputError
from selfcodec.images import Picture
from selfcodec.modes import Mode
from selfcodec.rate_control import Target, encode_to_target, search
from selfcodec.settings import Settings
from selfcodec.zoo import model_for

REPORT, PICTURE = "looks.json", "looks.png"
AVIF = "avif"
RATES = "0.15,0.3,0.6,1,2"
MODES = [str(mode) for mode in (Mode.RS1, Mode.RS2, Mode.CG, Mode.CR)]


def avif_of_size(picture: Picture, size: int) -> Coder:
    """Return AVIF at the quality whose file is nearest to `size` bytes and not below; at 100 where all are below."""
    coder = PEERS[AVIF]
    options = dict(next(iter(coder.settings.values())))

    def excess(made: tuple[int, int]) -> float:
        return size - made[1]

    def attempt(quality: int) -> tuple[int, int]:
        return quality, len(coder.encode(picture, {**options, "level": quality}).data)

    (quality, _), _ = search(attempt, excess, highest=False)
    return replace(coder, settings={"": {**options, "level": quality}})


def look_at(name: str, picture: Picture, model_name: str | None, mode: Mode, rate: float) -> Look | None:
    """Code a picture at one rate in bits per pixel; None where no quality keeps to it."""
    image, model = picture.planes, model_for(Settings(mode), model_name)
    try:
        reached = encode_to_target(picture, Settings(mode), Target(bpp=rate), model, verify=False)
    except InputError:
        return None
    own = own_coder(model_name, mode, {"": {"quality": reached.settings.quality}})
    # Whether storing the image is smaller takes long to find out, and is known.
    ours = measure(picture, replace(own, fallback=reached.encoded.mode is Mode.STORED))
    avif = measure(picture, avif_of_size(picture, ours.size))
    versions = [np.asarray(found.returned().image.convert("RGB")) for found in (ours, avif)]
    place = most_different(image, *versions)
    crops = tuple(np.ascontiguousarray(version[place]) for version in (image, *versions))
    sides = image.shape[:2]
    return Look(name, rate, Version.of(ours, *sides), Version.of(avif, *sides), crops)


def looks_at(name: str, image: UInt8, model_name: str | None, mode: Mode, rates: Sequence[float]) -> list[Look]:
    """Code one image (H, W, 3) at every rate that can be kept to."""
    picture = picture_of(image)
    looks = (look_at(name, picture, model_name, mode, rate) for rate in rates)
    return [look for look in looks if look is not None]


@click.command()
@model_option
@click.option("--mode", type=click.Choice(MODES), default=str(Mode.RS2), show_default=True, help="Of the model.")
@dataset_option_with("kodak")
@numbers_option("--rates", RATES, float, "Bits per pixel that our files keep to.")
@click.option("--limit", metavar="N", type=click.IntRange(1), help="First images only.")
@click.option(
    "--worst", "count", metavar="N", type=click.IntRange(1), default=4, show_default=True, help="Images with crops."
)
@click.option("-j", "--jobs", metavar="N", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@output_folder_option
def main(
    model_name: str | None,
    mode: str,
    dataset: str,
    rates: tuple[float, ...],
    limit: int | None,
    count: int,
    jobs: int,
    output: Path,
) -> None:
    """Code images at several rates, and with AVIF in as many bytes; score both, and show where ours looks worst.

    Writes looks.json, and looks.png: crops of the original, ours and AVIF's from where the two differ most, of the
    images that lie furthest below AVIF's by SSIMULACRA 2.
    """
    chosen = Mode.parse(mode)
    model = model_for(Settings(chosen), model_name)
    if chosen not in model.modes:
        raise InputError(f"model {model.spec.name} does not offer {mode}: it has {', '.join(map(str, model.modes))}")
    avif = choose_peers((AVIF,))[AVIF]
    pictures = load_pictures(dataset, limit)
    tasks = [(name, image, model_name, chosen, rates) for name, image in pictures.items()]
    output.mkdir(parents=True, exist_ok=True)
    looks: list[Look] = []
    with progress(len(tasks), "images") as advance:
        for found in side_by_side(looks_at, tasks, jobs):
            looks += found
            advance()
    order = {name: i for i, name in enumerate(pictures)}
    looks.sort(key=lambda look: (order[look.image], look.rate))
    means, each = summary(looks, rates, len(pictures)), each_look(looks)
    about = {**provenance(command_line(), model), "mode": mode, "avif": avif.how, "dataset": dataset}
    write_report(output / REPORT, {**about, "rates": means, "each": each}, lists=("each",))
    titles = (f"{model.spec.name} {mode}", avif.info.title)
    show(each_table(each, titles))
    show(means_table(means, titles, f"means by bits per pixel asked for, {len(pictures)} images of {dataset}"))
    for row in means:
        if row["missed"]:
            click.echo(f"at {row['rate']:g} bits per pixel {row['missed']} images are missing: all qualities take more")
    shown = worst(looks, count)
    if shown:
        draw(shown, *titles).save(output / PICTURE)
    click.echo(f"{REPORT}{f' and {PICTURE}' if shown else ''} are in {output}")
