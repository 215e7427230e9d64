"""Boxes from annotation files as whole pixels of the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ccd_core.data.types import Box

LARGEST_SIDE = 1_000_000  # pixels; more than any image that is read has


def numbers(values: Any, count: int | None = None) -> list[float] | None:
    """`values` as finite numbers, also from text. None if one is no number, or if there are not `count`."""
    if not isinstance(values, Sequence) or isinstance(values, str):
        return None
    try:
        found = [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        return None
    if count is not None and len(found) != count:
        return None
    return found if all(map(math.isfinite, found)) else None


def pixel_box(
    corners: Sequence[float], width: float | None = None, height: float | None = None
) -> Box | None:
    """The half-open box of all pixels that (x0, y0, x1, y1) touches, clipped to the image.

    Corners that are inside out are swapped. None if no part of the box lies in the image. Sides of the image
    that are not known are not clipped to.
    """
    x0, x1 = sorted((corners[0], corners[2]))
    y0, y1 = sorted((corners[1], corners[3]))
    right = min(LARGEST_SIDE, width or LARGEST_SIDE)
    bottom = min(LARGEST_SIDE, height or LARGEST_SIDE)
    if x0 >= right or y0 >= bottom or x1 < 0 or y1 < 0:
        return None
    return (
        max(int(x0), 0),
        max(int(y0), 0),
        int(min(math.ceil(min(x1, LARGEST_SIDE)), right)),
        int(min(math.ceil(min(y1, LARGEST_SIDE)), bottom)),
    )
