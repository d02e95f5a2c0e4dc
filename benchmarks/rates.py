"""Lossless rates on a data set: what training promises, what the model promises, and what lies on disk.

Run as `python -m selfcodec.benchmarks.rates --model NAME --dataset cifar10 -o rates.json --peers`.
"""

from __future__ import annotations

import math
import multiprocessing
import time
from collections.abc import Iterator
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

from selfcodec import imageio
from selfcodec.benchmarks.metrics import (
    PEERS,
    BenchmarkCommand,
    UInt8,
    bits_per_dim,
    first_images,
    progress,
    provenance,
    show,
    write_report,
)
from selfcodec.codec import decode_file, encode_picture
from selfcodec.errors import InputError, SelfcodecError
from selfcodec.models.data import ImageSet
from selfcodec.models.export import export_network
from selfcodec.models.selfvae import SelfVAE
from selfcodec.models.train import evaluate, load_trained
from selfcodec.modes import Mode
from selfcodec.zoo import Model, find_model, read_contents

BOUND_FACTOR, BOUND_BYTES = 1.01, 24
"""A file may have this many times the model's bytes, plus so many."""
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
        size: bytes.
        model_bits: the model's sum of -log2 p by variable, also where the file holds the fallback.
        stored: the file holds the fallback.
        intact: it decodes to the image.
        encode_seconds, decode_seconds: of this file.
        peers: bytes of other coders' lossless files.
        damaged: peers whose file does not decode to the image.
    """

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
    picture = imageio.from_image(Image.fromarray(image))
    encoded = encode_picture(picture, model=model, verify=False)
    middle = time.perf_counter()
    try:
        intact = np.array_equal(np.asarray(decode_file(encoded.data, model=model)), image)
    except SelfcodecError:
        intact = False
    end = time.perf_counter()
    files = {name: peer.write(image) for name, peer in PEERS.items()} if peers else {}
    return Outcome(
        size=len(encoded.data),
        model_bits=encoded.model_bits or encode_picture(picture, model=model, verify=False, fallback=False).model_bits,
        stored=encoded.mode is Mode.STORED,
        intact=intact,
        encode_seconds=middle - start,
        decode_seconds=end - middle,
        peers={name: len(data) for name, data in files.items()},
        damaged=[name for name, data in files.items() if not np.array_equal(PEERS[name].read(data), image)],
    )


def measure_all(images: UInt8, model_name: str | None, peers: bool, jobs: int) -> Iterator[Outcome]:
    """Outcomes in order, from `jobs` processes."""
    task = partial(measure, model_name=model_name, peers=peers)
    if jobs == 1:
        yield from map(task, images)
        return
    context = multiprocessing.get_context("spawn")
    threads = max(1, torch.get_num_threads() // jobs)
    with ProcessPoolExecutor(jobs, context, torch.set_num_threads, (threads,)) as pool:
        for start in range(0, len(images), IN_FLIGHT * jobs):
            yield from pool.map(task, images[start : start + IN_FLIGHT * jobs], chunksize=4)


def summary(
    outcomes: list[Outcome], shape: tuple[int, ...], elbo: dict[str, dict[str, float]], jobs: int
) -> dict[str, Any]:
    """The figures; rates in bits per dimension of images of that shape (H, W, C)."""
    n = len(outcomes)
    model = {
        name: bits_per_dim(math.fsum(o.model_bits[name] for o in outcomes) / 8 / n, shape)
        for name in outcomes[0].model_bits
    }
    by_variable = {**elbo, "model": model}
    size = {"file": sum(o.size for o in outcomes) / n}
    size |= {name: sum(o.peers[name] for o in outcomes) / n for name in outcomes[0].peers}
    rates = {name: math.fsum(parts.values()) for name, parts in by_variable.items()}
    return {
        "images": n,
        "shape": list(shape),
        "bits_per_dim": rates | {name: bits_per_dim(mean, shape) for name, mean in size.items()},
        "by_variable": by_variable,
        "bytes": size,
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
        "jobs": jobs,
    }


def objective(checkpoint: Path, model: Model, images: UInt8) -> dict[str, dict[str, float]]:
    """The ELBO (paper eq. 11) by variable in bits per dimension, of the float networks and of the model's integer ones.

    Raises:
        InputError: the model was not exported from this checkpoint.
    """
    recipe, net, _ = load_trained(checkpoint)
    _round_like(net, model, checkpoint)
    levels, device = recipe.model.levels, torch.device("cpu")
    data = ImageSet.build(images, recipe.model.transformation, levels, flip=False, device=device)
    rounded = evaluate(net, data)
    for _, graph in net.graphs():
        graph.formats = {}
    return {"elbo_float": evaluate(net, data), "elbo_integer": rounded}


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
@click.option("--dataset", default="cifar10", show_default=True, help="Name of the data set.")
@click.option("--limit", type=click.IntRange(min=1), help="First test images only.")
@click.option("--checkpoint", type=click.Path(dir_okay=False, path_type=Path), help="Report the ELBO, too.")
@click.option("--peers", is_flag=True, help="Code the images with PNG, WebP and JPEG XL, too.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures as JSON.")
def main(
    model_name: str | None,
    dataset: str,
    limit: int | None,
    checkpoint: Path | None,
    peers: bool,
    jobs: int,
    output: Path | None,
) -> None:
    """Code every test image as a lossless file of its own, and compare promised with real sizes.

    Ends with exit status 1 if a file does not decode to its image.
    """
    model = find_model(model_name)
    images = first_images(dataset, limit)
    elbo = objective(checkpoint, model, images) if checkpoint else {}
    outcomes = list(progress(measure_all(images, model_name, peers, jobs), len(images), "images"))
    figures = summary(outcomes, images.shape[1:], elbo, jobs)
    ctx = click.get_current_context()
    if output is not None:
        write_report(output, {**provenance(ctx, model), "dataset": dataset, "split": "test", **figures})
    show(table(figures, f"{model.spec.name}, {len(images)} test images of {dataset}"))
    bound, speed = figures["bound"], figures["images_per_second"]
    click.echo(f"largest file beyond its own sum of -log2 p: {bound['worst_excess_bytes']:+.1f} bytes")
    click.echo(f"files beyond 1 % + {BOUND_BYTES} bytes: {bound['files_beyond']}")
    click.echo(f"files that hold the stored fallback: {figures['stored']}")
    click.echo(f"images per second and process: encode {speed['encode']:.2f}, decode {speed['decode']:.2f}")
    for name, peer in figures["peers"].items():
        click.echo(f"{NAMES[name]}: {peer['failures']} round trip failures")
    click.echo(f"round trip failures: {figures['round_trip_failures']}")
    if figures["round_trip_failures"]:
        ctx.exit(1)


if __name__ == "__main__":
    main()
