"""Pixels in context: p(pixels | parents), each pixel given those decoded before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from selfcodec.arrays import Int64, Integers, UInt8
from selfcodec.coding.decoder import Decoder
from selfcodec.coding.encoder import Encoder
from selfcodec.errors import ModelError
from selfcodec.likelihoods.layout import CONTEXT_FOLD, MOST_MIXTURES, PixelLayout, head_inputs
from selfcodec.likelihoods.likelihood import Condition, Likelihood, giving, whole
from selfcodec.likelihoods.pixels import as_input, pixel_base
from selfcodec.networks.pointwise import PointwiseNetwork
from selfcodec.networks.windows import Network
from selfcodec.schedule import Step

if TYPE_CHECKING:
    from selfcodec.likelihoods.context.coder import ContextCoder

MOST_BLOCK = 1 << 14
"""A block has at most so many pixels a side."""


class Context(Likelihood):
    """p(pixels | parents): features of the parents, and a head that also sees the neighbours decoded before.

    Settings:
        mixtures: components, joint over the channels.
        block: side of the blocks that do not see each other, in pixels.
        predictions: 1 where heads see predictions, see `predicting`; 0 where it is not there.
    """

    kind = "context"
    adapts = True

    @staticmethod
    def networks(step: Step, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return (f"p_{step.name}", f"p_{step.name}_0")

    def __init__(self, step: Step, settings: Mapping[str, Any], nets: Mapping[str, Network]) -> None:
        self._layout = PixelLayout(step.target.channels, whole(settings, "mixtures", 1, MOST_MIXTURES), joint=True)
        self._block = whole(settings, "block", 1, MOST_BLOCK)
        self._predicting = bool(whole({"predictions": 0, **settings}, "predictions", 0, 1))
        self._trunk, head = (nets[name] for name in self.networks(step, settings))
        self._head = PointwiseNetwork(giving(head, self._layout.size).net)
        channels, features = step.target.channels, self._trunk.net.graph.output.channels // CONTEXT_FOLD**2
        taken = features + head_inputs(channels, predictions=self._predicting)
        if self._head.inputs != taken:
            raise ModelError(f"the head of {step.name} takes {self._head.inputs} inputs, not {taken}")

    def encode(self, at: Condition, truth: Integers, coder: Encoder) -> Integers:
        self._coder(at).encode(coder, np.ascontiguousarray(truth.transpose(0, 2, 3, 1), dtype=np.uint8))
        return truth

    def decode(self, ats: Sequence[Condition], coder: Decoder) -> list[Integers]:
        """Takes one wavefront for all batches, images of different sizes."""
        first, *others = (self._coder(at) for at in ats)
        planes = first.joined(others).decode(coder)
        values, start = list[Integers](), 0
        for at in ats:
            values.append(_cropped(planes[start : start + at.count], at))
            start += at.count
        return values

    def _decode(self, at: Condition, coder: Decoder) -> Integers:
        return self.decode([at], coder)[0]

    def mean(self, at: Condition) -> Int64:
        return _cropped(self._coder(at).expect(), at)

    def _coder(self, at: Condition) -> ContextCoder:
        """What codes the pixels of a batch."""
        # Here, since its compiled loops take long to load, and a model may code other variables or tell about itself.
        from selfcodec.likelihoods.context.coder import ContextCoder, unfolded

        features = unfolded(as_input(self._trunk.floats(*at.inputs, runtime=at.runtime)))
        if features.shape[1] < at.size[0] or features.shape[2] < at.size[1]:  # compiled loops would read beyond them
            height, width = features.shape[1:3]
            raise ModelError(f"the network of {at.step.name} gives {height}x{width} features for {at.size} pixels")
        return ContextCoder(
            self._head,
            self._layout,
            (at.size,) * at.count,
            features,
            np.ascontiguousarray(pixel_base(at, at.size, 1).transpose(0, 2, 3, 1), dtype=np.uint8),
            self._block,
            at.grey,
            at.adapting,
            self._predicting,
        )


def _cropped(planes: UInt8, at: Condition) -> Int64:
    """A batch's planes (B, H, W, C) at their own size, (B, C, h, w)."""
    return planes[:, : at.size[0], : at.size[1]].transpose(0, 3, 1, 2).astype(np.int64, order="C")
