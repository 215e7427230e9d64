"""MS-COCO 2014 in the official layout. train2014 is the training split, val2014 the validation split.

As in the field's benchmarks (82,081 / 40,137 images), an image belongs to a split if it has at least one
annotation. A class is positive in an image that has an annotation of the class, crowds included. Boxes are
those of single objects; the box of a crowd is left out.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from ccd_core.data.kinds.coco_file import EDITION, CocoFile, read_coco
from ccd_core.data.listing.find import find_images
from ccd_core.data.listing.image_finder import ImageFinder
from ccd_core.data.listing.names import as_text, shown
from ccd_core.data.sources import archives_in_words, fetch_command, find_base
from ccd_core.data.truth_cache import cached_truth
from ccd_core.data.types import Boxes, Dataset, GroundTruth, ImageList, Paths
from ccd_core.errors import UserError

log = logging.getLogger("ccd")
CLASSES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard",
    "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
FOLDERS = {"train": "train2014", "val": "val2014"}
LARGE_BYTES = (
    30_000_000  # parsing a larger file takes seconds, and memory that this process would not give back
)


def open_coco(spec: str, root: Path) -> Dataset:
    """Open COCO 2014 in `root`, with the split val only if its images and annotations are there.

    `root` holds the folder train2014 and the file annotations/instances_train2014.json, and the same for
    val2014. Raises UserError if the training images or their annotations are missing.
    """
    base = find_base("coco2014", root, ("annotations",))
    if base is None:
        raise UserError(
            f"There is no COCO 2014 in {root}: unpack {archives_in_words('coco2014')} there, so that "
            f"{root}/annotations and {root}/train2014 exist; {fetch_command('coco2014', root)} does it."
        )
    splits = {}
    for split in FOLDERS:
        missing = _missing_part(base, split)
        if missing is None:
            ids = read_split(base, split).ids
            splits[split] = ImageList(ids, Paths(_image_folder(base, split).parent, ids))
        elif split == "train":
            raise UserError(
                f"COCO 2014 is not complete: {missing} is missing; it is in one of "
                f"{archives_in_words('coco2014')}."
            )
    return Dataset(spec, CLASSES, splits, lambda split: read_split(base, split))


def _missing_part(base: Path, split: str) -> Path | None:
    """The folder or file that the split lacks, or None if both are there."""
    images = _image_folder(base, split)
    annotations = annotations_file(base, split)
    if not images.is_dir():
        return images
    return None if annotations.is_file() else annotations


def _image_folder(base: Path, split: str) -> Path:
    in_images = base / "images" / FOLDERS[split]
    beside_annotations = base / FOLDERS[split]
    return in_images if in_images.is_dir() and not beside_annotations.is_dir() else beside_annotations


def annotations_file(base: Path, split: str) -> Path:
    return base / "annotations" / f"instances_{FOLDERS[split]}.json"


def read_split(base: Path, split: str) -> GroundTruth:
    """Ground truth of all images with an annotation, in the order of their numbers. It is cached."""
    path = annotations_file(base, split)
    truth = cached_truth([path], f"coco {EDITION}", lambda: read_annotations(path))
    names = _names_on_disk(_image_folder(base, split), truth.ids)
    ids = tuple(f"{FOLDERS[split]}/{name}" for name in names)
    return GroundTruth(ids, truth.targets, truth.boxes)


def read_annotations(path: Path) -> GroundTruth:
    """Parse an instances_*.json file. The ids are file names.

    Raises UserError if the file is damaged or another one.
    """
    try:
        found = read_coco(path, in_process=path.stat().st_size > LARGE_BYTES)
        return _in_classes_of_coco(found, path)
    except UserError as error:
        raise UserError(f"{str(error).rstrip('.')}; unpack annotations_trainval2014.zip again.") from None


def _in_classes_of_coco(found: CocoFile, path: Path) -> GroundTruth:
    """The annotated images, with COCO's 80 classes. Categories that no object has may be any."""
    for note in found.notes:
        log.warning("%s", note)
    if any("without a usable box" in note for note in found.notes):
        raise UserError(f"The annotations {shown(path)} are damaged or no instances file: boxes are missing.")
    strange = [
        name
        for column, name in enumerate(found.classes)
        if name not in CLASSES and found.truth.targets[:, column].any()
    ]
    if strange:
        raise UserError(
            f"The annotations {shown(path)} name a class that COCO does not have: {strange[0]!r}."
        )
    new_index = np.array([CLASSES.index(name) if name in CLASSES else -1 for name in found.classes], np.int16)
    rows = np.flatnonzero(found.annotated)
    targets = np.zeros((len(rows), len(CLASSES)), np.float32)
    known = np.flatnonzero(new_index >= 0)
    targets[:, new_index[known]] = found.truth.targets[rows][:, known]
    boxes = found.truth.boxes
    assert isinstance(boxes, Boxes)
    chosen = (
        Boxes.of([boxes[int(row)] for row in rows]).reindexed(new_index)
        if len(known)
        else Boxes.none(len(rows))
    )
    return GroundTruth(tuple(found.truth.ids[row] for row in rows), targets, chosen)


def _names_on_disk(folder: Path, names: Sequence[str]) -> list[str]:
    """The names below `folder` of listed images, which may lie in sub-folders or have another suffix."""
    there = set(os.listdir(folder)) if folder.is_dir() else set()
    if all(name in there for name in names):
        return list(names)
    finder: ImageFinder | None = None
    found = []
    for name in names:
        if name not in there:
            finder = finder or ImageFinder(map(as_text, find_images(folder)))
            image = finder(name)
            name = image if isinstance(image, str) else PurePosixPath(name).name
        found.append(name)
    return found
