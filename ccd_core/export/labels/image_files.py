"""Names and files of images in exports whose images lie beside the labels."""

from __future__ import annotations

import csv
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ccd_core.data.listing.names import as_text
from ccd_core.export.formats import Images
from ccd_core.export.labels.labelled_images import Image

PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
LONGEST = 100  # characters of a name
LIST = "images.csv"


class PlainNames:
    """Names without folders, blanks and odd characters, as all tools of a layout take them. None repeats."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def name(self, image: Image) -> tuple[str, str]:
        """(name without suffix, suffix with its point) of an image; its own where that is plain and free."""
        whole = PurePosixPath(image.place)
        suffix = whole.suffix.lower() if PLAIN.fullmatch(whole.suffix[1:]) else ""
        own = str(whole.with_suffix(""))
        stem = re.sub(r"[^A-Za-z0-9._-]+", "_", as_text(own)).strip("._-")[-LONGEST:] or "image"
        candidate = stem
        number = 1
        while candidate.lower() in self._taken:  # some disks do not tell capital letters from small ones
            number += 1
            candidate = f"{stem}-{number}"
        self._taken.add(candidate.lower())
        return candidate, suffix


def place_image(image: Image, target: Path, how: Images) -> None:
    """Put an image's file at `target`: a link to it, a copy of it, or nothing."""
    if how == "none":
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if how == "copy":
        shutil.copyfile(image.path, target)
    else:
        os.symlink(os.path.abspath(image.path), target)


def write_list(path: Path, rows: Iterable[tuple[str, Image]]) -> None:
    """A table of the name in the export, the run's name of the image, its split and its size."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["exported_as", "image", "split", "width", "height"])
        for name, image in rows:
            table.writerow([name, image.id, image.split, image.width, image.height])
