"""Bounds of a model's likelihoods on a data set, image by image, and its files beside them."""

from __future__ import annotations

import hashlib
import math
import os
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.coders import picture_of
from selfcodec.benchmarks.fid import STATE, Distance, Progress
from selfcodec.benchmarks.files import write_report
from selfcodec.benchmarks.journal import Journal, digest_of
from selfcodec.benchmarks.measure import measure
from selfcodec.benchmarks.metrics import bits_per_dim, mean
from selfcodec.benchmarks.own import Own, own_coder, with_model_bits
from selfcodec.benchmarks.provenance import environment
from selfcodec.benchmarks.sources import dataset_name, load_pictures
from selfcodec.errors import InputError
from selfcodec.models.checkpoint import CHECKPOINT, load_trained
from selfcodec.models.config import Recipe
from selfcodec.models.data import as_batch
from selfcodec.models.evaluation import bounds
from selfcodec.models.exported import load_exported
from selfcodec.models.selfvae import SelfVAE
from selfcodec.modes import Mode
from selfcodec.schedule import padding_multiple
from selfcodec.tiles import tile_boxes
from selfcodec.zoo import find_model

REPORT = "bounds.json"
EACH = "each"
"""A report has its images under this name."""
DIGITS = 6
"""Bits per dimension of single images are kept with so many."""


@dataclass(frozen=True)
class Bounded:
    """What one image costs.

    Attributes:
        image: its name in the data set.
        width, height: pixels.
        model: the model's name.
        rates: terms of the negative evidence lower bound by variable, nats.
        weighted: the importance weighted bound, nats.
        bytes: of the lossless file; None where none was made.
        failure: what is wrong with the file, "" if nothing is.
        digest: of the image, as of `digest_of`; "" in records from before it was kept.
        stored: the file holds a WebP or PNG, which was smaller; None where none was made, or it was not kept.
        sent: sum of -log p of what the model itself sends, whatever the file holds, nats; None where it sent nothing.
    """

    image: str
    width: int
    height: int
    model: str
    rates: dict[str, float]
    weighted: float
    bytes: int | None
    failure: str
    digest: str = ""
    stored: bool | None = None
    sent: float | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what no two records share."""
        return self.model, self.image, self.digest

    def bpd(self, nats: float) -> float:
        """Return bits per dimension."""
        return nats / (3 * self.width * self.height * math.log(2))

    @property
    def file(self) -> float | None:
        """The file's bits per dimension; None where none was made, or it is wrong."""
        shape = self.height, self.width, 3
        return None if self.bytes is None or self.failure else bits_per_dim(self.bytes, shape)


@dataclass(frozen=True)
class Subject:
    """A model to be evaluated, exported or not.

    Attributes:
        name: of the model.
        digest: SHA-256 of its file.
        recipe: of the model.
        net: its networks, of an exported model with the integers' rounding.
        coder: makes its files; None where it is not exported.
    """

    name: str
    digest: str
    recipe: Recipe
    net: SelfVAE
    coder: Own | None

    @property
    def tile(self) -> int:
        """Return the largest tile's side in pixels."""
        return min(pixels.tile for pixels in self.net.pixels.values())

    @property
    def adapts(self) -> bool:
        """Whether files are coded with what is learned of their images on the way, which the bounds know nothing of."""
        return self.coder is not None and find_model(self.coder.model).adapts(Mode.LOSSLESS)

    @staticmethod
    def load(model: str) -> Subject:
        """Return a model by name or folder, or a training run by its folder or checkpoint.

        Raises:
            InputError: there is none, or it was not trained by likelihood.
            ModelError: it is damaged.
        """
        path = Path(model)
        checkpoint = path if path.suffix == Path(CHECKPOINT).suffix else path / CHECKPOINT
        if checkpoint == path or checkpoint.is_file():
            recipe, net, _ = load_trained(checkpoint)
            name, digest, coder = recipe.name, hashlib.sha256(checkpoint.read_bytes()).hexdigest(), None
        else:
            source = find_model(model)
            recipe, net = load_exported(source)
            name, digest, coder = source.spec.name, source.digest, own_coder(model, Mode.LOSSLESS)
        if recipe.model.is_transform:
            raise InputError(f"{model}: is lossy only and has no likelihoods; `selfcodec bench` measures its files")
        return Subject(name, digest, recipe, net, coder)

    def evaluate(self, name: str, image: UInt8, samples: int, *, files: bool) -> Bounded:
        """Return an image's (H, W, 3) record: sums over its tiles, from random numbers that its name alone chooses.

        Raises:
            InputError: a side of a tile is no multiple of what the networks take without padding; names the image.
        """
        config, multiple = self.recipe.model, padding_multiple(self.net.steps)
        device = next(self.net.parameters()).device
        rates, weighted = dict.fromkeys((step.name for step in self.net.steps), 0.0), 0.0
        with torch.random.fork_rng():
            torch.manual_seed(zlib.crc32(name.encode()))
            for box in tile_boxes(image.shape[1], image.shape[0], self.tile):
                if box.height % multiple or box.width % multiple:
                    raise InputError(
                        f"{name}: {image.shape[1]}×{image.shape[0]} pixels: likelihoods of this model are evaluated on"
                        f" sides that are multiples of {multiple}"
                    )
                part = bounds(
                    self.net, as_batch(box.of(image)[None], config.transformation, config.levels, device), samples
                )
                rates = {variable: rate + part.rates[variable] for variable, rate in rates.items()}
                weighted += part.weighted
        height, width = image.shape[:2]
        found = Bounded(name, width, height, self.name, rates, weighted, None, "", digest_of(image))
        if not files or self.coder is None:
            return found
        picture = picture_of(image)
        file = with_model_bits(measure(picture, self.coder), picture, self.coder)
        sent = math.fsum(file.model_bits.values()) * math.log(2) if file.model_bits else None
        return replace(found, bytes=file.size, failure=file.failure, stored=file.stored, sent=sent)


def results_name(model: str, dataset: str) -> str:
    """Return what results are called after: a model's folder, or a training run's, and a data set."""
    path = Path(os.path.abspath(model))  # `.` has a name, too
    name = path.name
    if path.suffix == Path(CHECKPOINT).suffix:  # runs call them alike
        name = path.parent.name if name == CHECKPOINT else f"{path.parent.name}-{path.stem}"
    return f"{name}-{dataset_name(dataset)}"


def each_image(records: list[Bounded], samples: int) -> list[dict[str, Any]]:
    """Return every image's bounds, what the model sends, and its file, in bits per dimension; None if not asked for."""
    return [
        {
            "image": r.image,
            "elbo": round(r.bpd(math.fsum(r.rates.values())), DIGITS),
            "importance_weighted": round(r.bpd(r.weighted), DIGITS) if samples > 1 else None,
            "sent": None if r.sent is None else round(r.bpd(r.sent), DIGITS),
            "files": None if r.file is None else round(r.file, DIGITS),
            "stored": r.stored,
        }
        for r in records
    ]


def summary(records: list[Bounded], samples: int, *, files: bool) -> dict[str, Any]:
    """Return means of the images' own bits per dimension."""
    found: dict[str, Any] = {
        "images": len(records),
        "samples": samples,
        "terms": {name: mean([r.bpd(r.rates[name]) for r in records]) for name in records[0].rates},
        "elbo": mean([r.bpd(math.fsum(r.rates.values())) for r in records]),
        "importance_weighted": mean([r.bpd(r.weighted) for r in records]) if samples > 1 else None,
    }
    if files:
        good = [r for r in records if r.file is not None]
        found["sent"] = mean([r.bpd(r.sent) for r in good if r.sent is not None])
        found["files"] = mean([r.file for r in good if r.file is not None])
        found["files_stored"] = sum(bool(r.stored) for r in good)
        found["failures"] = len(records) - len(good)
    return found


def evaluate_data_set(
    model: str,
    dataset: str,
    output: Path,
    command: str,
    *,
    limit: int | None,
    samples: int,
    files: bool,
    distance: Distance | None = None,
    device: torch.device,
    force: bool,
    progress: Progress,
) -> Mapping[str, Any]:
    """Evaluate what the output folder has no record of yet; write the report there, and return it without its images.

    Args:
        model: as of `Subject.load`.
        dataset: as of `load_pictures`.
        output: folder, made where missing; a run that was stopped there goes on.
        command: for the report.
        limit: images to bound; None for all.
        samples: of the posterior, an image.
        files: make lossless files, too.
        distance: measures the FID between all images, whatever the limit, and the model's samples, too.
        device: where networks run.
        force: begin anew whatever is in the folder.
        progress: of images.

    Raises:
        InputError: there is no such model or data set, it makes no files or samples, the folder holds something else,
            or the images are none that the FID takes.
    """
    subject = Subject.load(model)
    if (files or distance) and subject.coder is None:
        what = "files" if files else "samples"
        raise InputError(f"{model}: a training run makes no {what}; export it first: selfcodec export")
    subject.net.to(device)
    everything = load_pictures(dataset, None if distance else limit)
    pictures = dict(islice(everything.items(), limit))
    if distance is not None:
        distance.check(find_model(model), everything)
    about = environment() | {"models": {subject.name: subject.digest}}
    name = dataset_name(dataset)
    run = {"dataset": name, "samples": samples, "models": about["models"], "versions": about["versions"]}
    journal = Journal(output, run, Bounded, force=force)
    if force:
        (output / STATE).unlink(missing_ok=True)
    keys = {picture: (subject.name, picture, digest_of(image)) for picture, image in pictures.items()}
    with progress(len(pictures)) as advance:
        for picture, key in keys.items():
            known = journal.records.get(key)
            if known is None or (files and known.stored is None):
                journal.add([subject.evaluate(picture, pictures[picture], samples, files=files)])
            advance()
    records = [journal.records[key] for key in keys.values()]
    report = {"command": command, **about, "dataset": name, **summary(records, samples, files=files)}
    if files:
        report["files_adapt"] = subject.adapts
    if distance is not None:
        found = distance.measure(find_model(model), everything, output / STATE, run, device, progress)
        report["fid"] = asdict(found)
    write_report(output / REPORT, {**report, EACH: each_image(records, samples)}, lists=(EACH,))
    return report
