"""A folder of the user's own images, with class names in classes.txt and, for scoring only, labels.csv.

`labels.csv` has a header, and the file name in its first column. The labels are either in a column `labels`,
with names separated by ";" or "|", or in one column for each class, with 0 or 1. A column `split` marks
images as train or val. Images marked val are scored and never trained on. Without that column, the labelled
images are scored and also trained on, but the training does not see their labels.
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
    """Open the images in `root`. `classes` is a file of class names other than classes.txt in that folder.

    Raises UserError if there are no images, no class names, or labels that cannot be understood.
    """
    if not root.is_dir():
        raise UserError(f"There is no folder {root}.")
    names = read_classes(classes or root / "classes.txt")
    files = find_images(root)
    if not files:
        suffixes = ", ".join(IMAGE_SUFFIXES)
        raise UserError(
            f"There are no images in {root} (looked for {suffixes} in it and in all folders below)."
        )
    labels: dict[str, np.ndarray] = {}
    val: set[str] | None = None
    if (root / "labels.csv").is_file():
        labels, val = _read_labels(root / "labels.csv", names, set(files))
    held_out = val or set()
    scored = set(labels) if val is None else held_out
    splits = {"train": _image_list(root, [name for name in files if name not in held_out])}
    if labels:
        splits["val"] = _image_list(root, [name for name in files if name in scored])

    def read(split: str) -> GroundTruth | None:
        labelled = tuple(name for name in splits[split].ids if name in labels)
        if not any(labels[name].any() for name in labelled):
            return None  # a table without any positive label has not been filled in yet
        targets = np.stack([labels[name] for name in labelled])
        return GroundTruth(labelled, targets, Boxes.none(len(labelled)))

    return Dataset(spec, names, splits, read)


def read_classes(path: Path) -> tuple[str, ...]:
    """Read class names, one a line. Blank lines and lines that start with # are ignored.

    Raises UserError if the file is missing, is not UTF-8 text, has no names or has a name twice.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise UserError(
            f"There is no list of class names {path}; write one name a line into it, or give another file "
            "with "
            "--classes."
        ) from None
    except (UnicodeDecodeError, OSError):
        raise UserError(f"The class names in {path} cannot be read; save the file as UTF-8 text.") from None
    names = tuple(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))
    if not names:
        raise UserError(f"{path} has no class names; write one a line.")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UserError(f"{path} names {', '.join(repeated)} more than once.")
    return names


def find_images(root: Path) -> list[str]:
    """Sorted paths, relative to `root`, of everything in it that has an image's suffix and is not hidden.

    A folder whose name has such a suffix is listed too. It is then reported as unusable and not silently
    ignored.
    """
    found = []
    for here, folders, files in os.walk(root):
        visible = [name for name in folders if not name.startswith(".")]
        folders[:] = [name for name in visible if not _has_image_suffix(name)]  # os.walk goes into these only
        names = [name for name in [*files, *visible] if not name.startswith(".") and _has_image_suffix(name)]
        found += [(Path(here) / name).relative_to(root).as_posix() for name in names]
    return sorted(found)


def _has_image_suffix(name: str) -> bool:
    return Path(name).suffix.lower() in IMAGE_SUFFIXES


def _image_list(root: Path, names: list[str]) -> ImageList:
    ids = tuple(names)
    return ImageList(ids, Paths(root, ids))


def _read_labels(
    path: Path, classes: tuple[str, ...], files: set[str]
) -> tuple[dict[str, np.ndarray], set[str] | None]:
    """Targets float32 [C] of every labelled file, and the files marked val (None if no column says)."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (UnicodeDecodeError, csv.Error, OSError):
        raise UserError(f"{path} cannot be read; save it as CSV in UTF-8.") from None
    if not rows:
        raise UserError(f"{path} is empty; its first line must name the columns.")
    header = [name.strip() for name in rows[0]]
    columns = header[1:]
    unknown = [name for name in columns if name not in ("labels", "split") and name not in classes]
    if unknown:
        raise UserError(f"{path}: column {unknown[0]!r} is no class; the classes are {', '.join(classes)}.")
    if "labels" not in columns and not set(columns) & set(classes):
        raise UserError(f"{path}: no column is a class; the classes are {', '.join(classes)}.")
    by_name: dict[str, list[str]] = {}
    for name in files:
        by_name.setdefault(Path(name).name, []).append(name)
    labels: dict[str, np.ndarray] = {}
    val: set[str] = set()
    for number, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        where = f"{path}, line {number}"
        cells = dict(zip(columns, [cell.strip() for cell in row[1:]], strict=False))
        name = _file_named(row[0].strip(), files, by_name, where)
        labels[name] = _targets(cells, classes, where)
        if cells.get("split", "train") not in ("train", "val"):
            raise UserError(f"{where}: split must be train or val, not {cells['split']!r}.")
        if cells.get("split") == "val":
            val.add(name)
    return labels, val if "split" in columns else None


def _file_named(text: str, files: set[str], by_name: dict[str, list[str]], where: str) -> str:
    """The file that a cell names, by its path or by its bare name if only one file has that name."""
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
