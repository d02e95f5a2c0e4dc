"""Properties as the tags of a TIFF, and TIFFs of deep images, which Pillow does not write."""

from __future__ import annotations

import io

import numpy as np
from PIL import ExifTags
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from selfcodec.images.deep import DeepImage
from selfcodec.images.exif import TIFF_LAYOUT, entries, writable
from selfcodec.images.properties import Properties

_INCH = 2
_UNCOMPRESSED, _GREY, _RGB, _ALPHA = 1, 1, 2, 2
_ALPHA_MODES = frozenset(("LA;16", "RGBA;16"))
_ICC_PROFILE, _XMP = 34675, 700
_TEXT_TAGS = {
    "Author": ExifTags.Base.Artist,
    "Copyright": ExifTags.Base.Copyright,
    "Description": ExifTags.Base.ImageDescription,
    "Software": ExifTags.Base.Software,
}
"""Where PNG's keywords have a tag of their own; all other texts join the description."""


def tiff_tags(properties: Properties) -> ImageFileDirectory_v2:
    """Return all properties but gamma as tags; those of EXIF that describe another file's layout are left out."""
    tags = ImageFileDirectory_v2()
    for tag, value in writable(entries(properties.exif_tags, TIFF_LAYOUT)).items():
        tags[tag] = value
    described = [tags[ExifTags.Base.ImageDescription]] if ExifTags.Base.ImageDescription in tags else []
    for keyword, text in properties.texts:
        tag = _TEXT_TAGS.get(keyword, ExifTags.Base.ImageDescription)
        if tag in tags or tag == ExifTags.Base.ImageDescription:
            described.append((text if keyword in ("Comment", "Description") else f"{keyword}: {text}").encode())
        else:
            tags[tag] = text.encode()
    if described:
        tags[ExifTags.Base.ImageDescription] = b"\n".join(described)
    for tag, body in ((_ICC_PROFILE, properties.icc_profile), (_XMP, properties.xmp)):
        if body:
            tags[tag] = body
    if properties.dpi:
        tags[ExifTags.Base.ResolutionUnit] = _INCH
        tags[ExifTags.Base.XResolution], tags[ExifTags.Base.YResolution] = properties.dpi
    return tags


def deep_tiff(image: DeepImage, properties: Properties) -> list[bytes | memoryview]:
    """Return a TIFF of 16 bits a sample, not compressed, in one strip; the samples are not copied."""
    tags = tiff_tags(properties)
    height, width, channels = image.samples.shape
    tags[ExifTags.Base.ImageWidth], tags[ExifTags.Base.ImageLength] = width, height
    tags[ExifTags.Base.BitsPerSample] = (16,) * channels
    tags[ExifTags.Base.Compression] = _UNCOMPRESSED
    tags[ExifTags.Base.PhotometricInterpretation] = _GREY if channels <= 2 else _RGB
    tags[ExifTags.Base.SamplesPerPixel] = channels
    tags[ExifTags.Base.PlanarConfiguration] = 1
    if image.mode in _ALPHA_MODES:
        tags[ExifTags.Base.ExtraSamples] = _ALPHA
    samples = np.ascontiguousarray(image.samples, "<u2")
    tags[ExifTags.Base.RowsPerStrip], tags[ExifTags.Base.StripByteCounts] = height, samples.nbytes
    tags[ExifTags.Base.StripOffsets] = 0  # the directory's writer adds where the directory ends
    head = io.BytesIO()
    tags.save(head)
    return [head.getvalue(), samples.data.cast("B")]
