"""A class activation map and its box drawn over an image. They show what speaks for a label.

Needs no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ccd_core.data.decoding.images import read_image

VERMILION = "#D55E00"  # of Okabe and Ito's palette; CAM boxes have this colour everywhere
# Value in [0, 1] -> red, green, blue in [0, 255]. Between these values the colours of heat are linear.
HEAT_STOPS = {0.0: (0, 0, 128), 2 / 7: (146, 0, 55), 0.5: (255, 77, 0), 1.0: (255, 255, 0)}
HEAT_OPACITY = 0.72  # of the value 1; lower values are fainter in proportion


def _heat_table() -> np.ndarray:
    values = np.linspace(0, 1, 256)
    channels = np.array(list(HEAT_STOPS.values())).T
    colours = [np.interp(values, list(HEAT_STOPS), channel) for channel in channels]
    return np.stack(colours, 1).round().astype(np.uint8)


HEAT = _heat_table()  # [256, 3] uint8, the colours of the values 0/255 to 255/255


def picture(path: str | Path, longer_side: int) -> Image.Image:
    """The image, upright and at most `longer_side` pixels long. Raises ImageError if it cannot be read."""
    image = Image.fromarray(read_image(path, at_least=longer_side))
    image.thumbnail((longer_side, longer_side))
    return image


def overlay(
    image: Image.Image, cam: np.ndarray | Sequence[Sequence[float]], box: Sequence[float] | None
) -> Image.Image:
    """`image` with a map over it as heat, and a box as a frame.

    cam: [h, w], values in [0, 1]. box: x0, y0, x1, y1 as fractions of the image, or None.
    """
    small = Image.fromarray((np.asarray(cam, np.float32) * 255).astype(np.uint8))
    values = np.asarray(small.resize(image.size, Image.Resampling.BICUBIC))
    opacity = (HEAT_OPACITY / 255 * values)[..., None].astype(np.float32)
    mixed = np.asarray(image, np.float32) * (1 - opacity) + HEAT[values] * opacity
    drawn = Image.fromarray(mixed.astype(np.uint8))
    if box is not None:
        _draw_box(drawn, box)
    return drawn


def _draw_box(image: Image.Image, box: Sequence[float]) -> None:
    """A vermilion frame with a white rim, drawn into `image`."""
    width, height = image.size
    left = box[0] * width
    top = box[1] * height
    right = box[2] * width - 1
    bottom = box[3] * height - 1
    line = max(2, round(max(image.size) / 160))  # pixels
    draw = ImageDraw.Draw(image)
    draw.rectangle((left, top, max(left + 1, right), max(top + 1, bottom)), outline="white", width=line + 2)
    draw.rectangle(
        (left + 1, top + 1, max(left + 2, right - 1), max(top + 2, bottom - 1)),
        outline=VERMILION,
        width=line,
    )
