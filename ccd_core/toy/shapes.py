"""The drawings of the toy world, one small function for each, from a random generator to a list of strokes.

`DRAWINGS` has the 16 classes of the demo. `CLUTTER` has things that belong to no class.
"""

from __future__ import annotations

import itertools

import numpy as np

from ccd_core.toy.strokes import Stroke, arc, bright, ellipse, hsv, line, polygon, rectangle, shade


def house(rng) -> list[Stroke]:
    wall = hsv(rng.uniform(0.02, 0.15), rng.uniform(0.1, 0.6), rng.uniform(0.75, 1))
    roof = hsv(rng.choice([0.0, 0.03, 0.6, 0.95]), rng.uniform(0.5, 0.9), rng.uniform(0.45, 0.8))
    top = rng.uniform(-0.25, 0.05)
    strokes = [rectangle(-0.75, top, 0.75, 0.95, wall)]
    if rng.random() < 0.6:
        strokes.append(rectangle(0.3, -0.85, 0.52, top, shade(roof, 0.75)))
    strokes.append(polygon([(-1, top + 0.05), (0, -0.95), (1, top + 0.05)], roof))
    strokes.append(rectangle(-0.18, 0.38, 0.18, 0.95, hsv(rng.random(), 0.5, 0.45)))
    glass = hsv(0.55, rng.uniform(0.1, 0.4), 1)
    for x in (-0.52, 0.52):
        strokes.append(rectangle(x - 0.17, 0.2, x + 0.17, 0.55, glass))
        strokes.append(line([(x, 0.2), (x, 0.55)], 0.04, wall))
        strokes.append(line([(x - 0.17, 0.37), (x + 0.17, 0.37)], 0.04, wall))
    return strokes


def tree(rng) -> list[Stroke]:
    leaf = hsv(rng.uniform(0.2, 0.42), rng.uniform(0.5, 0.9), rng.uniform(0.35, 0.75))
    trunk = hsv(0.08, 0.6, rng.uniform(0.3, 0.5))
    strokes = [polygon([(-0.14, 0.1), (0.14, 0.1), (0.2, 1), (-0.2, 1)], trunk)]
    if rng.random() < 0.5:  # a conifer
        for i, y in enumerate((0.45, 0.0, -0.42)):
            w = 0.8 - 0.17 * i
            strokes.append(polygon([(-w, y), (0, y - 0.58), (w, y)], shade(leaf, 1 + 0.1 * i)))
    else:
        for x, y, r in ((-0.42, -0.05, 0.45), (0.42, -0.05, 0.45), (0, -0.45, 0.52)):
            strokes.append(ellipse(x, y, r, r, shade(leaf, rng.uniform(0.9, 1.15))))
        strokes.append(ellipse(-0.1, -0.55, 0.25, 0.2, shade(leaf, 1.3)))
    return strokes


def car(rng) -> list[Stroke]:
    body = bright(rng)
    dark = (40.0, 40.0, 45.0)
    glass = hsv(0.55, 0.25, 1)
    roof = rng.uniform(-0.62, -0.4)
    strokes = [
        polygon([(-0.62, -0.05), (-0.4, roof), (0.3, roof), (0.6, -0.05)], shade(body, 0.85)),
        polygon([(-0.5, -0.08), (-0.34, roof + 0.1), (-0.06, roof + 0.1), (-0.06, -0.08)], glass),
        polygon([(0.02, -0.08), (0.02, roof + 0.1), (0.25, roof + 0.1), (0.47, -0.08)], glass),
        polygon([(-1, 0.0), (-0.9, -0.1), (0.85, -0.1), (1, 0.08), (1, 0.42), (-1, 0.42)], body),
        rectangle(0.86, 0.02, 1, 0.16, (255.0, 240.0, 150.0)),
    ]
    for x in (-0.55, 0.55):
        strokes += [ellipse(x, 0.42, 0.25, 0.25, dark), ellipse(x, 0.42, 0.11, 0.11, (190.0, 190.0, 195.0))]
    return strokes


def sailboat(rng) -> list[Stroke]:
    sail = hsv(rng.random(), rng.uniform(0, 0.5), 1)
    return [
        line([(0, 0.5), (0, -1)], 0.07, hsv(0.08, 0.6, 0.4)),
        polygon([(0.08, -0.9), (0.08, 0.35), (0.8, 0.35)], sail),
        polygon([(-0.08, -0.65), (-0.08, 0.35), (-0.65, 0.35)], shade(sail, 0.85)),
        polygon([(-0.95, 0.5), (0.95, 0.5), (0.6, 0.95), (-0.6, 0.95)], bright(rng)),
    ]


def fish(rng) -> list[Stroke]:
    body = bright(rng)
    strokes = [
        polygon([(0.5, 0), (1, -0.5), (0.88, 0), (1, 0.5)], shade(body, 0.8)),
        polygon([(-0.2, -0.4), (0.1, -0.75), (0.35, -0.3)], shade(body, 0.7)),
        ellipse(-0.15, 0, 0.78, 0.48, body),
    ]
    for x in (-0.05, 0.2)[: rng.integers(0, 3)]:
        strokes.append(line([(x, -0.36), (x + 0.07, 0), (x, 0.36)], 0.1, shade(body, 1.4)))
    strokes += [
        ellipse(-0.55, -0.12, 0.13, 0.13, (255.0, 255.0, 255.0)),
        ellipse(-0.57, -0.12, 0.06, 0.06, (20.0, 20.0, 30.0)),
    ]
    return strokes


def flower(rng) -> list[Stroke]:
    petal = hsv(rng.choice([0.0, 0.12, 0.78, 0.9, 0.62]), rng.uniform(0.4, 0.9), 1)
    green = hsv(0.33, 0.7, 0.5)
    strokes = [
        line([(0, -0.2), (0.05, 1)], 0.1, green),
        polygon([(0.03, 0.75), (0.5, 0.35), (0.2, 0.85)], green),
    ]
    count = int(rng.integers(5, 9))
    for angle in np.linspace(0, 2 * np.pi, count, endpoint=False):
        strokes.append(ellipse(0.4 * np.cos(angle), -0.4 + 0.4 * np.sin(angle), 0.25, 0.25, petal))
    return [*strokes, ellipse(0, -0.4, 0.22, 0.22, hsv(0.13, 0.9, 0.95))]


def cup(rng) -> list[Stroke]:
    glaze = bright(rng)
    strokes = [
        line(arc(0.6, 0.15, 0.32, 0.36, -100, 100), 0.14, shade(glaze, 0.85)),
        polygon([(-0.75, -0.45), (0.65, -0.45), (0.5, 0.85), (-0.6, 0.85)], glaze),
        ellipse(-0.05, -0.45, 0.7, 0.15, shade(glaze, 0.6)),
    ]
    if rng.random() < 0.5:
        strokes.append(line([(-0.7, 0.1), (0.6, 0.1)], 0.14, shade(glaze, 1.35)))
    for x in (-0.3, 0.15):
        strokes.append(line([(x, -0.6), (x + 0.1, -0.75), (x, -0.95)], 0.05, (235.0, 235.0, 240.0)))
    return strokes


def chair(rng) -> list[Stroke]:
    wood = hsv(0.08, rng.uniform(0.4, 0.8), rng.uniform(0.35, 0.75))
    seat = bright(rng)
    return [
        line([(-0.5, -1), (-0.5, 0.95)], 0.14, wood),
        line([(0.5, 0.15), (0.55, 0.95)], 0.14, wood),
        line([(-0.2, 0.2), (-0.22, 0.8)], 0.1, shade(wood, 0.7)),
        line([(0.28, 0.2), (0.28, 0.8)], 0.1, shade(wood, 0.7)),
        polygon([(-0.56, -0.95), (-0.3, -0.85), (-0.3, -0.1), (-0.56, -0.1)], seat),
        polygon([(-0.58, 0.0), (0.5, 0.0), (0.62, 0.22), (-0.58, 0.22)], shade(seat, 0.85)),
    ]


def kite(rng) -> list[Stroke]:
    one = bright(rng)
    two = bright(rng)
    strokes = [
        polygon([(0, -1), (0.6, -0.3), (0, -0.3)], one),
        polygon([(0, -1), (-0.6, -0.3), (0, -0.3)], two),
        polygon([(0, 0.45), (0.6, -0.3), (0, -0.3)], two),
        polygon([(0, 0.45), (-0.6, -0.3), (0, -0.3)], one),
        line([(0, 0.45), (0.15, 0.62), (-0.12, 0.8), (0.1, 1)], 0.05, (60.0, 60.0, 70.0)),
    ]
    for x, y in ((0.12, 0.62), (-0.1, 0.8)):
        left = x - 0.13
        right = x + 0.13
        strokes.append(
            polygon([(left, y - 0.07), (left, y + 0.07), (right, y - 0.07), (right, y + 0.07)], one)
        )
    return strokes


def snowman(rng) -> list[Stroke]:
    white = hsv(0.6, rng.uniform(0, 0.08), 1)
    strokes = [
        ellipse(0, 0.55, 0.5, 0.44, shade(white, 0.92)),
        ellipse(0, -0.02, 0.38, 0.34, shade(white, 0.96)),
        ellipse(0, -0.5, 0.28, 0.26, white),
        polygon([(0, -0.5), (0.32, -0.42), (0, -0.42)], hsv(0.07, 0.9, 1)),
        line([(-0.3, -0.1), (-0.75, -0.4)], 0.05, hsv(0.08, 0.6, 0.35)),
        line([(0.3, -0.1), (0.75, -0.35)], 0.05, hsv(0.08, 0.6, 0.35)),
        line([(-0.27, -0.28), (0.27, -0.26), (0.34, 0.08)], 0.11, bright(rng)),
    ]
    if rng.random() < 0.7:
        hat = (45.0, 45.0, 55.0)
        strokes += [rectangle(-0.36, -0.74, 0.36, -0.66, hat), rectangle(-0.22, -1, 0.22, -0.7, hat)]
    for x in (-0.1, 0.1):
        strokes.append(ellipse(x, -0.57, 0.045, 0.045, (25.0, 25.0, 30.0)))
    return strokes


def mushroom(rng) -> list[Stroke]:
    cap = hsv(rng.choice([0.0, 0.03, 0.08, 0.8]), rng.uniform(0.6, 0.95), rng.uniform(0.6, 0.95))
    strokes = [
        polygon([(-0.24, -0.05), (0.24, -0.05), (0.34, 0.95), (-0.34, 0.95)], hsv(0.11, 0.15, 0.97)),
        polygon(np.concatenate([arc(0, 0.1, 0.95, 1.0, 180, 360), [(0.7, 0.2), (-0.7, 0.2)]]), cap),
    ]
    for x, y, r in ((-0.5, -0.2, 0.13), (0.05, -0.5, 0.17), (0.5, -0.15, 0.14), (-0.1, -0.05, 0.1)):
        strokes.append(ellipse(x, y, r, r, (255.0, 250.0, 240.0)))
    return strokes


def balloon(rng) -> list[Stroke]:
    skin = bright(rng)
    return [
        line([(0, 0.42), (0.1, 0.65), (-0.08, 0.82), (0.05, 1)], 0.045, (90.0, 90.0, 95.0)),
        ellipse(0, -0.3, 0.6, 0.7, skin),
        polygon([(-0.12, 0.5), (0, 0.36), (0.12, 0.5)], shade(skin, 0.8)),
        ellipse(-0.22, -0.55, 0.12, 0.19, shade(skin, 1.6)),
    ]


def bicycle(rng) -> list[Stroke]:
    frame = bright(rng)
    tyre = hsv(0.6, 0.1, rng.uniform(0.1, 0.3))
    strokes = []
    for x in (-0.58, 0.58):
        strokes.append(line(arc(x, 0.35, 0.4, 0.4), 0.09, tyre))
        for angle in (0, 60, 120):
            dx = 0.37 * np.cos(np.deg2rad(angle))
            dy = 0.37 * np.sin(np.deg2rad(angle))
            strokes.append(line([(x - dx, 0.35 - dy), (x + dx, 0.35 + dy)], 0.02, (170.0, 170.0, 175.0)))
    strokes += [
        line([(-0.58, 0.35), (-0.2, -0.25), (0.4, -0.25), (-0.05, 0.35), (-0.58, 0.35)], 0.09, frame),
        line([(-0.05, 0.35), (-0.26, -0.42)], 0.09, frame),
        line([(0.58, 0.35), (0.36, -0.5), (0.56, -0.62)], 0.09, frame),
        line([(-0.42, -0.44), (-0.1, -0.44)], 0.12, (35.0, 30.0, 30.0)),
    ]
    return strokes


def lamp(rng) -> list[Stroke]:
    screen = hsv(rng.uniform(0.08, 0.18), rng.uniform(0.3, 0.8), 1)
    metal = hsv(rng.random(), 0.3, rng.uniform(0.25, 0.55))
    base = [ellipse(0, 0.88, 0.42, 0.12, metal), line([(0, 0.85), (0, -0.3)], 0.1, metal)]
    if rng.random() < 0.5:
        base.append(ellipse(0, 0.5, 0.2, 0.28, shade(metal, 1.3)))
    return [*base, polygon([(-0.35, -0.95), (0.35, -0.95), (0.7, -0.15), (-0.7, -0.15)], screen)]


def cat(rng) -> list[Stroke]:
    fur = hsv(rng.choice([0.07, 0.08, 0.6]), rng.choice([0.1, 0.6]), rng.uniform(0.3, 0.9))
    dark = shade(fur, 0.7)
    strokes = [
        line([(0.35, 0.85), (0.8, 0.75), (0.85, 0.3), (0.65, 0.15)], 0.16, dark),
        ellipse(0, 0.5, 0.45, 0.48, fur),
        polygon([(-0.45, -0.35), (-0.48, -0.98), (-0.08, -0.68)], dark),
        polygon([(0.45, -0.35), (0.48, -0.98), (0.08, -0.68)], dark),
        ellipse(0, -0.32, 0.5, 0.43, fur),
        ellipse(0, 0.6, 0.22, 0.3, shade(fur, 1.3)),
        polygon([(-0.07, -0.22), (0.07, -0.22), (0, -0.13)], (230.0, 120.0, 130.0)),
    ]
    for x in (-0.2, 0.2):
        strokes += [
            ellipse(x, -0.4, 0.1, 0.12, hsv(0.25, 0.6, 0.95)),
            ellipse(x, -0.4, 0.04, 0.1, (20.0, 20.0, 20.0)),
        ]
        for dy in (-0.04, 0.06):
            strokes.append(line([(x, -0.18), (2.7 * x, -0.18 + dy * 2)], 0.025, (245.0, 245.0, 245.0)))
    return strokes


def umbrella(rng) -> list[Stroke]:
    one = bright(rng)
    two = bright(rng) if rng.random() < 0.6 else one
    handle = np.concatenate([[(0, -0.9), (0, 0.75)], arc(0.15, 0.78, 0.15, 0.17, 180, 0)])
    strokes = [line(handle, 0.08, (70.0, 60.0, 60.0))]
    edges = np.linspace(-1, 1, 5)
    for i, (left, right) in enumerate(itertools.pairwise(edges)):
        rim = arc((left + right) / 2, 0, (right - left) / 2, 0.14, 180, 0)
        strokes.append(polygon(np.concatenate([_canopy(left), rim, _canopy(right)[::-1]]), (one, two)[i % 2]))
    return strokes


def _canopy(x: float) -> np.ndarray:
    """The rib of an umbrella from its top to (x, 0), a quarter of an ellipse."""
    t = np.linspace(0, np.pi / 2, 9)
    return np.stack([x * np.sin(t), -0.9 * np.cos(t)], axis=1)


DRAWINGS = {
    drawing.__name__: drawing
    for drawing in (
        balloon, bicycle, car, cat, chair, cup, fish, flower,
        house, kite, lamp, mushroom, sailboat, snowman, tree, umbrella,
    )
}  # fmt: skip


def rock(rng) -> list[Stroke]:
    angle = np.sort(rng.uniform(0, 2 * np.pi, 8))
    grey = hsv(0.08, 0.1, rng.uniform(0.4, 0.7))
    return [polygon(np.stack([np.cos(angle), 0.7 * np.sin(angle)], 1) * rng.uniform(0.7, 1, (8, 1)), grey)]


def cloud(rng) -> list[Stroke]:
    white = hsv(0.6, 0.05, rng.uniform(0.85, 1))
    return [
        ellipse(x, y, r, 0.8 * r, white) for x, y, r in ((-0.55, 0.1, 0.4), (0, -0.1, 0.55), (0.55, 0.1, 0.4))
    ]


def bush(rng) -> list[Stroke]:
    green = hsv(rng.uniform(0.22, 0.4), 0.6, rng.uniform(0.35, 0.6))
    return [
        ellipse(x, y, r, r, shade(green, rng.uniform(0.9, 1.1)))
        for x, y, r in ((-0.5, 0.2, 0.45), (0.5, 0.2, 0.45), (0, -0.1, 0.55))
    ]


def crate(rng) -> list[Stroke]:
    wood = hsv(0.09, 0.55, rng.uniform(0.5, 0.75))
    return [
        rectangle(-0.8, -0.8, 0.8, 0.8, wood),
        line([(-0.75, -0.75), (0.75, 0.75)], 0.1, shade(wood, 0.7)),
        line([(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8), (-0.8, -0.8)], 0.12, shade(wood, 0.8)),
    ]


def ball(rng) -> list[Stroke]:
    colour = bright(rng)
    return [ellipse(0, 0, 0.8, 0.8, colour), line(arc(0, 0, 0.78, 0.3), 0.1, shade(colour, 1.5))]


def fence(rng) -> list[Stroke]:
    wood = hsv(0.1, rng.uniform(0, 0.4), rng.uniform(0.6, 0.95))
    posts = [
        polygon([(x - 0.1, 1), (x - 0.1, -0.4), (x, -0.6), (x + 0.1, -0.4), (x + 0.1, 1)], wood)
        for x in (-0.85, -0.42, 0, 0.42, 0.85)
    ]
    return [
        line([(-1, 0), (1, 0)], 0.1, shade(wood, 0.85)),
        line([(-1, 0.6), (1, 0.6)], 0.1, shade(wood, 0.85)),
        *posts,
    ]


def sign(rng) -> list[Stroke]:
    return [line([(0, 0), (0, 1)], 0.1, (120.0, 120.0, 125.0)), rectangle(-0.6, -0.8, 0.6, 0.05, bright(rng))]


CLUTTER = (rock, cloud, bush, crate, ball, fence, sign)
