"""A class activation map and its box drawn over an image: why the classifier says a label. Needs no model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ccd_core.data.images import read_image

BOX = (213, 94, 0)  # Okabe and Ito's vermilion, as the boxes of the page CAM boxes


def picture(path: str | Path, longer_side: int) -> Image.Image:
    """The image, upright, no larger than `longer_side` pixels. Raises ImageError where it cannot be read."""
    image = Image.fromarray(read_image(path, at_least=longer_side))
    image.thumbnail((longer_side, longer_side))
    return image


def overlay(
    image: Image.Image, cam: np.ndarray | Sequence[Sequence[float]], box: Sequence[float] | None
) -> Image.Image:
    """`image` with the map [h, w] of values in [0, 1] as heat, and the box (x0, y0, x1, y1 as fractions of the image) as a frame."""
    heat = Image.fromarray((np.asarray(cam, np.float32) * 255).astype(np.uint8)).resize(
        image.size, Image.Resampling.BICUBIC
    )
    v = np.asarray(heat, np.float32)[..., None] / 255
    colour = 255 * np.concatenate(
        [np.minimum(1, 2 * v), np.maximum(0, 1.4 * v - 0.4), np.maximum(0, 0.5 - v)], 2
    )
    strength = 0.72 * v
    mixed = Image.fromarray(
        (np.asarray(image, np.float32) * (1 - strength) + colour * strength).astype(np.uint8)
    )
    if box is not None:
        width, height = image.size
        x0, y0, x1, y1 = box[0] * width, box[1] * height, box[2] * width - 1, box[3] * height - 1
        line = max(2, round(max(image.size) / 160))
        draw = ImageDraw.Draw(mixed)
        draw.rectangle((x0, y0, max(x0 + 1, x1), max(y0 + 1, y1)), outline="white", width=line + 2)
        draw.rectangle((x0 + 1, y0 + 1, max(x0 + 2, x1 - 1), max(y0 + 2, y1 - 1)), outline=BOX, width=line)
    return mixed
