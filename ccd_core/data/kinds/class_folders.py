"""Images in one folder for each class: ROOT/dog/001.jpg, or ROOT/train/dog/001.jpg and ROOT/val/dog/002.jpg.

Linked images are understood as one image with several classes: if dog/001.jpg and cat/001.jpg are one file,
it shows both.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ccd_core.data.kinds.folder import list_of
from ccd_core.data.kinds.layouts import WORDS, dataset_of
from ccd_core.data.listing.find import TWICE, FoundFiles, find_files
from ccd_core.data.listing.names import as_name, as_text, count_of, shown, some
from ccd_core.data.listing.text_files import clean
from ccd_core.data.types import Boxes, Dataset, GroundTruth
from ccd_core.errors import UserError


def open_class_folders(spec: str, root: Path) -> Dataset:
    """Open folders of classes. Raises UserError if there are none."""
    if not root.is_dir():
        raise UserError(f"There is no folder {shown(root)}.")
    found = find_files(root)
    loose: list[str] = []
    by_split = _by_split(root, found, loose)
    links = _links_to(root, found)
    labels = {
        name: {_class_of(path, depth) for path in (name, *links.get(name, ()))}
        for names, depth in by_split.values()
        for name in names
    }
    classes = tuple(sorted(set().union(*labels.values())))
    if not classes:
        raise UserError(
            f"{shown(root)} has no folders with images, so there are no classes; an imagefolder has a folder "
            "for each class. For images without classes write folder:DIR."
        )
    splits = {split: list_of(root, names) for split, (names, _) in by_split.items()}

    def read(split: str) -> GroundTruth:
        names = by_split[split][0]
        targets = [[name in labels[image] for name in classes] for image in names]
        return GroundTruth(splits[split].ids, np.array(targets, np.float32), Boxes.none(len(names)))

    counts = ", ".join(f"{count_of(len(images), 'image')} of {split}" for split, images in splits.items())
    notes = [
        f"Taken for folders of classes: {counts}, {count_of(len(classes), 'class', 'classes')} "
        f"({some(classes)})."
    ]
    if loose:
        notes.append(f"Left out: {count_of(len(loose), 'image')} in no folder of a class ({some(loose)}).")
    reason = "its folder is no folder of a class"
    left_out = {name: why for name, why in found.left_out.items() if why != TWICE}
    notes += FoundFiles(left_out=left_out).notes()
    left_out |= {as_text(name): reason for name in loose}
    return dataset_of(spec, classes, splits, read, notes, left_out)


def _by_split(root: Path, found: FoundFiles, loose: list[str]) -> dict[str, tuple[list[str], int]]:
    """{split: (names of its images, place of the class in their paths)}.

    The images of no class are added to `loose`.
    """
    tops = {name.split("/")[0].lower(): name.split("/")[0] for name in found.images if "/" in name}
    folders = {}
    for split, words in WORDS.items():
        word = next((word for word in words if word in tops), None)
        if word is not None:
            folders[split] = tops[word]
    depth = 1 if "train" in folders else 0
    wanted = folders if "train" in folders else {"train": ""}
    splits: dict[str, tuple[list[str], int]] = {}
    for split, folder in wanted.items():
        names = [name for name in found.images if not folder or name.startswith(f"{folder}/")]
        splits[split] = ([name for name in names if name.count("/") > depth], depth)
    taken = {name for names, _ in splits.values() for name in names}
    loose += [name for name in found.images if name not in taken]
    return {split: entry for split, entry in splits.items() if entry[0]}


def _class_of(name: str, depth: int) -> str:
    return clean(as_text(name.split("/")[depth]))


def _links_to(root: Path, found: FoundFiles) -> dict[str, list[str]]:
    """{image: other names of it}, of links to images that the data set has already."""
    links = [as_name(name) for name, why in found.left_out.items() if why == TWICE]
    if not links:
        return {}
    image_at = {os.path.realpath(root / name): name for name in found.images}
    result: dict[str, list[str]] = {}
    for link in links:
        result.setdefault(image_at[os.path.realpath(root / link)], []).append(link)
    return result
