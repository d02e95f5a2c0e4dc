"""Bits against seconds: lossless models by effort, beside other coders by theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click
from matplotlib import rc_context

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.coders import PEERS, Coder, Options, Peer, choose_peers, picture_of
from selfcodec.benchmarks.commands.options import dataset_option_with, output_folder_option
from selfcodec.benchmarks.figures.efforts import draw
from selfcodec.benchmarks.figures.plots import STYLE, save
from selfcodec.benchmarks.files import write_report
from selfcodec.benchmarks.measure import Measured, measure
from selfcodec.benchmarks.metrics import bits_per_dim
from selfcodec.benchmarks.own import own_coder
from selfcodec.benchmarks.provenance import environment
from selfcodec.benchmarks.reports.tables import columns_table, markdown_table, number, show
from selfcodec.benchmarks.sources import load_pictures
from selfcodec.cli.group import command_line
from selfcodec.cli.options import parse_names, whole_numbers
from selfcodec.cli.output import progress
from selfcodec.errors import SelfcodecError
from selfcodec.files import write_atomically
from selfcodec.modes import MAX_EFFORT, Mode
from selfcodec.parallel import threads
from selfcodec.zoo import DEFAULT_MODELS, find_model

SWEEPS: Mapping[str, Mapping[str, Options]] = {
    "jxl-lossless": {f"effort {n}": {"lossless": True, "effort": n} for n in range(1, 10)},
    "webp-lossless": {f"method {n}": {"lossless": True, "level": 100, "method": n} for n in range(7)},
}
"""Other coders by key, with what makes each slower and smaller."""
FIGURES = (("bits_per_dimension", 3), ("encode", 2), ("decode", 2), ("peak_mib", 0))
HEADINGS = ("bits/dimension", "encode MP/s", "decode MP/s", "peak MiB")
"""The table has these figures, with so many digits, under these headings."""


@dataclass(frozen=True)
class Point:
    """One coder in one setting.

    Attributes:
        coder: its title.
        setting: its name.
        bits_per_dimension: the mean of the images' own.
        encode, decode: megapixels per second, over all images.
        peak_mib: most resident memory while an image was coded, less what was resident before; None where unknown.
    """

    coder: str
    setting: str
    bits_per_dimension: float
    encode: float
    decode: float
    peak_mib: float | None

    def cells(self) -> list[str]:
        """Return the table's row."""
        figures = asdict(self)
        return [f"{self.coder}, {self.setting}", *(number(figures[key], digits) for key, digits in FIGURES)]


def coders_of(models: tuple[str, ...], efforts: tuple[int, ...]) -> Iterator[Coder]:
    """Yield the models' coders with a setting for each effort, then the others, on as many threads."""
    settings = {f"effort {n}": {"effort": n} for n in efforts}
    for name in models:
        own = own_coder(name, Mode.LOSSLESS, settings)
        yield replace(own, info=replace(own.info, title=find_model(name).spec.name))
    for key, sweep in SWEEPS.items():
        peer = PEERS[key]
        assert isinstance(peer, Peer)
        yield replace(peer, settings=sweep, threads=threads())


def measured(pictures: Mapping[str, UInt8], coder: Coder, setting: str, repeat: int) -> Point:
    """Code all images (H, W, C); raise SelfcodecError where one does not come back.

    Of every image the fastest of `repeat` runs counts.
    """
    rates, pixels, seconds, peaks = list[float](), 0, [0.0, 0.0], list[float]()
    for name, image in pictures.items():
        runs = [_coded(name, image, coder, setting) for _ in range(repeat)]
        rates.append(bits_per_dim(runs[0].size, image.shape))
        pixels += image.shape[0] * image.shape[1]
        seconds[0] += min(run.encode_seconds for run in runs)
        seconds[1] += min(run.decode_seconds for run in runs)
        peaks += [run.peak_mib for run in runs if run.peak_mib is not None]
    encode, decode = (pixels / 1e6 / total for total in seconds)
    mean = sum(rates) / len(rates)
    return Point(coder.info.title, setting, mean, encode, decode, max(peaks, default=None))


def _coded(name: str, image: UInt8, coder: Coder, setting: str) -> Measured:
    found = measure(picture_of(image), coder, setting).figures()
    if found.failure:
        raise SelfcodecError(f"{name}: {coder.info.title}, {setting}: {found.failure}")
    return found


@click.command()
@click.option(
    "--models",
    metavar="NAME,...",
    default=",".join(dict.fromkeys(DEFAULT_MODELS[Mode.LOSSLESS])),
    show_default=True,
    callback=parse_names,
    help="Ours.",
)
@click.option(
    "--efforts",
    metavar="E,...",
    default="0,1",
    show_default=True,
    callback=whole_numbers("efforts", 0, MAX_EFFORT),
    help="Of the models.",
)
@dataset_option_with("kodak")
@click.option("--limit", metavar="N", type=click.IntRange(1), help="First images only.")
@click.option("--repeat", metavar="N", default=2, show_default=True, type=click.IntRange(1), help="The fastest counts.")
@output_folder_option
def main(
    models: tuple[str, ...], efforts: tuple[int, ...], dataset: str, limit: int | None, repeat: int, output: Path
) -> None:
    """Code images with lossless models by effort, JPEG XL by effort and WebP by method: bits against seconds.

    Writes efforts.json, efforts.md, efforts.png and efforts.svg. All coders have as many threads; speeds are without
    start-up, and without reading and writing files.
    """
    choose_peers(tuple(SWEEPS))  # what is missing makes this fail before anything is measured
    coders, pictures = list(coders_of(models, efforts)), load_pictures(dataset, limit)
    output.mkdir(parents=True, exist_ok=True)
    points = []
    with progress(sum(len(coder.settings) for coder in coders), "settings") as advance:
        for coder in coders:
            for setting in coder.settings:
                points.append(measured(pictures, coder, setting, repeat))
                advance()
    title = f"{dataset}, {len(pictures)} images, threads: {threads()}"
    digests = {model.spec.name: model.digest for model in map(find_model, models)}
    about = {"command": command_line(), **environment(), "models": digests}
    write_report(output / "efforts.json", about | {"dataset": dataset, "points": [asdict(point) for point in points]})
    rows = [point.cells() for point in points]
    write_atomically(output / "efforts.md", (f"{title}\n\n" + markdown_table(["coder", *HEADINGS], rows)).encode())
    with rc_context(STYLE):
        save(
            draw({c.info.title: [p for p in points if p.coder == c.info.title] for c in coders}, title),
            output,
            "efforts",
        )
    table = columns_table(title, ["coder"], HEADINGS)
    for row in rows:
        table.add_row(*row)
    show(table)
