"""Each suffix of a Netpbm file names a kind of picture: others are brought to it if they look the same, or refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
from looks import deep, displayed, noise

from selfcodec.errors import InputError
from selfcodec.images import AnyImage, load_picture, save_image
from selfcodec.images.deep import samples_of

REFUSED = b""
SIGNS = {
    "PBM": {"1": b"P4", **dict.fromkeys(("L", "P", "RGB", "I;16", "RGB;16"), REFUSED)},
    "PGM": {**dict.fromkeys(("1", "L", "I;16"), b"P5"), **dict.fromkeys(("P", "RGB", "RGB;16"), REFUSED)},
    "PPM": dict.fromkeys(("1", "L", "P", "RGB", "I;16", "RGB;16"), b"P6"),
    "PNM": {"1": b"P4", "L": b"P5", "I;16": b"P5", "P": b"P6", "RGB": b"P6", "RGB;16": b"P6"},
}
"""By format and mode, how files begin."""


def png(image: AnyImage) -> bytes:
    save_image(image, buffer := io.BytesIO())
    return buffer.getvalue()


def shown(image: AnyImage) -> np.ndarray:
    """Samples as a viewer shows them, as RGBA or deep RGB."""
    if image.mode.endswith(";16"):
        samples = samples_of(image)
        return np.broadcast_to(samples, (*samples.shape[:2], 3))
    return displayed(image)


@pytest.mark.parametrize(("format", "mode"), [(format, mode) for format, signs in SIGNS.items() for mode in signs])
def test_files_are_of_the_kind_that_their_suffix_names(format: str, mode: str) -> None:
    image = load_picture(png(deep(mode) if mode.endswith(";16") else noise(mode))).exact
    if SIGNS[format][mode] == REFUSED:
        with pytest.raises(InputError, match=rf"^{format} cannot hold (more than|colours|16 bits).*: choose \.png"):
            save_image(image, io.BytesIO(), format)
        return
    buffer = io.BytesIO()
    assert save_image(image, buffer, format) == ()
    assert buffer.getvalue().startswith(SIGNS[format][mode] + b"\n")
    assert np.array_equal(shown(load_picture(buffer.getvalue()).exact), shown(image))
