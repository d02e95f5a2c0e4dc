"""One image, one coder, one setting: encoded, timed, decoded and compared, for every benchmark here."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from selfcodec.benchmarks.coders import Coder
from selfcodec.benchmarks.metrics import ms_ssim, psnr
from selfcodec.benchmarks.ssimulacra2 import ssimulacra2
from selfcodec.errors import SelfcodecError
from selfcodec.images import Picture

_RESET_PEAK = "5"
_ONE_LINE = 200


class PeakMemory:
    """Most resident memory of this process in a `with` block, less what was there before; Linux only."""

    mib: float | None = None

    @staticmethod
    def _read(key: str) -> float | None:
        try:
            lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        except OSError:
            return None
        found = [line.split()[1] for line in lines if line.startswith(key + ":")]
        return int(found[0]) / 1024 if found else None

    def __enter__(self) -> PeakMemory:
        self._before = None
        try:
            Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")
        except OSError:
            return self
        self._before = self._read("VmRSS")
        return self

    def __exit__(self, *_: object) -> None:
        peak = self._read("VmHWM")
        if self._before is not None and peak is not None:
            self.mib = round(max(0.0, peak - self._before), 1)


@dataclass(frozen=True)
class Measured:
    """What one file is and what came of it.

    Attributes:
        size: bytes of the whole file; 0 where there is none.
        payload: bytes of the file without its header, as far as the format tells them apart.
        exact: the picture came back as it was.
        max_error: largest difference of a colour sample; None where the picture did not come back.
        psnr: dB over the colour samples; None where none differs, or the picture did not come back.
        ms_ssim: 0..1; None where the picture is too small for it, or did not come back.
        ssimulacra2: 100 and below; None where the picture is too small for it, or did not come back.
        encode_seconds, decode_seconds: of this file alone, without reading or writing images.
        peak_mib: most resident memory while it was coded, less what was resident before; None where unknown.
        failure: what went wrong, "" if nothing did.
        stored: the file holds the image without a model, which was smaller.
        model_bits: the model's sum of -log2 p by variable; empty where the file has no model.
        data: the file.
        decoded: what came back, if anything did.
    """

    size: int = 0
    payload: int = 0
    exact: bool = False
    max_error: int | None = None
    psnr: float | None = None
    ms_ssim: float | None = None
    ssimulacra2: float | None = None
    encode_seconds: float = 0.0
    decode_seconds: float = 0.0
    peak_mib: float | None = None
    failure: str = ""
    stored: bool = False
    model_bits: Mapping[str, float] = field(default_factory=dict)
    data: bytes = field(default=b"", repr=False)
    decoded: Picture | None = field(default=None, repr=False)

    def returned(self) -> Picture:
        """Return what came back; raise SelfcodecError where nothing did."""
        if self.decoded is None:
            raise SelfcodecError(self.failure)
        return self.decoded

    def figures(self) -> Measured:
        """Return the same without file and picture, to be kept by the thousand."""
        return replace(self, data=b"", decoded=None)


def _compared(picture: Picture, decoded: Picture, coder: Coder, found: Measured) -> Measured:
    """Add what a comparison tells."""
    before, after = picture.planes, decoded.planes
    if before.shape[:2] != after.shape[:2] or after.dtype != np.uint8:
        return replace(found, failure=f"came back as {after.dtype} {after.shape}")
    before, after = np.broadcast_arrays(before, after)  # (H, W, 1) beside (H, W, 3), where a format tells grey apart
    worst, exact, failure = int(np.abs(before.astype(np.int16) - after).max()), coder.restores(picture, decoded), ""
    if coder.info.lossless and not exact:
        failure = f"not lossless: samples differ by up to {worst}" if worst else "not lossless: colours alone came back"
    return replace(
        found,
        exact=exact,
        max_error=worst,
        psnr=psnr(before, after) if worst else None,
        ms_ssim=ms_ssim(before, after),
        ssimulacra2=ssimulacra2(before, after),
        failure=failure,
        decoded=decoded,
    )


def measure(picture: Picture, coder: Coder, setting: str = "") -> Measured:
    """Code a picture, decode the file, and compare; whatever a coder raises becomes the result's failure."""
    picture = replace(picture)  # one that remembers nothing of what coding it before has found out
    options, found, decoded = coder.settings[setting], Measured(), None
    with PeakMemory() as memory:
        try:
            coder.prepare(options)
            start = time.perf_counter()
            coded = coder.encode(picture, options)
            seconds = time.perf_counter() - start
            found = Measured(
                len(coded.data),
                coder.payload(coded.data),
                encode_seconds=seconds,
                stored=coded.stored,
                model_bits=coded.model_bits,
                data=coded.data,
            )
            start = time.perf_counter()
            try:
                decoded = coder.decode(coded.data)
            finally:
                found = replace(found, decode_seconds=time.perf_counter() - start)
        except Exception as error:  # a coder that fails in whatever way is a result, too
            found = replace(found, failure=" ".join(f"{type(error).__name__}: {error}".split())[:_ONE_LINE])
    found = replace(found, peak_mib=memory.mib)
    return found if decoded is None else _compared(picture, decoded, coder, found)
