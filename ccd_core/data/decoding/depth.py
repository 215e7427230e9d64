"""Pictures with more than 8 bits a channel, such as thermal images, X-rays, and heights as numbers.

Many cameras store 10, 12 or 14 bits in files of 16 bits. Such pictures would be nearly black if 16 bits were
taken to be used. So the bits that are used are measured, over a whole data set if there is one, because two
pictures of one camera must be scaled alike.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from ccd_core.data.listing.names import shown

log = logging.getLogger("ccd")
DEPTHS = (1, 8, 10, 12, 14, 16)  # bits of real sensors, of bytes and of masks
SAMPLED = 48  # pictures of a data set in which the largest value is looked for
MAY_HAVE_16_BITS = (".png", ".tif", ".tiff", "")
NO_DATA_TAG = 42113  # of GDAL: the value of pixels without data, as text
NO_DATA = 1e30  # programs for maps write -3.4e38 where there are no data
NO_DATA_NUMBERS = (-9999.0, -99999.0, -32767.0, -32768.0)
OVERSHOOT = 0.1  # by which interpolation may leave the range from 0 to 1
BLOCK = 4_000_000  # values that are converted at once


def bits_used(largest: int) -> int:
    """The number of bits that values up to `largest` use, of those in `DEPTHS`."""
    needed = max(int(largest), 0).bit_length()
    return next(bits for bits in DEPTHS if bits >= min(needed, 16))


def grey_of_16_bits(values: np.ndarray, bits: int | None, white_is_zero: bool) -> np.ndarray:
    """uint16 [...] scaled to uint8 [...].

    `bits` are those that the data set uses. A picture with larger values is scaled by its own, and so is
    every picture if `bits` is None.
    """
    own = bits_used(int(values.max(initial=0)))
    bits = own if bits is None else max(bits, own)
    grey = np.empty(values.shape, np.uint8)
    for rows in _blocks(values):
        if bits > 8:
            grey[rows] = values[rows] >> (bits - 8)
        else:
            grey[rows] = values[rows] * np.uint16(255 if bits == 1 else 1)
    return 255 - grey if white_is_zero else grey


def grey_of_numbers(values: np.ndarray, no_data: float | None = None) -> np.ndarray:
    """Values of unknown unit, [H, W] of int32 or float32, as uint8 [H, W].

    Values from 0 to 1, which interpolation may leave by a tenth, are multiplied by 255. Other values between
    0 and 255 stay as they are. All else is stretched from its own minimum and maximum to 0-255. Pixels
    without data count as the minimum. They are those with the value `no_data`, those that are no finite
    number, and those with a value that programs for maps use as a sign.
    """
    low, high = _range(values, no_data)
    grey = np.empty(values.shape, np.uint8)
    for rows in _blocks(values):
        block = values[rows].astype(np.float64)
        block = np.where(_has_data(block, no_data), block, np.where(np.isposinf(block), high, low))
        grey[rows] = np.clip(_to_byte_range(np.clip(block, low, high), low, high), 0, 255).astype(np.uint8)
    return grey


def _to_byte_range(values: np.ndarray, low: float, high: float) -> np.ndarray:
    if low >= -OVERSHOOT and high <= 1 + OVERSHOOT:
        return np.clip(values, 0, 1) * 255
    if low < 0 or high > 255:
        return (values - low) * (255 / max(high - low, 1e-12))
    return values


def _range(values: np.ndarray, no_data: float | None) -> tuple[float, float]:
    """The smallest and the largest value of the pixels with data."""
    low = np.inf
    high = -np.inf
    signs: set[float] = set()
    for rows in _blocks(values):
        block = values[rows].astype(np.float64)
        block = block[_has_data(block, no_data)]
        is_sign = np.isin(block, NO_DATA_NUMBERS)
        signs |= set(block[is_sign].tolist())
        block = block[~is_sign]
        if block.size:
            low = min(low, float(block.min()))
            high = max(high, float(block.max()))
    for sign in signs:
        if not low > sign / 2:  # the sign lies among the other values, so it is one of them
            low = min(low, sign)
            high = max(high, sign)
    return (low, high) if np.isfinite(low) else (0.0, 0.0)


def _has_data(values: np.ndarray, no_data: float | None) -> np.ndarray:
    has_data = np.isfinite(values) & (np.abs(values) < NO_DATA)
    return has_data if no_data is None else has_data & (values != no_data)


def _blocks(values: np.ndarray) -> list[slice]:
    """Slices of rows, so that large pictures are converted without large copies."""
    step = max(1, BLOCK // max(1, values[:1].size))
    return [slice(begin, begin + step) for begin in range(0, len(values), step)]


def no_data_value(image: Image.Image) -> float | None:
    """The value that a TIFF declares for pixels without data, or None."""
    try:
        return float(str(image.tag_v2[NO_DATA_TAG]).strip("\0 "))  # type: ignore[attr-defined]
    except (AttributeError, KeyError, ValueError):
        return None


def has_16_bits(image: Image.Image) -> bool:
    """Whether the file has 16 bits a channel. Pillow reads those of colours as 8 bits."""
    return image.mode.startswith("I;16") or ";16" in rawmode(image)


def rawmode(image: Image.Image) -> str:
    """Pillow's name for how the pixels lie in the file, such as RGB;16B."""
    tiles = getattr(image, "tile", None)
    if not tiles:
        return ""
    arguments = tiles[0][3]
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


class Depth:
    """The bits that the 16-bit pictures of a data set use. They are measured when first asked for."""

    def __init__(self, name: str, paths: Sequence[Sequence[Path]], measure: Callable[[Path], int | None]):
        self.name = name
        self.paths = paths
        self.measure = measure

    def __getstate__(self) -> dict[str, object]:
        return {"name": self.name, "paths": (), "measure": None, "bits": self.bits}

    @cached_property
    def bits(self) -> int | None:
        """The bits in use, or None if no picture has 16 bits."""
        deep = [path for paths in self.paths for path in paths if _may_have_16_bits(path)]
        if not deep:
            return None
        chosen = [deep[row] for row in np.linspace(0, len(deep) - 1, min(len(deep), SAMPLED)).astype(int)]
        with ThreadPoolExecutor(4) as pool:
            largest = [value for value in pool.map(self.measure, chosen) if value is not None]
        if not largest:
            return None
        bits = bits_used(max(largest))
        if bits != 16:
            log.info(
                "%s: pictures with 16 bits a channel, of which %d are used (the largest value is %d, looked "
                "for in %d of %d, such as %s); all of them are scaled by %d bits",
                self.name, bits, max(largest), len(largest), len(deep), shown(deep[0].name), bits,
            )  # fmt: skip
        return bits


def _may_have_16_bits(path: Path) -> bool:
    """Whether a file's first bytes say that it has 16 bits a channel. Nothing is decoded."""
    if path.suffix.lower() not in MAY_HAVE_16_BITS:
        return False
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would wait for ever
        with os.fdopen(handle, "rb") as file:
            head = file.read(32)
            if head.startswith(b"\x89PNG"):
                return head[24:25] == b"\x10"
            if head[:2] not in (b"II", b"MM"):
                return False
            file.seek(0)
            with Image.open(file, formats=("TIFF",)) as image:
                return has_16_bits(image)
    except Exception:  # damaged files are reported where they are decoded
        return False
