"""Data sets in the layout of YOLO: `yolo:ROOT`, where ROOT holds data.yaml, or a list of classes.

Each image has a text file with a line for each object. The line has the number of its class, and then a box
(centre, width, height) or an outline (points), in fractions of the image's sides. The text files lie in a
folder `labels` in place of `images`, or beside the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ccd_core.data.decoding.images import image_size
from ccd_core.data.kinds.layouts import WORDS, dataset_of, first_folder
from ccd_core.data.listing.boxes import numbers, pixel_box
from ccd_core.data.listing.class_names import names_in, read_class_list
from ccd_core.data.listing.find import find_images
from ccd_core.data.listing.names import as_text, count_of, shown, some
from ccd_core.data.listing.text_files import clean, read_text
from ccd_core.data.truth_cache import cached_truth
from ccd_core.data.types import Box, Boxes, Dataset, GroundTruth, ImageList, Paths
from ccd_core.errors import ImageError, UserError
from ccd_core.yaml_files import read_yaml

SETTINGS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
CLASS_FILES = ("classes.txt", "obj.names", "labels.txt")


def open_yolo(spec: str, root: Path) -> Dataset:
    """Open a data set in YOLO's layout. `root` may also be its YAML file.

    Raises UserError if there is none.
    """
    settings_file = _settings_file(root)
    base = root if root.is_dir() else root.parent
    settings: dict[str, Any] = {}
    if settings_file is not None:
        value = read_yaml(settings_file, "The file of settings")
        if not isinstance(value, dict):
            raise UserError(f"{shown(settings_file)} holds no settings of YOLO, such as names and train.")
        settings = value
    classes, notes = _classes(base, settings, settings_file)
    names = _images(base, settings, settings_file)
    splits = {
        split: ImageList(tuple(map(as_text, found)), Paths(base, tuple(found)))
        for split, found in names.items()
    }
    files = {split: [_label_file(base / name) for name in found] for split, found in names.items()}
    if not any(path.is_file() for paths in files.values() for path in paths):
        notes.append("No image has a file of labels, so nothing can be scored.")

    def read(split: str) -> GroundTruth:
        images = splits[split]
        how = f"yolo 1 {classes}"
        return cached_truth(files[split], how, lambda: _read_labels(images, files[split], classes))

    counts = ", ".join(f"{count_of(len(images), 'image')} of {split}" for split, images in splits.items())
    taken_for = (
        f"Taken for YOLO's layout in {shown(base)}: {counts}, {count_of(len(classes), 'class', 'classes')} "
        f"({some(classes)})."
    )
    return dataset_of(spec, classes, splits, read, [taken_for, *notes])


def _settings_file(root: Path) -> Path | None:
    if root.is_file():
        return root
    if not root.is_dir():
        raise UserError(f"There is no folder {shown(root)}; write yolo:ROOT.")
    named = [root / name for name in SETTINGS if (root / name).is_file()]
    others = sorted([*root.glob("*.yaml"), *root.glob("*.yml")])
    if named or len(others) == 1:
        return (named or others)[0]
    return None


def _classes(base: Path, settings: dict[str, Any], path: Path | None) -> tuple[tuple[str, ...], list[str]]:
    if "names" in settings:
        names = names_in(settings["names"])
        names = [clean(name) for name in names] if names else []
        if not names or len(set(names)) < len(names) or not all(names):
            raise UserError(f"The names in {shown(path or base)} are no list of different class names.")
        return tuple(names), []
    for name in CLASS_FILES:
        if (base / name).is_file():
            return read_class_list(base / name)
    raise UserError(
        f"{shown(base)} has no classes: neither data.yaml with names nor {' or '.join(CLASS_FILES)} is there."
    )


def _images(base: Path, settings: dict[str, Any], path: Path | None) -> dict[str, list[str]]:
    """Names of the images of each split, relative to `base`."""
    found: dict[str, list[str]] = {}
    for split, words in WORDS.items():
        given = next((settings[word] for word in words if settings.get(word)), None)
        if given is not None:
            places = given if isinstance(given, list) else [given]
            names = [name for place in places for name in _images_at(base, settings, str(place), path)]
            found[split] = list(dict.fromkeys(names))
            continue
        places = [f"images/{word}" for word in words] + [f"{word}/images" for word in words] + list(words)
        folder = first_folder(base, places)
        if folder is not None:
            found[split] = _images_below(base, folder)
    if not found.get("train"):
        folder = first_folder(base, ("images", "obj_train_data")) or base
        found = {"train": _images_below(base, folder)}
    if not found["train"]:
        raise UserError(f"There are no images in {shown(base)}.")
    return {split: names for split, names in found.items() if names}


def _images_at(base: Path, settings: dict[str, Any], place: str, path: Path | None) -> list[str]:
    """The images in a folder or list that data.yaml names, from its own `path`, or from its folder."""
    place = place.replace("\\", "/")
    inside = "/".join(part for part in place.split("/") if part not in (".", ".."))
    root = str(settings.get("path") or "")
    candidates = (base / root / place, base / place, base / inside, base / Path(place).name)
    target = next((one for one in candidates if one.exists()), None)
    if target is None:
        raise UserError(f"{shown(path or base)} names {shown(place)!r}, which is not in {shown(base)}.")
    if target.is_dir():
        return _images_below(base, target)
    lines = [line.strip() for line in read_text(target)[0].split("\n") if line.strip()]
    places = [target.parent / line if (target.parent / line).exists() else base / line for line in lines]
    return [_relative(base, one) for one in places]


def _images_below(base: Path, folder: Path) -> list[str]:
    return [_relative(base, folder / name) for name in find_images(folder)]


def _relative(base: Path, path: Path) -> str:
    """`path` from `base` if it lies in it, or else the whole path."""
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path.absolute())


def _label_file(image: Path) -> Path:
    """Where an image's labels are: `labels` in place of the last folder `images`, or beside the image."""
    parts = list(image.with_suffix(".txt").parts)
    places = [place for place, part in enumerate(parts[:-1]) if part == "images"]
    if places:
        parts[places[-1]] = "labels"
        path = Path(*parts)
        if path.is_file() or not image.with_suffix(".txt").is_file():
            return path
    return image.with_suffix(".txt")


def _read_labels(images: ImageList, files: Sequence[Path], classes: tuple[str, ...]) -> GroundTruth:
    """The labels of all images. An image without a file of labels shows nothing."""
    targets = np.zeros((len(images), len(classes)), np.float32)
    boxes: list[list[tuple[int, Box]]] = []
    for row, path in enumerate(files):
        found = _objects(path, len(classes)) if path.is_file() else []
        targets[row, [number for number, _ in found]] = 1
        boxes.append(_in_pixels(images.paths[row], found) if found else [])
    return GroundTruth(images.ids, targets, Boxes.of(boxes))


def _objects(path: Path, classes: int) -> list[tuple[int, tuple[float, ...]]]:
    """(class index, corners x0, y0, x1, y1 as fractions) of each line."""
    found: list[tuple[int, tuple[float, ...]]] = []
    for place, line in enumerate(read_text(path)[0].split("\n"), 1):
        if not line.strip():
            continue
        values = numbers(line.replace(",", " ").split())
        where = f"{shown(path)}, line {place}"
        if values is None or not (len(values) in (5, 6) or (len(values) > 6 and len(values) % 2)):
            raise UserError(f"{where}: {shown(line.strip())!r} is no class number with a box or an outline.")
        number = int(values[0])
        if number != values[0] or not 0 <= number < classes:
            raise UserError(f"{where}: the class number {values[0]:g} is none of 0 to {classes - 1}.")
        if len(values) > 6:
            across, down = values[1::2], values[2::2]
            found.append((number, (min(across), min(down), max(across), max(down))))
        else:
            x, y, width, height = values[1:5]
            found.append((number, (x - width / 2, y - height / 2, x + width / 2, y + height / 2)))
    return found


def _in_pixels(image: Path, found: list[tuple[int, tuple[float, ...]]]) -> list[tuple[int, Box]]:
    try:
        width, height = image_size(image)
    except ImageError:
        return []  # the image is reported where it is decoded
    objects = []
    for number, (x0, y0, x1, y1) in found:
        # Rounding takes away what the fractions of a text file are off by.
        corners = [round(x0 * width, 3), round(y0 * height, 3), round(x1 * width, 3), round(y1 * height, 3)]
        box = pixel_box(corners, width, height)
        if box is not None:
            objects.append((number, box))
    return objects
