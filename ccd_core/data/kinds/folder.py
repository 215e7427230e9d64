"""A folder of the user's own images, with class names in classes.txt and, for scoring only, labels.csv.

`labels.csv` has a header, and a column that names the file. The labels are in a column `labels`, or in one
column for each class, with 0 or 1. A column `split` marks images as train or val. Images marked val are
scored and never trained on. Without that column, the labelled images are scored and also trained on, but the
training does not see their labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ccd_core.data.decoding.formats import IMAGE_SUFFIXES
from ccd_core.data.listing.class_names import read_class_list, read_classes
from ccd_core.data.listing.find import find_files, find_images
from ccd_core.data.listing.image_finder import ImageFinder
from ccd_core.data.listing.label_table import LabelTable, read_label_table
from ccd_core.data.listing.names import as_text, shown
from ccd_core.data.types import Boxes, Dataset, GroundTruth, ImageList, Paths
from ccd_core.errors import UserError

__all__ = ["find_images", "open_folder", "read_classes"]


def open_folder(spec: str, root: Path, classes: Path | None = None) -> Dataset:
    """Open the images in `root`. `classes` is a file of class names other than classes.txt in that folder.

    Raises UserError if there are no images, no class names, or labels that cannot be understood.
    """
    if not root.is_dir():
        raise UserError(f"There is no folder {shown(root)}.")
    try:
        in_folder = sorted(path.name for path in root.iterdir())
    except PermissionError:
        raise UserError(f"{shown(root)} may not be read by this user; change its permissions.") from None
    names, notes = read_class_list(classes or root / _named(in_folder, "classes.txt"))
    found = find_files(root)
    notes += found.notes()
    if not found.images:
        suffixes = ", ".join(IMAGE_SUFFIXES)
        raise UserError(
            f"There are no images in {shown(root)} (looked for {suffixes} in it and in all folders below)."
            + "".join(f" {note}" for note in found.notes())
        )
    images = list_of(root, found.images)
    table = LabelTable()
    labels = root / _named(in_folder, "labels.csv")
    if labels.is_file():
        table = read_label_table(labels, names, ImageFinder(images.ids))
        notes += table.notes
    return labelled_dataset(spec, names, images, table, notes, found.left_out)


def labelled_dataset(
    spec: str,
    classes: tuple[str, ...],
    images: ImageList,
    table: LabelTable,
    notes: Sequence[str] = (),
    left_out: dict[str, str] | None = None,
) -> Dataset:
    """A data set of `images` whose labels are those of `table`, for scoring only.

    Raises UserError if no image is left to train on.
    """
    notes = [*notes]
    held_out = table.val or set()
    scored = set(table.targets) if table.val is None else held_out
    splits = {"train": images.without(held_out) if held_out else images}
    if not len(splits["train"]):
        raise UserError(
            f"The labels of {spec} mark all {len(images):,} images as val, so none is left to train on; mark "
            "some as train."
        )
    if scored:
        splits["val"] = images.without([name for name in images.ids if name not in scored])
    elif table.val is not None:
        notes.append("The column split marks no image as val, so no image is held out to be scored.")

    def read(split: str) -> GroundTruth | None:
        labelled = tuple(name for name in splits[split].ids if name in table.targets)
        if not any(table.targets[name].any() for name in labelled):
            return None  # a table without any positive label has not been filled in yet
        targets = np.stack([table.targets[name] for name in labelled])
        return GroundTruth(labelled, targets, Boxes.none(len(labelled)))

    return Dataset(spec, classes, splits, read, tuple(notes), left_out or {})


def list_of(root: Path, names: Sequence[str]) -> ImageList:
    """The images in the files `names` below `root`. Their ids are the names as text."""
    ids = tuple(as_text(name) for name in names)
    return ImageList(ids, Paths(root, ids if list(ids) == list(names) else tuple(names)))


def _named(files: list[str], name: str) -> str:
    """The name of the file in any case, such as Labels.csv, if there is none in small letters."""
    if name in files:
        return name
    return next((file for file in files if file.lower() == name), name)
