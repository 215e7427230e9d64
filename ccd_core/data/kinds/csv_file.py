"""A table of image files anywhere on the disk, with their labels: `csv:FILE`.

The table is read as labels.csv of a folder is. Its images are those that it names, by absolute paths or by
paths from the table's own folder. The classes are those of classes.txt beside the table or of a file that the
user names; without one, they are those that the table itself names.
"""

from __future__ import annotations

import os
from pathlib import Path

from ccd_core.data.kinds.folder import labelled_dataset
from ccd_core.data.listing.class_names import read_class_list
from ccd_core.data.listing.find import find_images
from ccd_core.data.listing.image_finder import ImageFinder
from ccd_core.data.listing.label_table import classes_in, read_label_table
from ccd_core.data.listing.names import as_name, as_text, count_of, shown, some
from ccd_core.data.types import Dataset, ImageList
from ccd_core.errors import UserError


def open_csv(spec: str, path: Path, classes: Path | None = None) -> Dataset:
    """Open a table of images. Raises UserError if it cannot be understood or names no image that is there."""
    if not path.is_file():
        raise UserError(f"There is no table {shown(path)}; write csv:FILE.")
    files = FileFinder(path.parent)
    list_of_classes = classes or path.parent / "classes.txt"
    if classes is not None or list_of_classes.is_file():
        names, notes = read_class_list(list_of_classes)
        source = shown(list_of_classes)
    else:
        names = classes_in(path, lambda cell: isinstance(files(cell), str))
        notes = []
        source = "the table"
    table = read_label_table(path, names, files)
    ids = tuple(sorted(table.targets))
    paths = tuple(files.path(name) for name in ids)
    taken_for = (
        f"Taken for a table of images: {count_of(len(ids), 'image')} of {shown(path)}, with "
        f"{count_of(len(names), 'class', 'classes')} of {source} ({some(names)})."
    )
    return labelled_dataset(spec, names, ImageList(ids, paths), table, [taken_for, *notes, *table.notes])


class FileFinder:
    """Finds files by paths, absolute or from `folder`, and else by name among the images in `folder`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._by_name: ImageFinder | None = None

    def __call__(self, cell: str) -> str | list[str] | None:
        """The image's path as text, from `folder` if it lies there; None or several if none is certain."""
        for form in dict.fromkeys((cell, cell.replace("\\", "/"), as_name(cell))):
            if form and "\0" not in form and os.path.isfile(self.folder / Path(form).expanduser()):
                place = os.path.normpath(self.folder / Path(form).expanduser())
                inside = os.path.relpath(place, os.path.normpath(self.folder))
                return as_text(place if inside.startswith("..") else inside)
        if self._by_name is None:
            self._by_name = ImageFinder(map(as_text, find_images(self.folder)))
        return self._by_name(cell)

    def path(self, image: str) -> Path:
        """The file of an image that was found."""
        return self.folder / as_name(image)
