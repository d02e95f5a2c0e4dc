"""Decodes files for the `decode` command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from selfcodec.cli.output import complain
from selfcodec.errors import FormatError, SelfcodecError
from selfcodec.modes import Mode

if TYPE_CHECKING:
    from selfcodec.format.container import Container
    from selfcodec.images import AnyImage


@dataclass(frozen=True)
class Wanted:
    """What `decode` was asked for, the same for all of its files."""

    upto: Mode | None
    allow_truncated: bool
    force: bool
    preserve: bool


def warn_of_truncation(container: Container, name: str, upto: Mode | None = None) -> None:
    """Prints one line if a file was cut short, saying what is left and what that is worth."""
    from selfcodec.decoding import truncation

    for line in truncation(container, upto):
        complain(f"{name}: {line}", "warning")


def _partly_whole(data: bytes) -> bool:
    """Whether `--allow-truncated` would find something in a damaged file."""
    from selfcodec.decoding import open_file

    try:
        open_file(data, allow_truncated=True)
    except SelfcodecError:
        return False
    return True


def decoded(data: bytes, wanted: Wanted) -> AnyImage:
    """The image of a file; InputError, FormatError or ModelError as for `decode_file`, with the remedy."""
    from selfcodec.decoding import decode_file

    try:
        return decode_file(data, upto=wanted.upto, allow_truncated=wanted.allow_truncated)
    except FormatError as error:
        if wanted.allow_truncated or not _partly_whole(data):
            raise
        raise FormatError(f"{error}; --allow-truncated decodes what is whole") from error
