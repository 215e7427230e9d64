"""A folder of one's own images, with class names in classes.txt and, for scoring only, labels.csv.

`labels.csv` has a header. Its first column is the file; then either a column `labels` with names separated by ";" or "|", or one
column a class with 0 or 1. With a column `split`, images marked val are kept out of training and scored; without it the labelled
images are scored and also trained on, without their labels.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np

from ccd_core.data.images import IMAGE_SUFFIXES
from ccd_core.data.types import Boxes, Dataset, GroundTruth, ImageList, Paths
from ccd_core.errors import UserError


def open_folder(spec: str, root: Path, classes: Path | None = None) -> Dataset:
    if not root.is_dir():
        raise UserError(f"There is no folder {root}.")
    names = read_classes(classes or root / "classes.txt")
    files = find_images(root)
    if not files:
        raise UserError(
            f"There are no images in {root} (looked for {', '.join(IMAGE_SUFFIXES)} in it and all folders below)."
        )
    labels, val = (
        _read_labels(root / "labels.csv", names, set(files))
        if (root / "labels.csv").is_file()
        else ({}, None)
    )
    held_out = val or set()
    splits = {"train": _image_list(root, [name for name in files if name not in held_out])}
    if labels:
        splits["val"] = _image_list(
            root, [name for name in files if name in (labels if val is None else held_out)]
        )

    def read(split: str) -> GroundTruth | None:
        known = tuple(name for name in splits[split].ids if name in labels)
        if not any(labels[name].any() for name in known):
            return None  # a table that is still to be filled in scores nothing
        return GroundTruth(known, np.stack([labels[name] for name in known]), Boxes.none(len(known)))

    return Dataset(spec, names, splits, read)


def read_classes(path: Path) -> tuple[str, ...]:
    """Class names, one a line; blank lines and lines that start with # do not count."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise UserError(
            f"There is no list of class names {path}; write one name a line into it, or give another file with --classes."
        ) from None
    except (UnicodeDecodeError, OSError):
        raise UserError(f"The class names in {path} cannot be read; save the file as UTF-8 text.") from None
    names = tuple(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))
    if not names:
        raise UserError(f"{path} has no class names; write one a line.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{path} names {', '.join(twice)} more than once.")
    return names


def find_images(root: Path) -> list[str]:
    """Paths relative to `root` of everything with an image's suffix, hidden files and folders left out, sorted.

    A folder with such a name is listed too, so that it is reported as unusable instead of silently ignored.
    """
    found = []
    for here, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        odd = [name for name in folders if Path(name).suffix.lower() in IMAGE_SUFFIXES]
        folders[:] = [name for name in folders if name not in odd]
        names = [
            name
            for name in [*files, *odd]
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES
        ]
        found += [(Path(here) / name).relative_to(root).as_posix() for name in names]
    return sorted(found)


def _image_list(root: Path, names: list[str]) -> ImageList:
    ids = tuple(names)
    return ImageList(ids, Paths(root, ids))


def _read_labels(
    path: Path, classes: tuple[str, ...], files: set[str]
) -> tuple[dict[str, np.ndarray], set[str] | None]:
    """Targets [C] of every labelled file, and the files marked val (None where there is no column split)."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (UnicodeDecodeError, csv.Error, OSError):
        raise UserError(f"{path} cannot be read; save it as CSV in UTF-8.") from None
    if not rows:
        raise UserError(f"{path} is empty; its first line must name the columns.")
    header = [name.strip() for name in rows[0]]
    columns = {name: place for place, name in enumerate(header) if place}
    unknown = [name for name in columns if name not in ("labels", "split") and name not in classes]
    if unknown or ("labels" not in columns and not set(columns) & set(classes)):
        raise UserError(
            f"{path}: {f'column {unknown[0]!r} is no class' if unknown else 'no column is a class'}; the classes are {', '.join(classes)}."
        )
    by_name: dict[str, list[str]] = {}
    for name in files:
        by_name.setdefault(Path(name).name, []).append(name)
    labels, val = {}, set()
    for number, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        where = f"{path}, line {number}"
        cells = dict(zip(header[1:], [cell.strip() for cell in row[1:]], strict=False))
        name = _file_named(row[0].strip(), files, by_name, where)
        labels[name] = _targets(cells, classes, where)
        if cells.get("split", "train") not in ("train", "val"):
            raise UserError(f"{where}: split must be train or val, not {cells['split']!r}.")
        if cells.get("split") == "val":
            val.add(name)
    return labels, val if "split" in columns else None


def _file_named(text: str, files: set[str], by_name: dict[str, list[str]], where: str) -> str:
    name = text.replace("\\", "/").removeprefix("./")
    if name in files:
        return name
    if len(by_name.get(name, [])) == 1:
        return by_name[name][0]
    raise UserError(f"{where}: there is no image {text!r} in the folder.")


def _targets(cells: dict[str, str], classes: tuple[str, ...], where: str) -> np.ndarray:
    targets = np.zeros(len(classes), np.float32)
    for name in (part.strip() for part in cells.get("labels", "").replace("|", ";").split(";")):
        if name and name not in classes:
            raise UserError(f"{where}: {name!r} is no class; the classes are {', '.join(classes)}.")
        if name:
            targets[classes.index(name)] = 1
    for index, name in enumerate(classes):
        if cells.get(name, "") not in ("", "0", "1"):
            raise UserError(f"{where}: the value of {name} must be 0 or 1, not {cells[name]!r}.")
        if cells.get(name) == "1":
            targets[index] = 1
    return targets
