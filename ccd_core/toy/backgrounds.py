"""What lies behind and over the objects of a toy scene: a background, and the effects of a camera."""

from __future__ import annotations

import cv2
import numpy as np

from ccd_core.toy.strokes import Stroke, hsv, paint

# For each place, hue, saturation and value of the area above the horizon and of the area below it.
SKIES = {
    "meadow": ((0.55, 0.35, 1.0), (0.30, 0.55, 0.75)),
    "sea": ((0.54, 0.30, 1.0), (0.56, 0.65, 0.75)),
    "room": ((0.10, 0.18, 0.95), (0.07, 0.40, 0.60)),
    "street": ((0.58, 0.18, 0.95), (0.60, 0.04, 0.60)),
    "snow": ((0.58, 0.20, 0.95), (0.58, 0.03, 0.97)),
    "night": ((0.64, 0.65, 0.38), (0.62, 0.50, 0.30)),
    "desert": ((0.53, 0.25, 1.0), (0.11, 0.45, 0.92)),
    "plain": ((0.00, 0.10, 0.90), (0.00, 0.10, 0.80)),
}


def draw_background(rng, place: str, width: int, height: int, horizon: float, scale: float) -> np.ndarray:
    """A canvas uint8 [H, W, 3] with the background of a place.

    It has two areas that meet at the horizon, each a vertical gradient, and some details that belong to the
    place. width, height and horizon are pixels of the full-size scene; scale: of the canvas.
    """
    upper, lower = SKIES[place]
    hue = rng.uniform(0, 1) if place == "plain" else rng.normal(0, 0.02)
    rows = np.arange(round(height * scale)) / scale
    gradient = np.empty((len(rows), 3), np.float32)
    for i, y in enumerate(rows):
        if y < horizon:
            base = upper
            brightness = 0.9 + 0.1 * (y / horizon)
        else:
            base = lower
            brightness = 1.0 - 0.22 * ((y - horizon) / (height - horizon))
        gradient[i] = hsv(base[0] + hue, base[1], base[2] * brightness)
    canvas = np.repeat(gradient[:, None].astype(np.uint8), round(width * scale), axis=1)
    strokes: list[Stroke] = []
    if place in ("meadow", "desert", "snow"):  # hills
        x = np.linspace(-1, 1, 33)
        y = rng.uniform(0.05, 0.14) * np.sin(x * rng.uniform(2, 6) + rng.uniform(0, 6))
        hills = np.concatenate([np.stack([x, y], 1), [(1, 0.5), (-1, 0.5)]])
        strokes.append(Stroke(hills, hsv(lower[0] + hue, lower[1] * 0.8, min(1, lower[2] * 1.08))))
    elif place == "room":  # a carpet
        carpet = np.array([(-0.7, 0.35), (0.7, 0.35), (0.95, 0.6), (-0.95, 0.6)])
        strokes.append(Stroke(carpet, hsv(rng.random(), 0.4, 0.7)))
    elif place == "street":  # kerb and lane marks
        strokes.append(Stroke(np.array([(-1, 0.02), (1, 0.02)]), (200.0, 200.0, 200.0), 0.03))
        strokes += [
            Stroke(np.array([(x, 0.35), (x + 0.2, 0.35)]), (235.0, 225.0, 160.0), 0.03)
            for x in (-0.9, -0.4, 0.1, 0.6)
        ]
    elif place == "night":  # stars
        for x, y in rng.uniform((-1, -1), (1, -0.15), (24, 2)):
            strokes.append(Stroke(np.array([(x, y), (x + 0.004, y)]), (240.0, 240.0, 200.0), 0.008))
    elif place == "sea":  # waves
        for y in np.sort(rng.uniform(0.1, 0.95, 5)):
            x = np.linspace(-1, 1, 49)
            wave = np.stack([x, y + 0.012 * np.sin(24 * x + 9 * y)], 1)
            strokes.append(Stroke(wave, hsv(0.55, 0.45, 0.88), 0.008))
    transform = np.array([[width / 2, 0, width / 2], [0, height / 2, horizon]])
    paint(canvas, strokes, transform, scale)
    return canvas


def add_camera_effects(rng, canvas: np.ndarray) -> np.ndarray:
    """The canvas with soft texture, uneven light, a little grain, and sometimes blur, as of a camera."""
    height, width = canvas.shape[:2]
    coarse = rng.normal(0, 5, (7, 9, 3)).astype(np.float32)
    corner = rng.uniform(-0.1, 0.1, (2, 2)).astype(np.float32) + rng.uniform(0.92, 1.08)
    texture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    light = cv2.resize(corner, (width, height), interpolation=cv2.INTER_LINEAR)
    grain = np.random.default_rng(rng.integers(1 << 31)).standard_normal((height, width), np.float32)
    image = canvas * light[..., None] + texture + (rng.uniform(1, 4) * grain)[..., None]
    image = np.clip(image, 0, 255).astype(np.uint8)
    return cv2.GaussianBlur(image, (0, 0), 0.9) if rng.random() < 0.25 else image
