"""Toy scenes: drawn multi-label images with known boxes, written as a data set in VOC's layout.

    python -m ccd_core.toy.scenes [DIR]      # draws the demo's data set, unless it is there

A scene has up to five classes. As in real data, some classes are frequent and others rare, places favour some
classes, some classes come together, and a class may occur twice. There are also things that belong to no
class. A scene depends on the seed and its index only, and can be drawn at any size.
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

from ccd_core.toy.backgrounds import add_camera_effects, draw_background
from ccd_core.toy.shapes import CLUTTER, DRAWINGS
from ccd_core.toy.strokes import extent, overlap, paint, placement

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
# The first class of a scene often brings its companion.
COMPANIONS = {
    "chair": "lamp",
    "lamp": "chair",
    "cup": "chair",
    "house": "tree",
    "sailboat": "fish",
    "snowman": "tree",
    "bicycle": "car",
}
COUNT_WEIGHTS = (0.05, 0.27, 0.27, 0.22, 0.12, 0.07)  # shares of scenes with 0 to 5 classes
SHAPES = ((640, 480), (640, 480), (640, 427), (480, 640), (600, 450))  # (width, height) in pixels
FLYING = {"balloon", "kite"}  # all other objects mostly stand below the horizon
SIZE_RANGE = (0.10, 0.45)  # of an object's side, as a fraction of the image's shorter side
FIRST_OBJECT_AT_LEAST = 0.28  # the first object is large, as in a photograph of something
SPLITS = {"train": 1200, "val": 400}
SEED = 2025


@dataclass(frozen=True)
class Scene:
    """A drawn image and what is in it."""

    image: np.ndarray  # [H, W, 3] uint8 RGB
    place: str
    objects: list[tuple[str, tuple[int, int, int, int]]]  # (class name, half-open box (x0, y0, x1, y1))


def draw_scene(seed: int, index: int, scale: float = 1.0, none_share: float = COUNT_WEIGHTS[0]) -> Scene:
    """Draw scene `index` of the world of `seed`.

    scale: 1 gives about 640x480 pixels; a smaller scale gives the same scene in fewer pixels. none_share: the
    chance, from 0 to 1, that a scene has no class.
    """
    rng = np.random.default_rng([seed, index])
    width, height = SHAPES[rng.integers(len(SHAPES))]
    place = str(rng.choice(list(PLACES)))
    wanted = _choose_classes(rng, place, none_share)
    horizon = rng.uniform(0.35, 0.65) * height
    canvas = draw_background(rng, place, width, height, horizon, scale)
    for _ in range(rng.integers(0, 7)):
        side = rng.uniform(0.05, 0.22) * min(width, height)
        strokes = CLUTTER[rng.integers(len(CLUTTER))](rng)
        centre = rng.uniform(0.05, 0.95, 2) * (width, height)
        paint(canvas, strokes, placement(rng, side, *centre), scale)
    placed = _place_objects(rng, wanted, width, height, horizon)
    placed.sort(key=lambda item: item[3][3])  # lower objects are nearer and are painted later
    objects = []
    for name, strokes, transform, _ in placed:
        paint(canvas, strokes, transform, scale)
        objects.append((name, extent(strokes, transform * scale, canvas.shape[1], canvas.shape[0])))
    return Scene(add_camera_effects(rng, canvas), place, objects)


def _choose_classes(rng, place: str, none_share: float) -> list[str]:
    shares = COUNT_WEIGHTS
    if none_share != COUNT_WEIGHTS[0]:
        others = np.array(COUNT_WEIGHTS[1:])
        shares = (none_share, *(others * (1 - none_share) / others.sum()))
    count = int(rng.choice(len(COUNT_WEIGHTS), p=shares))
    if count == 0:
        return []
    weights = np.array([FREQUENCY[name] * PLACES[place].get(name, 1) for name in CLASSES])
    chosen = list(rng.choice(CLASSES, count, replace=False, p=weights / weights.sum()))
    companion = COMPANIONS.get(chosen[0])
    if companion and count > 1 and companion not in chosen and rng.random() < 0.3:
        chosen[1] = companion
    if rng.random() < 0.18:
        chosen.append(chosen[rng.integers(len(chosen))])
    return [str(name) for name in chosen]


def _place_objects(rng, wanted: list[str], width: int, height: int, horizon: float) -> list:
    """Give every wanted object a size, a rotation and a position with little overlap.

    Returns (name, strokes, transform, box) of each. An object is left out if there is no room for it.
    """
    placed: list[tuple] = []
    for rank, name in enumerate(wanted):
        strokes = DRAWINGS[name](rng)
        lowest = 0.04 if name in FLYING or rng.random() < 0.25 else horizon / height
        for attempt in range(30):
            low = FIRST_OBJECT_AT_LEAST if rank == 0 else SIZE_RANGE[0]
            size = rng.triangular(low, SIZE_RANGE[1], SIZE_RANGE[1])
            side = size * min(width, height) * (1 - 0.02 * attempt)
            centre = rng.uniform((0.04, lowest), 0.96) * (width, height)
            centre = np.clip(centre, 0.5 * side, np.array([width, height]) - 0.5 * side)
            transform = placement(rng, side, *centre)
            box = extent(strokes, transform, width, height)
            if all(overlap(box, other) < 0.25 for *_, other in placed):
                placed.append((name, strokes, transform, box))
                break
    return placed


def write_dataset(
    root: str | Path,
    splits: dict[str, int] = SPLITS,
    seed: int = SEED,
    progress: Callable[[int, int], None] | None = None,
    none_share: float = COUNT_WEIGHTS[0],
) -> Path:
    """Draw a data set in VOC's layout in the folder `root`, unless it is there already. Returns `root`.

    splits: {split: number of images}. progress(done, total) is called after every image. The lists of images
    are written last, so an interrupted call can be repeated and goes on where it stopped.
    """
    root = Path(root)
    names = {split: [f"{split}_{i:06d}" for i in range(count)] for split, count in splits.items()}
    lists = {split: root / "ImageSets" / "Main" / f"{split}.txt" for split in splits}
    if all(path.is_file() and path.read_text().split() == names[split] for split, path in lists.items()):
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
    for split, path in lists.items():
        _write(path, ("\n".join(names[split]) + "\n").encode())
    return root


@contextmanager
def drawing_pool() -> Iterator[ProcessPoolExecutor]:
    """Processes that draw, one for every core and each with one thread.

    OpenCV's own threads do not survive a fork, so they are ended before.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
            yield pool
    finally:
        cv2.setNumThreads(threads)


def _write_scene(job: tuple[Path, str, int, int, float]) -> None:
    root, name, seed, index, none_share = job
    annotation = root / "Annotations" / f"{name}.xml"
    if annotation.is_file():
        return
    scene = draw_scene(seed, index, none_share=none_share)
    encoded = cv2.imencode(".jpg", scene.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
    _write(root / "JPEGImages" / f"{name}.jpg", encoded.tobytes())
    _write(annotation, _annotation(name, scene))


def _write(path: Path, content: bytes) -> None:
    """Write a file completely or not at all. `write_atomic` would also wait for the disk, which is slow."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)


def _annotation(name: str, scene: Scene) -> bytes:
    """The annotation as XML in VOC's format, whose boxes count pixels from 1 and include the last one."""
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
