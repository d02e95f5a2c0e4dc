"""Coding modes, and which variables of the schedule each of them transmits.

A model with K self-supervised transformations codes its variables in one order, the schedule order:

    u, y{K}, z{K}, y{K-1}, z{K-1}, ..., y1, z1, x          (K = 0: u, x)

    mode            sent                                  K = 2, level 1          K = 2, level 2
    rs1             u                                     u
    rs2             u, every z                            u z2 z1
    cg, level k     the order up to and including y{k}    u y2 z2 y1              u y2
    cr, level k     the same, then z{k}, ..., z1          u y2 z2 y1 z1           u y2 z2 z1
    lossless        everything                            u y2 z2 y1 z1 x

rs1, cg at any level, cr at level 1, and lossless are prefixes of the schedule order.
"""

from __future__ import annotations

import enum

from selfcodec.errors import InputError

DEFAULT_QUALITY = 50
"""Latents have the grid that the model was made with at this quality."""
MAX_TRANSFORMS = 15
"""K is at most this: the file stores a level in 0..15."""
MIN_QUALITY, MAX_QUALITY = 1, 100
"""Latents' grids have a quality in these bounds, which the file stores in a byte."""
UPPER_HALVINGS = 2
"""Where grids of several latents are coarse, one has a grid so many halvings nearer to the usual than the next."""
MAX_EFFORT = 9
"""Encoders have an effort of 0 to this; files know at most whether there was any."""
MAX_SEED = 2**32 - 1
"""A seed is at most this: the file stores one in 32 bits."""


class Mode(enum.IntEnum):
    """What a file sends; the value is the number written into the file."""

    RS1 = 0
    RS2 = 1
    CG = 2
    CR = 3
    LOSSLESS = 4
    STORED = 5
    """No model: raw samples, a PNG or a WebP inside the container; chosen by the encoder, never by a user."""

    def __str__(self) -> str:
        """Return the lower-case name."""
        return self.name.lower()

    def __format__(self, format_spec: str) -> str:
        """Format the lower-case name; an IntEnum would format its number."""
        return format(str(self), format_spec)

    @classmethod
    def parse(cls, text: str) -> Mode:
        """Return the mode of a lower-case name; raise InputError for any other text, also for `stored`."""
        for mode in CHOICES:
            if str(mode) == text:
                return mode
        raise InputError(f"unknown mode {text!r}: choose one of {', '.join(map(str, CHOICES))}")


LOSSY_MODES = (Mode.RS1, Mode.RS2, Mode.CG, Mode.CR)
CHOICES = (*LOSSY_MODES, Mode.LOSSLESS)
"""A user chooses one of these; they go from the least sent to the most."""


def has_level(mode: Mode) -> bool:
    """Return whether the mode is sent down to a chosen level (1..K); the other modes have level 0."""
    return mode in (Mode.CG, Mode.CR)


def schedule_order(transforms: int) -> tuple[str, ...]:
    """Return the names of all variables of a model with `transforms` = K in 0..15, in coding order.

    Raises:
        InputError: K is out of range.
    """
    if not 0 <= transforms <= MAX_TRANSFORMS:
        raise InputError(f"a model has 0 to {MAX_TRANSFORMS} transformations, not {transforms}")
    pairs = (name for k in range(transforms, 0, -1) for name in (f"y{k}", f"z{k}"))
    return ("u", *pairs, "x")


def default_level(mode: Mode, transforms: int) -> int:
    """Return the level used when none is asked for: K for cg, 1 for cr, 0 otherwise.

    Raises:
        InputError: cg or cr of a model without transformations.
    """
    if not has_level(mode):
        return 0
    if transforms == 0:
        raise InputError(f"mode {mode} needs a model with at least one transformation; this one has no y to send")
    return transforms if mode is Mode.CG else 1


def sent_variables(mode: Mode, transforms: int, level: int) -> tuple[str, ...]:
    """Return the names of the transmitted variables, in schedule order; none for STORED.

    Args:
        mode: what to send.
        transforms: K of the model, 0..15.
        level: 1..K for cg and cr, 0 for every other mode.

    Raises:
        InputError: K or the level is out of range, or the model has no y and the mode needs one.
    """
    order = schedule_order(transforms)
    if has_level(mode):
        default_level(mode, transforms)
        if not 1 <= level <= transforms:
            raise InputError(f"mode {mode} of this model takes a level from 1 to {transforms}, not {level}")
    elif level != 0:
        raise InputError(f"mode {mode} takes no level (got {level}); only cg and cr do")
    latents = tuple(name for name in order if name.startswith("z"))
    match mode:
        case Mode.RS1:
            return ("u",)
        case Mode.RS2:
            return ("u", *latents)
        case Mode.CG:
            return order[: order.index(f"y{level}") + 1]
        case Mode.CR:
            return (*order[: order.index(f"y{level}") + 1], *latents[transforms - level :])
        case Mode.LOSSLESS:
            return order
        case Mode.STORED:
            return ()


def tuned_latents(sent: tuple[str, ...], transforms: int) -> tuple[str, ...]:
    """Return the latents whose grids the quality scales: those that stand for a picture which is not sent itself.

    u stands for y{K}, z{k} for y{k-1}, and y0 is x. Where the picture is sent, its latent only makes it cheaper, so
    that a coarser grid would save nothing.
    """
    pictures = ("x", *(f"y{k}" for k in range(1, transforms + 1)))
    described = {"u": pictures[-1], **{f"z{k}": pictures[k - 1] for k in range(1, transforms + 1)}}
    return tuple(name for name in sent if name in described and described[name] not in sent)


def centred(quality: int, transforms: int) -> bool:
    """Whether grids of a quality lie around their latents' means, and not around 0.

    So they do where they are coarser than those that a model with several y was made with: as they widen, latents
    become their means, which cost nothing, and the picture that of a mode that does not send them. A coarse grid around
    0 would round a z to what is unlikely beside its mean, and what is made of it would make the z below unlikely.
    """
    return transforms > 1 and quality < DEFAULT_QUALITY


def grid_qualities(tuned: tuple[str, ...], quality: int, transforms: int) -> dict[str, int]:
    """The quality 1..100 of each tuned latent's grid, by name, in a file of this quality.

    It is the file's; but in models with several y only the last latent becomes so coarse, and each before it a quarter
    as much as the next: it takes fewer bytes, and whatever is wrong in the y made of it makes those below unlikely.
    """
    halvings = UPPER_HALVINGS if centred(quality, transforms) else 0
    below = DEFAULT_QUALITY - quality
    return {name: DEFAULT_QUALITY - (below >> halvings * i) for i, name in enumerate(reversed(tuned))}
