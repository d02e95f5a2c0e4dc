"""The factorization, written down once: which variable follows which, and what each one depends on.

    p(u) p(y_K|u) p(z_K|u,y_K) · prod_{k=K-1..1} p(y_k|y_{k+1},z_{k+1}) p(z_k|y_k,z_{k+1}) · p(x|y_1,z_1)

(Gatopoulos & Tomczak 2021, eq. 21; eq. 9 for K = 1.) The training loss, the encoder, the decoder and every report walk
the list that `build_schedule` returns. `selfcodec.modes` names the variables in the same order without a model.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variable:
    """A node of the graphical model.

    Attributes:
        name: `u`, `z1`..`zK`, `y1`..`yK` or `x`.
        kind: `pixels` (8-bit values) or `latent` (real values on a grid).
        channels: number of channels.
        halvings: log2 of its downscaling against x in both directions.
    """

    name: str
    kind: str
    channels: int
    halvings: int


@dataclass(frozen=True)
class Step:
    """One factor p(target | parents); `inferred_from` names what q(target | .) sees (eq. 22), for latents."""

    target: Variable
    parents: tuple[Variable, ...]
    inferred_from: str | None = None

    @property
    def name(self) -> str:
        return self.target.name

    @property
    def shrunk_by(self) -> int:
        """How many times smaller than the target its first parent is, in each direction, where it is the target
        downscaled, so that pixels begin with it; 1 where it is no such picture. u has no parents."""
        parent = self.parents[0]
        if parent.kind == "latent" or parent.channels != self.target.channels:
            return 1
        return 1 << (parent.halvings - self.target.halvings)


@dataclass(frozen=True)
class Shape:
    """What the schedule needs to know of a model.

    Attributes:
        levels: K, the number of transformations (0 is a plain VAE).
        factor: downscaling factor of d in each direction, a power of two.
        y_channels: channels of every y_k.
        u_channels, u_down: channels of u, and log2 of its downscaling against y_K.
        z_channels, z_down: channels of every z_k, and log2 of its downscaling against y_{k-1}.
    """

    levels: int
    factor: int
    y_channels: int
    u_channels: int
    u_down: int
    z_channels: int
    z_down: int


def build_schedule(shape: Shape) -> tuple[Step, ...]:
    """The steps u, y_K, z_K, y_{K-1}, ..., z_1, x in the order in which they are coded."""
    halvings = shape.factor.bit_length() - 1
    y = [Variable("x", "pixels", 3, 0)]
    y += [Variable(f"y{k}", "pixels", shape.y_channels, k * halvings) for k in range(1, shape.levels + 1)]
    u = Variable("u", "latent", shape.u_channels, y[-1].halvings + shape.u_down)
    steps = [Step(u, (), y[-1].name)]
    above = u
    for k in range(shape.levels, 0, -1):
        parents = (u,) if k == shape.levels else (y[k + 1], above)
        steps.append(Step(y[k], parents))
        z = Variable(f"z{k}", "latent", shape.z_channels, y[k - 1].halvings + shape.z_down)
        steps.append(Step(z, (y[k], above), y[k - 1].name))
        above = z
    steps.append(Step(y[0], (above,) if shape.levels == 0 else (y[1], above)))
    return tuple(steps)


def padding_multiple(steps: tuple[Step, ...]) -> int:
    """Images are padded to a multiple of this, in pixels, so that every variable has a whole number of positions."""
    return int(2 ** max(step.target.halvings for step in steps))
