"""q(latent | source) (paper eq. 17, 22): what an encoder sends of a latent is the posterior's mean, on its grid."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from selfcodec.arrays import Int64
from selfcodec.fixed_point import LATENT_FRACTION, PARAM_FRACTION
from selfcodec.networks.integer import Runtime
from selfcodec.networks.windows import Network
from selfcodec.schedule import Step


class Posterior:
    """The variational family's mean of one latent; decoders never need it."""

    @staticmethod
    def networks(step: Step) -> tuple[str, ...]:
        """Names of the networks that it needs."""
        return (f"q_{step.name}",)

    def __init__(self, step: Step, nets: Mapping[str, Network]) -> None:
        (self._net,) = (nets[name] for name in self.networks(step))
        self._channels = step.target.channels

    def mean(self, source: Tensor, size: tuple[int, int], runtime: Runtime) -> Int64:
        """The mean (B, C, h, w) in 2**-12, of the source as a network's input; `size` is (h, w)."""
        out = self._net(source, runtime=runtime).cpu().numpy()
        return out[:, : self._channels, : size[0], : size[1]] << (LATENT_FRACTION - PARAM_FRACTION)
