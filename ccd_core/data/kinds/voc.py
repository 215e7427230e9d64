"""PASCAL VOC 2007 and 2012 in the official layout, and any data set written in the same layout.

A class is positive in an image if at least one of its objects is not marked difficult. A class with difficult
objects only counts as absent, as in the field's benchmark code (Cole et al., "Multi-Label Learning from
Single Positive Labels", CVPR 2021): that code reads the official per-class lists, which mark such a class
with 0, and takes only 1 as positive. Difficult objects have no box here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from ccd_core.data.decoding.formats import IMAGE_SUFFIXES, suffix_of
from ccd_core.data.kinds.voc_file import read_objects
from ccd_core.data.listing.image_finder import ImageFinder
from ccd_core.data.listing.names import shown
from ccd_core.data.listing.text_files import clean, read_text
from ccd_core.data.sources import archives_in_words, fetch_command, find_base
from ccd_core.data.truth_cache import cached_truth
from ccd_core.data.types import Box, Boxes, Dataset, GroundTruth, ImageList, Paths
from ccd_core.errors import UserError

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "dining table",
    "dog", "horse", "motorbike", "person", "potted plant", "sheep", "sofa", "train", "tv monitor",
)  # fmt: skip
LISTS = {2007: {"train": "trainval", "val": "test"}, 2012: {"train": "train", "val": "val"}}


def open_voc(spec: str, root: Path, year: int) -> Dataset:
    """Open VOC 2007 (trainval and test, 5,011 / 4,952 images) or 2012 (train and val, 5,717 / 5,823 images).

    Raises UserError if it is not in `root`.
    """
    base = find_base(f"voc{year}", root, ("ImageSets/Main",))
    if base is None:
        raise UserError(
            f"There is no VOC {year} in {root}: unpack {archives_in_words(f'voc{year}')} so that "
            f"{root}/VOCdevkit/VOC{year}/ImageSets/Main exists; {fetch_command(f'voc{year}', root)} does it."
        )
    return voc_dataset(spec, base, LISTS[year], CLASSES)


def voc_dataset(spec: str, base: Path, lists: dict[str, str], classes: tuple[str, ...]) -> Dataset:
    """Open a data set in VOC's layout. `lists` has the name of the list file of each split, without .txt.

    There is no split val if its list is missing. Raises UserError if the list of train or the images are
    missing.
    """
    splits = {}
    for split, name in lists.items():
        path = base / "ImageSets" / "Main" / f"{name}.txt"
        if path.is_file():
            splits[split] = _image_list(base, path)
        elif split == "train":
            raise UserError(
                f"The list of training images {path} is missing; VOC's layout has JPEGImages, Annotations "
                "and ImageSets/Main."
            )
    if not (base / "JPEGImages").is_dir():
        raise UserError(f"The folder of images {base / 'JPEGImages'} is missing.")

    def read(split: str) -> GroundTruth:
        ids = splits[split].ids
        files = Paths(base / "Annotations", ids, ".xml")
        return cached_truth(files, f"voc 2 {classes}", lambda: read_annotations(files, ids, classes))

    return Dataset(spec, tuple(classes), splits, read)


def _image_list(base: Path, path: Path) -> ImageList:
    return images_named(base / "JPEGImages", listed(path, base / "JPEGImages"))


def images_named(folder: Path, ids: tuple[str, ...]) -> ImageList:
    """The images of VOC's names, which have no suffix. Most files are .jpg; others may be there instead."""
    there = set(os.listdir(folder)) if folder.is_dir() else set()
    if all(f"{name}.jpg" in there for name in ids):
        return ImageList(ids, Paths(folder, ids, ".jpg"))
    finder = ImageFinder(name for name in there if suffix_of(name) in IMAGE_SUFFIXES)
    files = [finder(name) for name in ids]
    names = [file if isinstance(file, str) else f"{name}.jpg" for name, file in zip(ids, files, strict=True)]
    return ImageList(ids, Paths(folder, tuple(names)))


def listed(path: Path, folder: Path) -> tuple[str, ...]:
    """The names in a list of images, without suffix. A number behind a name says whether a class is there."""
    there: set[str] | None = None
    found = []
    for line in read_text(path)[0].split("\n"):
        line = clean(line)
        if not line:
            continue
        name, _, mark = line.rpartition(" ")
        name = name.strip() if mark in ("1", "0", "-1") else line
        if " " in name:  # names with blanks are rare, so the folder is asked only here
            if there is None:
                there = (
                    {PurePosixPath(file).stem for file in os.listdir(folder)} if folder.is_dir() else set()
                )
            name = name if _without_suffix(name) in there else name.split()[0]
        found.append(_without_suffix(name.replace("\\", "/").rpartition("/")[2]))
    return tuple(found)


def _without_suffix(name: str) -> str:
    return name[: -len(PurePosixPath(name).suffix)] if suffix_of(name) in IMAGE_SUFFIXES else name


def read_annotations(files: Sequence[Path], ids: tuple[str, ...], classes: tuple[str, ...]) -> GroundTruth:
    """The ground truth in annotation files, one an image. Raises UserError if one names another class."""
    index = {_key(name): number for number, name in enumerate(classes)}
    any_case = {key.casefold(): number for key, number in index.items()}
    targets = np.zeros((len(ids), len(classes)), np.float32)
    boxes: list[list[tuple[int, Box]]] = []
    for row, path in enumerate(files):
        found = []
        for one in read_objects(path):
            number = index.get(_key(one.name), any_case.get(_key(one.name).casefold()))
            if number is None:
                raise UserError(
                    f"The annotation {shown(path)} names a class that this data set does not have: "
                    f"{one.name!r}."
                )
            targets[row, number] = 1
            if one.box is not None:
                found.append((number, one.box))
        boxes.append(found)
    return GroundTruth(ids, targets, Boxes.of(boxes))


def _key(name: str) -> str:
    return name.replace(" ", "")
