"""Strokes, the coloured polygons and lines that drawings consist of, and how they are painted on a canvas.

A drawing is a list of `Stroke`s in the square [-1, 1] x [-1, 1], with x to the right and y down. They are
painted in their order. Because strokes are lists of points, a drawing looks the same at every resolution, and
its box is exact.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import cv2
import numpy as np

Colour = tuple[float, float, float]  # red, green, blue in 0-255


@dataclass(frozen=True)
class Stroke:
    """A filled polygon, or a polyline if it has a `width`."""

    points: np.ndarray  # [n, 2] float, in the drawing's square
    colour: Colour
    width: float | None = None  # in units of the drawing's square


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """A colour from hue, saturation and value. Hues repeat after 1; the others are at most 1."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, min(saturation, 1), min(value, 1))
    return 255 * red, 255 * green, 255 * blue


def shade(colour: Colour, factor: float) -> Colour:
    """The colour with every channel multiplied by `factor`."""
    red, green, blue = (min(255.0, channel * factor) for channel in colour)
    return red, green, blue


def polygon(points, colour: Colour) -> Stroke:
    return Stroke(np.asarray(points, float), colour)


def line(points, width: float, colour: Colour) -> Stroke:
    return Stroke(np.asarray(points, float), colour, width)


def arc(cx, cy, rx, ry, start=0.0, end=360.0) -> np.ndarray:
    """Points on an ellipse from `start` to `end` degrees (0 is to the right, 90 is down)."""
    angle = np.deg2rad(np.linspace(start, end, 33))
    return np.stack([cx + rx * np.cos(angle), cy + ry * np.sin(angle)], axis=1)


def ellipse(cx, cy, rx, ry, colour: Colour) -> Stroke:
    return polygon(arc(cx, cy, rx, ry), colour)


def rectangle(x0, y0, x1, y1, colour: Colour) -> Stroke:
    return polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)


def bright(rng) -> Colour:
    """A random bright colour."""
    return hsv(rng.random(), rng.uniform(0.55, 0.95), rng.uniform(0.7, 1.0))


def placement(rng, side: float, x: float, y: float) -> np.ndarray:
    """A random affine map [2, 3] from a drawing's square to pixels around (x, y).

    side: length of the square in pixels. The drawing is turned, mostly by less than 20 degrees, stretched,
    and mirrored half of the time.
    """
    angle = np.deg2rad(np.clip(rng.normal(0, 11), -35, 35))
    stretch = rng.uniform(0.85, 1.15)
    mirror = rng.choice([-1, 1])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = 0.5 * side * turn @ np.diag([mirror * stretch, 1 / stretch])
    return np.column_stack([matrix, [x, y]])


def transformed(stroke: Stroke, transform: np.ndarray) -> np.ndarray:
    """The stroke's points [n, 2] in pixels."""
    return stroke.points @ transform[:, :2].T + transform[:, 2]


def _line_width(stroke: Stroke, transform: np.ndarray) -> float:
    return (stroke.width or 0.0) * float(np.sqrt(abs(np.linalg.det(transform[:, :2]))))


def extent(
    strokes: list[Stroke], transform: np.ndarray, width: float, height: float
) -> tuple[int, int, int, int]:
    """The half-open box (x0, y0, x1, y1) of a drawing in pixels, clipped to `width` x `height` pixels."""
    lows: list[np.ndarray] = []
    highs: list[np.ndarray] = []
    for stroke in strokes:
        points = transformed(stroke, transform)
        margin = _line_width(stroke, transform) / 2
        lows.append(points.min(0) - margin)
        highs.append(points.max(0) + margin)
    x0, y0 = np.clip(np.floor(np.min(lows, 0)), 0, [width - 1, height - 1])
    x1, y1 = np.clip(np.ceil(np.max(highs, 0)), [x0 + 1, y0 + 1], [width, height])
    return int(x0), int(y0), int(x1), int(y1)


def overlap(one, other) -> float:
    """The area in which two boxes overlap, as a fraction of the smaller box."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    area = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return max(width, 0) * max(height, 0) / area


def paint(canvas: np.ndarray, strokes: list[Stroke], transform: np.ndarray, scale: float) -> None:
    """Paint the strokes on `canvas` [H, W, 3] uint8, with anti-aliasing and at sub-pixel positions.

    transform: [2, 3] to pixels of the full-size scene; scale: of the canvas.
    """
    scaled = transform * scale
    shift = 4  # cv2 takes coordinates in 1/16 pixel
    for stroke in strokes:
        points = np.round((transformed(stroke, scaled) - 0.5) * (1 << shift)).astype(np.int32)
        if stroke.width is None:
            cv2.fillPoly(canvas, [points], stroke.colour, cv2.LINE_AA, shift)
        else:
            thickness = max(1, round(_line_width(stroke, scaled)))
            cv2.polylines(canvas, [points], False, stroke.colour, thickness, cv2.LINE_AA, shift)
