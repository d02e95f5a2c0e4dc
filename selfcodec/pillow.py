"""Lets Pillow open and save `.sv` files; `import selfcodec` is enough.

Image.open("a.sv")                  # reads the header; the model runs when pixels are asked for
image.save("a.sv", mode="rs2")      # mode, model, quality, level, seed, effort, verify, as for `selfcodec.encode`; and
image.save("a.sv", mode="rs1", bpp=1.0)     # bpp in bits per pixel, bytes, or psnr in dB, in place of a quality
"""

from __future__ import annotations

from typing import IO, Any

from PIL import Image, ImageFile

FORMAT = "SV"
_MAGIC = b"\x93SV"
_HEADER_BYTES = 64
"""No header up to the section table is longer."""
_OPTIONS = ("mode", "model", "quality", "level", "seed", "bpp", "bytes", "psnr", "effort", "verify")


class SelfcodecImageFile(ImageFile.ImageFile):
    """A `.sv` file. Metadata appear in `info` with the pixels, after `load`."""

    format = FORMAT
    format_description = "selfcodec image"
    _decoded = False

    def _open(self) -> None:
        from selfcodec.errors import FormatError
        from selfcodec.format.container import peek

        assert self.fp is not None
        try:
            header = peek(self.fp.read(_HEADER_BYTES))
        except FormatError as error:
            raise OSError(str(error)) from error
        self._mode = header.image_mode
        self._size = (header.width, header.height)

    def load(self) -> Any:
        """Decodes the pixels; OSError where the file is damaged or its model is missing."""
        if not self._decoded:
            from selfcodec.codec import decode_file
            from selfcodec.errors import SelfcodecError

            assert self.fp is not None
            self.fp.seek(0)
            try:
                image = decode_file(self.fp.read())
            except SelfcodecError as error:
                raise OSError(str(error)) from error
            if not isinstance(image, Image.Image):
                raise OSError(f"Pillow has no mode {image.mode}: decode the file with selfcodec.decode")
            image.load()
            self.im, self.palette = image.im, image.palette
            self.info.update(image.info)
            if self._exclusive_fp:
                self.fp.close()
            self.fp = None
            self.readonly = 0
            self._decoded = True
        return Image.Image.load(self)


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(_MAGIC)


def _save(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    from selfcodec.api import encode

    options: dict[str, Any] = image.encoderinfo
    file.write(encode(image, **{name: options[name] for name in _OPTIONS if name in options}))


def register() -> None:
    """Makes Pillow know `.sv`; doing it again changes nothing."""
    Image.register_open(FORMAT, SelfcodecImageFile, _accept)
    Image.register_save(FORMAT, _save)
    Image.register_extension(FORMAT, ".sv")
