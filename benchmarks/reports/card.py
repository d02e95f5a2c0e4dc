"""A model's card: the text of CARD.md, of which every figure stands in the model's manifest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from selfcodec.benchmarks.reports.lossy_card import bench_figures, lossy_commands, lossy_limitations, lossy_sections
from selfcodec.benchmarks.reports.rates import rate_rows
from selfcodec.benchmarks.reports.tables import markdown_table
from selfcodec.benchmarks.results import Run
from selfcodec.errors import InputError
from selfcodec.models.config import ModelConfig, PhasesConfig, ReconstructionConfig, ResidualConfig, TransformConfig
from selfcodec.models.recipe import parse_recipe_dict
from selfcodec.modes import Mode
from selfcodec.zoo import MANIFEST, WEIGHTS

Json = dict[str, Any]

DATA = {
    "cifar10": (
        "CIFAR-10 (Krizhevsky 2009), <https://www.cs.toronto.edu/~kriz/cifar.html>",
        "the authors state no licence and ask for a citation of their technical report; the images were collected"
        " from the web for research",
    ),
    "celeba": (
        "CelebA (Liu et al. 2015), <https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html>",
        "for non-commercial research only",
    ),
    "imagenette": (
        "Imagenette (Howard), <https://github.com/fastai/imagenette>, ten classes of ImageNet",
        "the photographs are under ImageNet's terms: for non-commercial research and education only",
    ),
    "photos": (
        "photographs of CLIC 2025, <https://clic2025.compression.cc>, and of the GB82 set",
        "Unsplash License, and CC0",
    ),
    "photos512": (
        "photographs of CID22, the Cloudinary Image Dataset, <https://cloudinary.com/labs/cid22>; of CLIC 2025,"
        " <https://clic2025.compression.cc>, at two thirds of their size; and of BSDS500 (Arbelaez et al. 2011)",
        "CC BY-SA 4.0; Unsplash License; and for non-commercial research and education only",
    ),
}
DATA |= {"imagenette64": DATA["imagenette"], "imagenette64-paper": DATA["imagenette"], "cifar10-paper": DATA["cifar10"]}
"""Of every training set this tells what it is, and on what terms its images may be used."""
LADDER_FIGURES = ("bytes", "bits_per_dim", "ratio", "psnr")
COMMON = ("model", "command", "date", "versions", "machine", "dataset", "images", "shape", "round_trip_failures")
REQUIRED = {
    "rates": (*COMMON, "bits_per_dim", "by_variable", "bytes", "bound", "stored", "peers", "images_per_second", "jobs"),
    "ladder": (*COMMON, "modes", "chains"),
}


def _of_another_model(manifest: Json, where: Path) -> InputError:
    return InputError(f"{where}: measured on another model than {manifest['name']!r}; measure again")


def add_measured(manifest: Json, name: str, report: Json, where: Path) -> None:
    """Put a report under `measured`; raise InputError where it is of another kind or of another model."""
    if missing := [key for key in REQUIRED[name] if key not in report]:
        raise InputError(f"{where}: not a report of benchmarks {name}: {missing[0]!r} is missing")
    try:
        if report["model"].get("sha256") != manifest["sha256"]:
            raise _of_another_model(manifest, where)
        list(SECTIONS[name](report))  # what is missing deeper down makes this fail
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        problem = f"{type(error).__name__}: {error}"
        raise InputError(f"{where}: not a report of benchmarks {name} ({problem}); measure again") from error
    manifest.setdefault("measured", {})[name] = report


def add_bench(manifest: Json, runs: Mapping[Path, Run]) -> None:
    """Put the figures of runs of `selfcodec bench`, given by path, under `measured`.

    Raises:
        InputError: a run is of another model, or has no lossy mode of this one, or two are of one data set.
    """
    bench: list[Json] = []
    for where, run in runs.items():
        if manifest["sha256"] not in run.provenance["models"].values():
            raise _of_another_model(manifest, where)
        figures = bench_figures(run, manifest["sha256"])
        if not figures["coders"]:
            raise InputError(f"{where}: no lossy mode of {manifest['name']!r} was measured")
        if any(figures["dataset"] == other["dataset"] for other in bench):
            raise InputError(f"{where}: two runs are of one data set")
        bench.append(figures)
    manifest.setdefault("measured", {})["bench"] = bench


def _likelihoods(m: ModelConfig) -> str:
    """How pixel variables are modelled, in words."""
    if isinstance(m.network, TransformConfig):
        blocks = f"transforms of {', '.join(map(str, m.network.widths))} features from the finest resolution on"
    elif isinstance(m.network, ResidualConfig):
        blocks = f"{m.network.kind} networks, {m.network.blocks} blocks of width {m.network.width}"
    else:
        blocks = f"{m.network.kind} networks, DenseNet blocks"
    if isinstance(m.likelihood, ReconstructionConfig):
        return f"Pictures: {blocks}; trained for rate and distortion, lossy only."
    manner = "each pixel in the context of its neighbours"
    if isinstance(m.likelihood, PhasesConfig):
        manner = f"{m.likelihood.phases} phase{'s' if m.likelihood.phases > 1 else ''} a pixel variable"
    return f"Likelihoods: {blocks}; mixtures of {m.likelihood.mixtures} discretized logistics, {manner}."


def _about(manifest: Json) -> Iterator[str]:
    name = manifest["name"]
    m = parse_recipe_dict(manifest["recipe"], f"{name}, {MANIFEST}").model
    what = f"K = {m.levels} ({m.transformation})" if m.levels else "K = 0 (no transformation)"
    yield f"# {name}"
    yield (
        f"A self-supervised variational auto-encoder with {what}, exported to integer networks for coding images."
        f" Latents: {m.u.channels} channels of u"
        + (f", {m.z.channels} of every z" if m.levels else "")
        + f"; posterior {m.posterior.kind}, prior {m.prior.kind}. {_likelihoods(m)}"
        f" The complete recipe is in `{MANIFEST}`."
    )
    largest, weights = manifest["largest_sum"], manifest["measured"]["weights"]
    rows = [
        ("parameters", f"{manifest['parameters']:,}"),
        (f"bytes of `{WEIGHTS}`", f"{weights['bytes']:,}"),
        ("SHA-256", f"`{manifest['sha256']}`"),
        (
            "overflow proof: largest sum possible in any convolution",
            f"{largest['bound']:,} of {largest['of']:,} (`{largest['node']}`)",
        ),
    ]
    yield markdown_table(["model", ""], rows)


def _training(manifest: Json) -> Iterator[str]:
    yield "## Data and training"
    for dataset in manifest["recipe"]["train"]["dataset"].split("+"):
        what, terms = DATA.get(dataset, (f"`{dataset}`", "as its owner states them"))
        yield f"Trained on {what}. Terms of the data: {terms}."
    training = dict(manifest["training"])
    note = training.pop("note", None)
    rows = [
        (key, f"{value:,}" if isinstance(value, int) else f"{value}")
        for key, value in training.items()
        if not isinstance(value, dict | list)
    ]
    yield markdown_table(["training", ""], rows) if rows else "The manifest records nothing of the training run."
    if note is not None:
        yield note


def _rates(rates: Json) -> Iterator[str]:
    yield f"## Lossless: {rates['images']:,} test images of {rates['dataset']}, each a file of its own"
    yield markdown_table(*rate_rows(rates))
    total, bound = rates["bits_per_dim"], rates["bound"]
    over = 100 * (total["file"] / total["model"] - 1)
    text = [f"The files' size is {over:+.2f} % against the model's own sum of −log2 p."]
    if "elbo_float" in total and "elbo_integer" in total:
        cost = 100 * (total["elbo_integer"] / total["elbo_float"] - 1)
        of_x = (rates["by_variable"][name]["x"] for name in ("elbo_integer", "elbo_float"))
        text.append(
            f"Integer networks cost {cost:+.2f} % against float ones, of x alone"
            f" {100 * (next(of_x) / next(of_x) - 1):+.2f} %."
        )
    text.append(
        f"The worst file has {bound['worst_excess_bytes']:.1f} bytes more than its sum; files beyond"
        f" {100 * (bound['factor'] - 1):.0f} % + {bound['bytes']} bytes: {bound['files_beyond']}."
        f" Failed round trips: {rates['round_trip_failures']}."
    )
    if rates["peers"]:
        text.append(f"Other coders: {'; '.join(peer['settings'] for peer in rates['peers'].values())}.")
    yield " ".join(text)
    speed, machine = rates["images_per_second"], rates["machine"]
    processes = "one process" if rates["jobs"] == 1 else f"each of {rates['jobs']} processes"
    yield (
        f"Speed, image by image, of {processes} on {machine['cpu']} ({machine['cores']} cores):"
        f" {speed['encode']:.1f} encoded and {speed['decode']:.1f} decoded a second."
    )


def _ladder(ladder: Json) -> Iterator[str]:
    rows = []
    for mode, found in ladder["modes"].items():
        size, bpd, ratio, quality = (found[key] for key in LADDER_FIGURES)
        shown = f"{quality:.2f}" if quality is not None else "identical"
        rows.append((f"`{mode}`", f"{size:.1f}", f"{bpd:.3f}", f"{ratio:.2f}", shown))
    yield f"## Ladder of modes: the first {ladder['images']:,} test images of {ladder['dataset']}"
    yield markdown_table(["mode", "mean bytes", "bits per dimension", "compression ratio", "mean PSNR, dB"], rows)


SECTIONS = {"rates": _rates, "ladder": _ladder}
"""What a card says of each report."""


def _listed(modes: Iterable[str]) -> str:
    """Name the lossy ones among modes."""
    *most, last = (f"`{mode}`" for mode in modes if mode != str(Mode.LOSSLESS))
    return f"{', '.join(most)} and {last}"


def _limitations(manifest: Json) -> Iterator[str]:
    rates, ladder = manifest["measured"]["rates"], manifest["measured"]["ladder"]
    height, width = rates["shape"][:2]
    dataset = manifest["recipe"]["train"]["dataset"]
    items = [
        f"Made for images like its training set (measured at {width} × {height}). Any size and content is coded without"
        " loss, but images of another kind take more bytes than they need to.",
        "Where the model would need more bytes than a PNG, a WebP or the raw samples, the file holds those instead:"
        f" {rates['stored']:,} of {rates['images']:,} test images.",
        f"{_listed(ladder['modes'])} invent what they do not send: do not take details in their images for facts.",
        f"What {dataset} shows rarely or one-sidedly, the model codes and reconstructs worse.",
    ]
    items += [f"On the ladder's images, {what} does not hold." for what, holds in ladder["chains"].items() if not holds]
    if failures := rates["round_trip_failures"] + ladder["round_trip_failures"]:
        items.append(f"{failures:,} lossless files did not decode to their image.")
    yield "## Limitations"
    yield "\n".join(f"- {item}" for item in items)


def _commands(manifest: Json) -> Iterator[str]:
    measured = manifest["measured"]
    yield "## How the figures were measured"
    yield "```\n" + "\n".join(measured[name]["command"] for name in ("rates", "ladder", "weights")) + "\n```"
    rates = measured["rates"]
    versions = ", ".join(f"{name} {version}" for name, version in rates["versions"].items())
    yield f"Lossless rates on {rates['date']}, ladder on {measured['ladder']['date']}, with {versions}."


def card(manifest: Json) -> str:
    """Return the card's text in Markdown; every number in it stands in the manifest or follows from numbers there."""
    measured = manifest["measured"]
    parts = [*_about(manifest), *_training(manifest)]
    if "bench" in measured:
        parts += lossy_sections(measured["bench"])
        parts += lossy_limitations(measured["bench"], manifest["recipe"]["train"]["dataset"])
        parts += lossy_commands(measured)
    else:
        parts += [*_rates(measured["rates"]), *_ladder(measured["ladder"])]
        parts += [*_limitations(manifest), *_commands(manifest)]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"
