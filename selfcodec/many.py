"""Several pictures with names: coded at once where that is faster, and errors tell which picture they are of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from selfcodec.decoding import decode_file, decode_files
from selfcodec.encoding import encode_pictures
from selfcodec.errors import naming
from selfcodec.images import AnyImage, Picture
from selfcodec.modes import Mode
from selfcodec.rate_control import Reached, Target, encode_to_target
from selfcodec.settings import Settings
from selfcodec.together import done_ahead
from selfcodec.zoo import Model

T = TypeVar("T")
R = TypeVar("R")


def _results(
    items: Sequence[T],
    names: Sequence[str],
    together: Callable[[Sequence[T]], Sequence[R | None]],
    alone: Callable[[T], R],
) -> list[R]:
    """What becomes of every item: of several by `together`, or one by one by `alone` where that fails."""
    results = []
    for item, name, done in zip(items, names, done_ahead(items, together), strict=True):
        with naming(name):
            results.append(alone(item) if done is None else done)
    return results


def faster_together(settings: Settings, target: Target) -> bool:
    """Whether several small pictures are coded faster together: where none has a search, for quality or for latents."""
    return not target.given and (settings.mode is Mode.LOSSLESS or not settings.effort)


def encode_all(
    pictures: Sequence[Picture],
    names: Sequence[str],
    settings: Settings,
    target: Target,
    model: Model,
    *,
    verify: bool = True,
) -> list[Reached]:
    """The file of every picture, see `encode_to_target`; errors begin with the picture's name."""

    def together(own: Sequence[Picture]) -> Sequence[Reached | None]:
        if not faster_together(settings, target):
            return [None] * len(own)
        return [Reached(made, settings) for made in encode_pictures(own, settings, model, verify=verify)]

    alone = partial(encode_to_target, settings=settings, target=target, model=model, verify=verify)
    return _results(pictures, names, together, alone)


def decode_all(
    files: Sequence[bytes], names: Sequence[str], *, upto: Mode | None = None, allow_truncated: bool = False
) -> list[AnyImage]:
    """The picture of every file, see `decode_file`; errors begin with the file's name."""
    together = partial(decode_files, upto=upto, allow_truncated=allow_truncated)
    return _results(files, names, together, partial(decode_file, upto=upto, allow_truncated=allow_truncated))
