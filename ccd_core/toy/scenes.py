"""Toy scenes: drawn multi-label images with known boxes, written as a VOC-style data set.

    python -m ccd_core.toy.scenes [DIR]      # draws the demo's data set, unless it is there

`draw_scene` makes image `index` of a world from `(seed, index)` alone, at any size. Scenes have one
to five classes (or none), uneven class frequencies, places that favour some classes, classes that
come together, a second copy now and then, clutter that is no class, texture, uneven light and grain.
"""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ccd_core.toy.shapes import CLUTTER, DRAWINGS, Stroke, hsv

CLASSES = tuple(DRAWINGS)
FREQUENCY = dict(
    balloon=0.9, bicycle=1.1, car=2.0, cat=1.2, chair=1.4, cup=1.2, fish=0.8, flower=1.5,
    house=2.0, kite=0.7, lamp=1.2, mushroom=0.7, sailboat=0.7, snowman=0.5, tree=2.4, umbrella=0.8,
)  # fmt: skip
# A place multiplies the frequency of the classes that belong there.
PLACES = {
    "meadow": dict(flower=3, tree=2, mushroom=3, kite=3, bicycle=2),
    "sea": dict(sailboat=9, fish=7, umbrella=3, balloon=2),
    "room": dict(lamp=5, chair=5, cup=5, cat=3),
    "street": dict(car=3, house=3, bicycle=3, umbrella=2),
    "snow": dict(snowman=12, house=2, tree=2),
    "night": dict(house=2, car=2, lamp=2, cat=2),
    "desert": dict(car=2, kite=2, balloon=3),
    "plain": dict(),
}
TOGETHER = {
    "chair": "lamp",
    "lamp": "chair",
    "cup": "chair",
    "house": "tree",
    "sailboat": "fish",
    "snowman": "tree",
    "bicycle": "car",
}
COUNT_WEIGHTS = (0.05, 0.27, 0.27, 0.22, 0.12, 0.07)  # 0 to 5 classes
SHAPES = ((640, 480), (640, 480), (640, 427), (480, 640), (600, 450))  # width, height
FLYING = {"balloon", "kite"}  # everything else mostly stands below the horizon
SIZE_RANGE = (0.10, 0.45)  # of the image's shorter side
FIRST_OBJECT_AT_LEAST = 0.28  # pictures are taken of something
SPLITS = {"train": 1200, "val": 400}
SEED = 2025


@dataclass(frozen=True)
class Scene:
    image: np.ndarray  # [H, W, 3] uint8 RGB
    place: str
    objects: list[tuple[str, tuple[int, int, int, int]]]  # class name, box (x0, y0, x1, y1) half-open


def draw_scene(seed: int, index: int, scale: float = 1.0, none_share: float = COUNT_WEIGHTS[0]) -> Scene:
    """Scene `index` of the world of `seed`; `scale` 1 is 640x480 or so, smaller is the same picture, smaller.

    none_share: how likely a scene is to have no class at all (0 to 1).
    """
    rng = np.random.default_rng([seed, index])
    width, height = SHAPES[rng.integers(len(SHAPES))]
    place = str(rng.choice(list(PLACES)))
    wanted = _choose_classes(rng, place, none_share)
    horizon = rng.uniform(0.35, 0.65) * height
    canvas = _background(rng, place, width, height, horizon, scale)
    for _ in range(rng.integers(0, 7)):
        side = rng.uniform(0.05, 0.22) * min(width, height)
        strokes = CLUTTER[rng.integers(len(CLUTTER))](rng)
        _paint(canvas, strokes, _affine(rng, side, *rng.uniform(0.05, 0.95, 2) * (width, height)), scale)
    placed = _place_objects(rng, wanted, width, height, horizon)
    objects = []
    for name, strokes, transform, _ in sorted(
        placed, key=lambda item: item[3][3]
    ):  # lower objects are nearer
        _paint(canvas, strokes, transform, scale)
        objects.append((name, _extent(strokes, transform * scale, canvas.shape[1], canvas.shape[0])))
    return Scene(_finish(rng, canvas, place), place, objects)


def _choose_classes(rng, place: str, none_share: float) -> list[str]:
    some = np.array(COUNT_WEIGHTS[1:])
    shares = (
        COUNT_WEIGHTS
        if none_share == COUNT_WEIGHTS[0]
        else (none_share, *(some * (1 - none_share) / some.sum()))
    )
    count = int(rng.choice(len(COUNT_WEIGHTS), p=shares))
    if count == 0:
        return []
    weights = np.array([FREQUENCY[name] * PLACES[place].get(name, 1) for name in CLASSES])
    chosen = list(rng.choice(CLASSES, count, replace=False, p=weights / weights.sum()))
    friend = TOGETHER.get(chosen[0])
    if friend and count > 1 and friend not in chosen and rng.random() < 0.3:
        chosen[1] = friend
    if rng.random() < 0.18:
        chosen.append(chosen[rng.integers(len(chosen))])
    return [str(name) for name in chosen]


def _place_objects(rng, wanted: list[str], width: int, height: int, horizon: float) -> list:
    """Give every wanted object a size, turn and position with little overlap; drop what finds no room."""
    placed: list[tuple] = []
    for rank, name in enumerate(wanted):
        strokes = DRAWINGS[name](rng)
        lowest = 0.04 if name in FLYING or rng.random() < 0.25 else horizon / height
        for attempt in range(30):
            low = FIRST_OBJECT_AT_LEAST if rank == 0 else SIZE_RANGE[0]
            side = (
                rng.triangular(low, SIZE_RANGE[1], SIZE_RANGE[1]) * min(width, height) * (1 - 0.02 * attempt)
            )
            at = rng.uniform((0.04, lowest), 0.96) * (width, height)
            at = np.clip(at, 0.5 * side, np.array([width, height]) - 0.5 * side)
            transform = _affine(rng, side, *at)
            box = _extent(strokes, transform, width, height)
            if all(_overlap(box, other) < 0.25 for *_, other in placed):
                placed.append((name, strokes, transform, box))
                break
    return placed


def _affine(rng, side: float, x: float, y: float) -> np.ndarray:
    """[2, 3]: the drawing's square to pixels: a turn of mostly under 20 degrees, stretch, mirror."""
    angle = np.deg2rad(np.clip(rng.normal(0, 11), -35, 35))
    stretch, mirror = rng.uniform(0.85, 1.15), rng.choice([-1, 1])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = 0.5 * side * turn @ np.diag([mirror * stretch, 1 / stretch])
    return np.column_stack([matrix, [x, y]])


def _transform(stroke: Stroke, transform: np.ndarray) -> np.ndarray:
    return stroke.points @ transform[:, :2].T + transform[:, 2]


def _line_width(stroke: Stroke, transform: np.ndarray) -> float:
    return (stroke.width or 0.0) * float(np.sqrt(abs(np.linalg.det(transform[:, :2]))))


def _extent(
    strokes: list[Stroke], transform: np.ndarray, width: float, height: float
) -> tuple[int, int, int, int]:
    lows, highs = [], []
    for stroke in strokes:
        points, margin = _transform(stroke, transform), _line_width(stroke, transform) / 2
        lows.append(points.min(0) - margin)
        highs.append(points.max(0) + margin)
    x0, y0 = np.clip(np.floor(np.min(lows, 0)), 0, [width - 1, height - 1])
    x1, y1 = np.clip(np.ceil(np.max(highs, 0)), [x0 + 1, y0 + 1], [width, height])
    return int(x0), int(y0), int(x1), int(y1)


def _overlap(one, other) -> float:
    """Intersection over the smaller of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    area = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return max(width, 0) * max(height, 0) / area


def _paint(canvas: np.ndarray, strokes: list[Stroke], transform: np.ndarray, scale: float) -> None:
    """Paint with anti-aliasing at sub-pixel accuracy."""
    scaled = transform * scale
    shift = 4  # cv2 takes coordinates in 1/16 pixel
    for stroke in strokes:
        points = np.round((_transform(stroke, scaled) - 0.5) * (1 << shift)).astype(np.int32)
        if stroke.width is None:
            cv2.fillPoly(canvas, [points], stroke.colour, cv2.LINE_AA, shift)
        else:
            thickness = max(1, round(_line_width(stroke, scaled)))
            cv2.polylines(canvas, [points], False, stroke.colour, thickness, cv2.LINE_AA, shift)


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


def _background(rng, place: str, width: int, height: int, horizon: float, scale: float) -> np.ndarray:
    """Two areas that meet at a horizon, each a vertical gradient, with what belongs to the place."""
    upper, lower = SKIES[place]
    hue = rng.uniform(0, 1) if place == "plain" else rng.normal(0, 0.02)
    rows = np.arange(round(height * scale)) / scale
    gradient = np.empty((len(rows), 3), np.float32)
    for i, y in enumerate(rows):
        base, depth = (upper, y / horizon) if y < horizon else (lower, (y - horizon) / (height - horizon))
        value = base[2] * (0.9 + 0.1 * depth if y < horizon else 1.0 - 0.22 * depth)
        gradient[i] = hsv(base[0] + hue, base[1], value)
    canvas = np.repeat(gradient[:, None].astype(np.uint8), round(width * scale), axis=1)
    strokes: list[Stroke] = []
    if place in ("meadow", "desert", "snow"):  # hills
        crest = np.linspace(-1, 1, 33)
        wave = rng.uniform(0.05, 0.14) * np.sin(crest * rng.uniform(2, 6) + rng.uniform(0, 6))
        colour = hsv(lower[0] + hue, lower[1] * 0.8, min(1, lower[2] * 1.08))
        strokes.append(Stroke(np.concatenate([np.stack([crest, wave], 1), [(1, 0.5), (-1, 0.5)]]), colour))
    elif place == "room":  # a carpet
        strokes.append(
            Stroke(
                np.array([(-0.7, 0.35), (0.7, 0.35), (0.95, 0.6), (-0.95, 0.6)]), hsv(rng.random(), 0.4, 0.7)
            )
        )
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
            strokes.append(
                Stroke(np.stack([x, y + 0.012 * np.sin(24 * x + 9 * y)], 1), hsv(0.55, 0.45, 0.88), 0.008)
            )
    transform = np.array([[width / 2, 0, width / 2], [0, height / 2, horizon]])
    _paint(canvas, strokes, transform, scale)
    return canvas


def _finish(rng, canvas: np.ndarray, place: str) -> np.ndarray:
    """Soft texture, uneven light and a little grain, as a camera would add."""
    height, width = canvas.shape[:2]
    coarse = rng.normal(0, 5, (7, 9, 3)).astype(np.float32)
    corner = rng.uniform(-0.1, 0.1, (2, 2)).astype(np.float32) + rng.uniform(0.92, 1.08)
    texture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    light = cv2.resize(corner, (width, height), interpolation=cv2.INTER_LINEAR)
    grain = np.random.default_rng(rng.integers(1 << 31)).standard_normal((height, width), np.float32)
    picture = canvas * light[..., None] + texture + (rng.uniform(1, 4) * grain)[..., None]
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    return cv2.GaussianBlur(picture, (0, 0), 0.9) if rng.random() < 0.25 else picture


def write_dataset(
    root: str | Path,
    splits: dict[str, int] = SPLITS,
    seed: int = SEED,
    progress: Callable[[int, int], None] | None = None,
    none_share: float = COUNT_WEIGHTS[0],
) -> Path:
    """Draw a data set in VOC's layout (JPEGImages, Annotations, ImageSets/Main) unless it is there already.

    The list files are written last and name only finished images, so an interrupted call goes on
    where it stopped.
    """
    root = Path(root)
    names = {split: [f"{split}_{i:06d}" for i in range(count)] for split, count in splits.items()}
    lists = root / "ImageSets" / "Main"
    if all(
        (lists / f"{split}.txt").is_file() and (lists / f"{split}.txt").read_text().split() == names[split]
        for split in splits
    ):
        return root
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    offset = {split: 1_000_000 * i for i, split in enumerate(splits)}
    jobs = [
        (root, name, seed, offset[split] + i, none_share)
        for split in splits
        for i, name in enumerate(names[split])
    ]
    with drawing_pool() as pool:
        for done, _ in enumerate(pool.map(_write_scene, jobs, chunksize=16), 1):
            if progress:
                progress(done, len(jobs))
    for split in splits:
        partial = lists / f".{split}.{os.getpid()}"
        partial.write_text("\n".join(names[split]) + "\n")
        partial.replace(lists / f"{split}.txt")
    return root


@contextmanager
def drawing_pool() -> Iterator[ProcessPoolExecutor]:
    """A process for every core, each drawing on one thread. OpenCV's own threads do not survive a fork, so they are put away before."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
            yield pool
    finally:
        cv2.setNumThreads(threads)


def _write_scene(job: tuple[Path, str, int, int, float]) -> None:
    root, name, seed, index, none_share = job
    picture, annotation = root / "JPEGImages" / f"{name}.jpg", root / "Annotations" / f"{name}.xml"
    if annotation.is_file():
        return
    scene = draw_scene(seed, index, none_share=none_share)
    encoded = cv2.imencode(".jpg", scene.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
    for path, content in ((picture, encoded.tobytes()), (annotation, _annotation(name, scene))):
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_bytes(content)
        partial.replace(path)


def _annotation(name: str, scene: Scene) -> bytes:
    """VOC's XML; its boxes count from 1 and include both ends."""
    height, width = scene.image.shape[:2]
    tree = ElementTree.Element("annotation")
    ElementTree.SubElement(tree, "folder").text = "toy-scenes"
    ElementTree.SubElement(tree, "filename").text = f"{name}.jpg"
    size = ElementTree.SubElement(tree, "size")
    for key, value in (("width", width), ("height", height), ("depth", 3)):
        ElementTree.SubElement(size, key).text = str(value)
    for class_name, (x0, y0, x1, y1) in scene.objects:
        entry = ElementTree.SubElement(tree, "object")
        ElementTree.SubElement(entry, "name").text = class_name
        ElementTree.SubElement(entry, "difficult").text = "0"
        box = ElementTree.SubElement(entry, "bndbox")
        for key, value in (("xmin", x0 + 1), ("ymin", y0 + 1), ("xmax", x1), ("ymax", y1)):
            ElementTree.SubElement(box, key).text = str(value)
    ElementTree.indent(tree)
    return ElementTree.tostring(tree)


if __name__ == "__main__":
    import sys

    from tqdm import tqdm

    from ccd_core.paths import demo_root

    target = Path(sys.argv[1]) if len(sys.argv) > 1 else demo_root()
    with tqdm(total=sum(SPLITS.values()), desc="drawing toy scenes", unit="image", disable=None) as bar:
        write_dataset(target, progress=lambda done, total: bar.update(done - bar.n))
