"""Lossless rates on a data set: what training promises, what the model promises, and what lies on disk.

Run as `python -m selfcodec.benchmarks.rates --model NAME --dataset cifar10 -o rates.json --peers`. A rate is the mean
of the images' own rates, whatever their sizes.
"""

from __future__ import annotations

import math
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from PIL import Image
from rich.table import Table
from safetensors.torch import load

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.metrics import PEERS, BenchmarkCommand, progress, provenance, show, write_report
from selfcodec.benchmarks.sources import load_pictures
from selfcodec.codec import decode_file, encode_picture
from selfcodec.errors import InputError, SelfcodecError
from selfcodec.images import from_image
from selfcodec.models.checkpoint import load_trained
from selfcodec.models.data import ImageSet
from selfcodec.models.evaluation import evaluate
from selfcodec.models.export import export_network
from selfcodec.models.selfvae import SelfVAE
from selfcodec.modes import Mode
from selfcodec.tiles import tile_boxes
from selfcodec.zoo import Model, find_model, read_contents

BOUND_FACTOR, BOUND_BYTES = 1.01, 24
"""A file may have this many times the model's bytes, plus so many."""
PIXELS = 1 << 16
"""Of a batch on which the ELBO is evaluated."""
IN_FLIGHT = 64
"""Images a process that are handed out at once."""

NAMES = {
    "elbo_float": "ELBO, float networks",
    "elbo_integer": "ELBO, integer networks",
    "model": "model, sum of -log2 p",
    "file": "file, header included",
    **{name: peer.title for name, peer in PEERS.items()},
}


@dataclass(frozen=True)
class Outcome:
    """One image's file.

    Attributes:
        dims: of the image, H * W * 3.
        size: bytes.
        model_bits: the model's sum of -log2 p by variable, also where the file holds the fallback.
        stored: the file holds the fallback.
        intact: it decodes to the image.
        encode_seconds, decode_seconds: of this file.
        peers: bytes of other coders' lossless files.
        damaged: peers whose file does not decode to the image.
    """

    dims: int
    size: int
    model_bits: dict[str, float]
    stored: bool
    intact: bool
    encode_seconds: float
    decode_seconds: float
    peers: dict[str, int]
    damaged: list[str]

    @property
    def excess(self) -> float:
        """Bytes beyond the model's."""
        return self.size - sum(self.model_bits.values()) / 8

    @property
    def within_bound(self) -> bool:
        """Whether the size is what the model promises, up to 1 % and 24 bytes."""
        return self.size <= BOUND_FACTOR * sum(self.model_bits.values()) / 8 + BOUND_BYTES


def measure(image: UInt8, model_name: str | None, peers: bool) -> Outcome:
    """Codes one image (H, W, 3) as a single lossless file, decodes that, and compares."""
    model = find_model(model_name)
    start = time.perf_counter()
    picture = from_image(Image.fromarray(image))
    encoded = encode_picture(picture, model=model, verify=False)
    middle = time.perf_counter()
    try:
        intact = np.array_equal(np.asarray(decode_file(encoded.data, model=model)), image)
    except SelfcodecError:
        intact = False
    end = time.perf_counter()
    files = {name: peer.write(image) for name, peer in PEERS.items()} if peers else {}
    return Outcome(
        dims=image.size,
        size=len(encoded.data),
        model_bits=encoded.model_bits or encode_picture(picture, model=model, verify=False, fallback=False).model_bits,
        stored=encoded.mode is Mode.STORED,
        intact=intact,
        encode_seconds=middle - start,
        decode_seconds=end - middle,
        peers={name: len(data) for name, data in files.items()},
        damaged=[name for name, data in files.items() if not np.array_equal(PEERS[name].read(data), image)],
    )


def measure_all(images: Sequence[UInt8], model_name: str | None, peers: bool, jobs: int) -> Iterator[Outcome]:
    """Outcomes in order, from `jobs` processes."""
    task = partial(measure, model_name=model_name, peers=peers)
    if jobs == 1:
        yield from map(task, images)
        return
    context = multiprocessing.get_context("spawn")
    threads = max(1, torch.get_num_threads() // jobs)
    with ProcessPoolExecutor(jobs, context, torch.set_num_threads, (threads,)) as pool:
        for start in range(0, len(images), IN_FLIGHT * jobs):
            yield from pool.map(task, images[start : start + IN_FLIGHT * jobs], chunksize=4 if len(images) > 100 else 1)


def summary(
    outcomes: list[Outcome], shape: tuple[int, ...], elbo: dict[str, dict[str, float]], jobs: int
) -> dict[str, Any]:
    """The figures; rates in bits per dimension, `shape` (H, W, C) is the first image's."""
    n = len(outcomes)

    def mean_rate(sizes: Sequence[float]) -> float:
        return math.fsum(8 * size / o.dims for size, o in zip(sizes, outcomes, strict=True)) / n

    model = {name: mean_rate([o.model_bits[name] / 8 for o in outcomes]) for name in outcomes[0].model_bits}
    by_variable = {**elbo, "model": model}
    sizes = {"file": [o.size for o in outcomes]}
    sizes |= {name: [o.peers[name] for o in outcomes] for name in outcomes[0].peers}
    rates = {name: math.fsum(parts.values()) for name, parts in by_variable.items()}
    pixels = math.fsum(o.dims for o in outcomes) / 3
    return {
        "images": n,
        "shape": list(shape),
        "bits_per_dim": rates | {name: mean_rate(each) for name, each in sizes.items()},
        "by_variable": by_variable,
        "bytes": {name: sum(each) / n for name, each in sizes.items()},
        "stored": sum(o.stored for o in outcomes),
        "round_trip_failures": sum(not o.intact for o in outcomes),
        "peers": {
            name: {"settings": PEERS[name].settings, "failures": sum(name in o.damaged for o in outcomes)}
            for name in outcomes[0].peers
        },
        "bound": {
            "factor": BOUND_FACTOR,
            "bytes": BOUND_BYTES,
            "worst_excess_bytes": max(o.excess for o in outcomes),
            "files_beyond": sum(not o.within_bound for o in outcomes),
        },
        "images_per_second": {
            "encode": n / math.fsum(o.encode_seconds for o in outcomes),
            "decode": n / math.fsum(o.decode_seconds for o in outcomes),
        },
        "megapixels_per_second": {
            "encode": pixels / 1e6 / math.fsum(o.encode_seconds for o in outcomes),
            "decode": pixels / 1e6 / math.fsum(o.decode_seconds for o in outcomes),
        },
        "jobs": jobs,
    }


def each_image(names: Sequence[str], images: Sequence[UInt8], outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """One image's figures after another."""
    return [
        {
            "name": name,
            "width": image.shape[1],
            "height": image.shape[0],
            "bytes": {"file": o.size, **o.peers},
            "bits_per_dim": {key: 8 * size / o.dims for key, size in {"file": o.size, **o.peers}.items()},
            "stored": o.stored,
            "intact": o.intact,
            "encode_seconds": round(o.encode_seconds, 3),
            "decode_seconds": round(o.decode_seconds, 3),
        }
        for name, image, o in zip(names, images, outcomes, strict=True)
    ]


def image_table(rows: list[dict[str, Any]]) -> Table:
    """Rates of every image."""
    coders = list(rows[0]["bits_per_dim"])
    out = Table(title="bits per dimension, image by image")
    out.add_column("image", no_wrap=True)
    for heading in ("size", *(NAMES[name] for name in coders), "encode (s)", "decode (s)"):
        out.add_column(heading, justify="right")
    for row in rows:
        best = min(row["bits_per_dim"].values())
        rates = [f"[bold]{r:.3f}[/]" if r == best else f"{r:.3f}" for r in row["bits_per_dim"].values()]
        seconds = [f"{row['encode_seconds']:.2f}", f"{row['decode_seconds']:.2f}"]
        out.add_row(row["name"], f"{row['width']} × {row['height']}", *rates, *seconds)
    return out


def _tiles(images: Sequence[UInt8], side: int) -> Iterator[tuple[float, UInt8]]:
    """All images' tiles (N, h, w, 3), as the codec cuts them, size by size, with their share of a mean image."""
    found: dict[tuple[float, tuple[int, ...]], list[UInt8]] = {}
    for image in images:
        for box in tile_boxes(image.shape[1], image.shape[0], side):
            tile = box.of(image)
            found.setdefault((tile.size / image.size / len(images), tile.shape), []).append(tile)
    for (share, _), tiles in found.items():
        yield share * len(tiles), np.stack(tiles)


def objective(checkpoint: Path, model: Model, images: Sequence[UInt8]) -> dict[str, dict[str, float]]:
    """The ELBO (paper eq. 11) by variable in bits per dimension, of the float networks and of the model's integer ones.

    Raises:
        InputError: the model was not exported from this checkpoint, or a side of a tile is no multiple of what its
            networks take without padding.
    """
    recipe, net, _ = load_trained(checkpoint)
    _round_like(net, model, checkpoint)
    config, device, sets = recipe.model, torch.device("cpu"), list[tuple[float, ImageSet]]()
    for share, tiles in _tiles(images, model.spec.tile):
        if any(side % model.padding for side in tiles.shape[1:3]):
            raise InputError(f"the ELBO is measured on images whose tiles' sides are multiples of {model.padding} only")
        data = ImageSet.build(tiles, config.transformation, config.levels, flip=False, device=device)
        sets.append((share, data))

    def mean() -> dict[str, float]:
        parts = [(share, evaluate(net, data, batch=max(1, PIXELS // data.ys[0][0, 0].numel()))) for share, data in sets]
        return {name: sum(share * rates[name] for share, rates in parts) for name in parts[0][1]}

    rounded = mean()
    for _, graph in net.graphs():
        graph.formats = {}
    return {"elbo_float": mean(), "elbo_integer": rounded}


def _round_like(net: SelfVAE, model: Model, checkpoint: Path) -> None:
    """Gives the networks the model's fixed-point formats, with which they must export to the model's integers."""
    data = Path(model.where).read_bytes()
    weights, graphs = load(data), read_contents(data)["graphs"]
    for name, graph in net.graphs():
        same = name in graphs and tuple(model.nets[name].graph.nodes) == tuple(graph.graph.nodes)
        if same:
            graph.formats = dict(graphs[name]["formats"])
            own = export_network(name, graph)[1]
            same = all(key in weights and torch.equal(own[key], weights[key]) for key in own)
        if not same:
            raise InputError(f"{checkpoint}: not what model {model.spec.name!r} was exported from ({name} differs)")


def table(figures: dict[str, Any], title: str) -> Table:
    """Rates side by side."""
    variables = list(figures["by_variable"]["model"])
    out = Table(title=title)
    out.add_column("bits per dimension", no_wrap=True)
    for heading in ("total", *variables, "bytes"):
        out.add_column(heading, justify="right")
    for name, rate in figures["bits_per_dim"].items():
        parts = figures["by_variable"].get(name, {})
        cells = (f"{parts[v]:.4f}" if v in parts else "" for v in variables)
        size = figures["bytes"].get(name)
        out.add_row(NAMES[name], f"{rate:.4f}", *cells, "" if size is None else f"{size:.1f}")
    return out


@click.command("rates", cls=BenchmarkCommand)
@click.option("--model", "model_name", help="Name or folder of a model; the default one if not given.")
@click.option("--dataset", default="cifar10", show_default=True, help="Data set, folder, scikit-image or synthetic.")
@click.option("--limit", type=click.IntRange(min=1), help="First test images only.")
@click.option("--each", is_flag=True, help="Show and write every image's figures, too.")
@click.option("--checkpoint", type=click.Path(dir_okay=False, path_type=Path), help="Report the ELBO, too.")
@click.option("--peers", is_flag=True, help="Code the images with PNG, WebP and JPEG XL, too.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures as JSON.")
def main(
    model_name: str | None,
    dataset: str,
    limit: int | None,
    each: bool,
    checkpoint: Path | None,
    peers: bool,
    jobs: int,
    output: Path | None,
) -> None:
    """Code every test image as a lossless file of its own, and compare promised with real sizes.

    Ends with exit status 1 if a file does not decode to its image.
    """
    model = find_model(model_name)
    pictures = load_pictures(dataset, limit)
    images = list(pictures.values())
    elbo = objective(checkpoint, model, images) if checkpoint else {}
    outcomes = list(progress(measure_all(images, model_name, peers, jobs), len(images), "images"))
    figures = summary(outcomes, images[0].shape, elbo, jobs)
    if each:
        figures["each"] = each_image(list(pictures), images, outcomes)
        show(image_table(figures["each"]))
    ctx = click.get_current_context()
    if output is not None:
        write_report(output, {**provenance(ctx, model), "dataset": dataset, "split": "test", **figures})
    show(table(figures, f"{model.spec.name}, {len(images)} test images of {dataset}"))
    bound, speed, pixels = figures["bound"], figures["images_per_second"], figures["megapixels_per_second"]
    click.echo(f"largest file beyond its own sum of -log2 p: {bound['worst_excess_bytes']:+.1f} bytes")
    click.echo(f"files beyond 1 % + {BOUND_BYTES} bytes: {bound['files_beyond']}")
    click.echo(f"files that hold the stored fallback: {figures['stored']}")
    click.echo(f"images per second and process: encode {speed['encode']:.2f}, decode {speed['decode']:.2f}")
    click.echo(f"megapixels per second and process: encode {pixels['encode']:.3f}, decode {pixels['decode']:.3f}")
    for name, peer in figures["peers"].items():
        click.echo(f"{NAMES[name]}: {peer['failures']} round trip failures")
    click.echo(f"round trip failures: {figures['round_trip_failures']}")
    if figures["round_trip_failures"]:
        ctx.exit(1)


if __name__ == "__main__":
    main()
