"""Lets Pillow open and save `.sv` files; `import selfcodec` is enough.

Image.open("a.sv")                  # reads header and metadata; the model runs when pixels are asked for
image.save("a.sv", mode="rs2")      # mode, model, quality, level, seed, effort, strip, first, verify, as for
                                    # `selfcodec.encode`; exif, icc_profile, xmp in place of the image's own; and
image.save("a.sv", mode="rs2", bpp=0.5)     # bpp in bits per pixel, bytes, or psnr in dB, in place of a quality

Pillow opens a file, and so empties one that is there, before it asks for what to write: where that fails, for a target
that cannot be reached, say, the file stays empty. `Path("a.sv").write_bytes(selfcodec.encode(image))` keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from PIL import Image, ImageFile

FORMAT = "SV"
_MAGIC = b"\x93SV"
_HEADER_BYTES = 64
"""No header up to the checksum is longer."""
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK")
"""Of those that files have, Pillow has these."""
_NO_MODE = "Pillow has no mode {}: decode the file with selfcodec.decode"
_OPTIONS = ("mode", "model", "quality", "level", "seed", "bpp", "bytes", "psnr", "effort", "strip", "first", "verify")
_METADATA = ("exif", "icc_profile", "xmp")


class SelfcodecImageFile(ImageFile.ImageFile):
    """A `.sv` file."""

    format = FORMAT
    format_description = "selfcodec image"
    _decoded = False

    def _open(self) -> None:
        from selfcodec.errors import FormatError, TruncatedError
        from selfcodec.format.container import peek_metadata
        from selfcodec.format.header import peek
        from selfcodec.format.metadata import apply_metadata

        file = self._file()
        beginning = file.read(_HEADER_BYTES)
        try:
            header = peek(beginning)
            try:
                metadata = peek_metadata(beginning)
            except TruncatedError:
                metadata = peek_metadata(beginning + file.read())
            apply_metadata(self, metadata)
        except FormatError as error:
            raise OSError(str(error)) from error
        if header.image_mode not in _MODES:
            raise OSError(_NO_MODE.format(header.image_mode))
        self._mode = header.image_mode
        self._size = (header.width, header.height)

    def _file(self) -> IO[bytes]:
        """The open file; ValueError, as of Pillow's own, where the image was closed."""
        if self.fp is None:
            raise ValueError("the image was closed before its pixels were read: open it again")
        return self.fp

    def _close_own(self) -> None:
        if self._exclusive_fp:
            self._file().close()
        self.fp = None

    def load(self) -> Any:
        """Decodes the pixels; OSError where the file is damaged or its model is missing."""
        if not self._decoded:
            from selfcodec.decoding import decode_file
            from selfcodec.errors import SelfcodecError

            file = self._file()
            file.seek(0)
            try:
                image = decode_file(file.read())
            except SelfcodecError as error:
                raise OSError(str(error)) from error
            if not isinstance(image, Image.Image):
                raise OSError(_NO_MODE.format(image.mode))
            image.load()
            self.im, self.palette = image.im, image.palette
            self.info.update(image.info)
            self._close_own()
            self.readonly = 0
            self._decoded = True
        return Image.Image.load(self)

    def verify(self) -> None:
        """OSError where the file is not whole; decodes nothing. The image must be opened again to be used."""
        from selfcodec.errors import FormatError
        from selfcodec.format.container import verify_checksum

        file = self._file()
        file.seek(0)
        try:
            verify_checksum(file.read())
        except FormatError as error:
            raise OSError(str(error)) from error
        finally:
            self._close_own()


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(_MAGIC)


@contextmanager
def _with_metadata(image: Image.Image, given: dict[str, Any]) -> Iterator[None]:
    """Within the block the image has these metadata in place of its own; its pixels, which may be unread, stay."""
    own = image.info
    image.info = own | {name: _packed(value) for name, value in given.items()}
    try:
        yield
    finally:
        image.info = own


def _packed(value: Any) -> Any:
    return value.tobytes() if isinstance(value, Image.Exif) else value or b""


def _save(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    from selfcodec.api import encode

    options: dict[str, Any] = image.encoderinfo
    with _with_metadata(image, {name: options[name] for name in _METADATA if name in options}):
        file.write(encode(image, **{name: options[name] for name in _OPTIONS if name in options}))


def register() -> None:
    """Makes Pillow know `.sv`; doing it again changes nothing."""
    Image.register_open(FORMAT, SelfcodecImageFile, _accept)
    Image.register_save(FORMAT, _save)
    Image.register_extension(FORMAT, ".sv")
    Image.register_mime(FORMAT, "image/x-selfcodec")
