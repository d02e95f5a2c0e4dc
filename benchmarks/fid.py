"""The Fréchet Inception Distance (FID) between a model's samples and a data set's images.

Heusel et al. 2017, https://arxiv.org/abs/1706.08500. torchmetrics computes it with torch-fidelity's network, which
enlarges pictures as the original does, and the original's weights. These need `pip install 'selfcodec[fid]'`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.journal import digest_of
from selfcodec.errors import InputError
from selfcodec.generation import Size, sample_images
from selfcodec.models.checkpoint import write_checkpoint
from selfcodec.zoo import Model

if TYPE_CHECKING:
    from torchmetrics.image.fid import FrechetInceptionDistance

Progress = Callable[[int], AbstractContextManager[Callable[[], None]]]
"""Given a number, a context in which to call what it gives so often."""
STATE = "fid.pt"
"""What a run that was stopped has summed up is in this file."""
BATCH = 50
KEPT = 1000
"""Sums are kept whenever about so many images more are in them."""


@dataclass(frozen=True)
class Fid:
    """A distance, and what it is between.

    Attributes:
        value: at least 0; fewer samples make it larger, so that it compares with those of as many only.
        samples: of the model.
        images: of the data set.
        weights: SHA-256 of the network's.
    """

    value: float
    samples: int
    images: int
    weights: str


@dataclass(frozen=True)
class Distance:
    """What measures distances.

    Attributes:
        metric: sums up the features of images and samples.
        weights: SHA-256 of its network's.
        samples: to be drawn from a model, at least 2.
    """

    metric: FrechetInceptionDistance
    weights: str
    samples: int

    @staticmethod
    def load(samples: int, weights: Path | None) -> Distance:
        """Return one with the network's weights from a file, or as torch-fidelity publishes them; fetched only once.

        Raises:
            InputError: the packages are not installed or do not load, the weights cannot be fetched, or are others.
        """
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
            from torchmetrics.image.fid import FrechetInceptionDistance
        except ImportError as error:
            raise InputError(f"the FID needs more packages: pip install 'selfcodec[fid]' ({error})") from error
        except RuntimeError as error:  # its compiled part does not load
            raise InputError(
                f"the FID needs torchvision, which does not load beside this PyTorch ({error}): install both from the"
                " same place, https://pytorch.org/get-started/locally"
            ) from error
        path = weights or _fetched(URL_INCEPTION_V3)
        try:
            torch.load(path, map_location="cpu", weights_only=True)  # the network's own reading runs what is in a file
            metric = FrechetInceptionDistance(feature_extractor_weights_path=str(path), antialias=False)
            # Processors then take 0.6 of the time for the same features.
            metric.inception.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except Exception as error:  # torch raises many kinds for damaged files
            reason = f"no weights of the FID's network ({type(error).__name__})"
            raise InputError(f"{path}: {reason}; they are at {URL_INCEPTION_V3}") from error
        return Distance(metric, digest, samples)

    @staticmethod
    def check(model: Model, images: Mapping[str, UInt8]) -> None:
        """Raise InputError for images that there is no distance to, before anything long begins.

        They have several sizes, or are larger than what can be drawn from the model, or there is only one.
        """
        sizes = {image.shape for image in images.values()}
        if len(sizes) > 1 or len(images) < 2:
            raise InputError(f"the FID takes two or more images, of one size; here are {len(images)} of {len(sizes)}")
        sample_images(model, 1, _size(images), seed=0)

    def measure(
        self,
        model: Model,
        images: Mapping[str, UInt8],
        state: Path,
        about: Mapping[str, Any],
        device: torch.device,
        progress: Progress,
    ) -> Fid:
        """Return the distance between images and a model's samples, of which number i is drawn from seed i.

        Args:
            model: is drawn from.
            images: by name, as of `check`.
            state: file of the sums that are kept on the way; a run that was stopped goes on from it.
            about: says what is measured; sums of something else are forgotten.
            device: where the metric's network runs.
            progress: of images and samples.

        Raises:
            InputError: the file of the sums is damaged.
        """
        metric, total = self.metric.to(device), len(images) + self.samples
        contents = hashlib.sha256("".join(map(digest_of, images.values())).encode()).hexdigest()
        about = {**about, "weights": self.weights, "images": contents, "samples": self.samples}
        metric.reset()
        _go_on(metric, state, about)
        seen = int(metric.real_features_num_samples + metric.fake_features_num_samples)
        with progress(total) as advance:
            for _ in range(seen):
                advance()
            for real, batch in self._unseen(model, images):
                metric.update(torch.from_numpy(batch).permute(0, 3, 1, 2).to(device), real=real)
                for _ in batch:
                    advance()
                seen += len(batch)
                # What was kept is never all: the metric computes nothing unless it was updated.
                if seen % KEPT < len(batch) and seen < total:
                    write_checkpoint(state, {"about": about, "sums": metric.metric_state})
        return Fid(float(metric.compute()), self.samples, len(images), self.weights)

    def _unseen(self, model: Model, images: Mapping[str, UInt8]) -> Iterator[tuple[bool, UInt8]]:
        """Yield what the metric has not seen in batches (N, H, W, 3): True with images, then False with samples."""
        size, real = _size(images), list(images.values())
        for start in range(int(self.metric.real_features_num_samples), len(real), BATCH):
            yield True, np.stack(real[start : start + BATCH])
        for start in range(int(self.metric.fake_features_num_samples), self.samples, BATCH):
            yield False, sample_images(model, min(BATCH, self.samples - start), size, seed=start)


def _size(images: Mapping[str, UInt8]) -> Size:
    height, width = next(iter(images.values())).shape[:2]
    return height, width


def _fetched(url: str) -> Path:
    """Return the file in PyTorch's cache, where it is put if it is not there; InputError where it cannot be fetched."""
    path = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path))
        except (OSError, HTTPException) as error:
            raise InputError(
                f"the weights of the FID's network cannot be fetched ({error}): get {url} elsewhere and name the file"
                " with --fid-weights"
            ) from error
    return path


def _go_on(metric: FrechetInceptionDistance, state: Path, about: Mapping[str, Any]) -> None:
    """Give the metric the sums that a run of the same kind has left, if there are any; InputError for damaged ones."""
    if not state.is_file():
        return
    try:
        kept = torch.load(state, map_location=metric.device, weights_only=True)
        if kept["about"] == about:
            metric.load_state_dict(kept["sums"], strict=False)  # which are not the network's weights
    except Exception as error:  # torch raises many kinds for damaged files
        raise InputError(f"{state}: damaged: choose another folder, or begin anew with --force") from error
