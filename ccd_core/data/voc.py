"""PASCAL VOC 2007 and 2012 in the official layout, and any data set written in the same layout.

A class is positive in an image if at least one of its objects is not marked difficult. A class with difficult
objects only counts as absent, as in the field's benchmark code (Cole et al., "Multi-Label Learning from
Single Positive Labels", CVPR 2021): that code reads the official per-class lists, which mark such a class
with 0, and takes only 1 as positive. Difficult objects have no box here.
"""

from __future__ import annotations

# torchvision's VOCDetection could parse the annotations too, but it needs torch, and the app runs without
# torch.
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np

from ccd_core.data.sources import archives_in_words, find_base
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
            f"{root}/VOCdevkit/VOC{year}/ImageSets/Main exists; `ccd data fetch voc{year} {root}` does it."
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
        return cached_truth(files, f"voc 1 {classes}", lambda: _read_annotations(files, ids, classes))

    return Dataset(spec, tuple(classes), splits, read)


def _image_list(base: Path, path: Path) -> ImageList:
    ids = tuple(line.split()[0] for line in path.read_text().splitlines() if line.strip())
    return ImageList(ids, Paths(base / "JPEGImages", ids, ".jpg"))


def _read_annotations(files: Paths, ids: tuple[str, ...], classes: tuple[str, ...]) -> GroundTruth:
    index = {name.replace(" ", ""): number for number, name in enumerate(classes)}
    objects = [_objects(path, index) for path in files]
    targets = np.zeros((len(ids), len(classes)), np.float32)
    for row, found in enumerate(objects):
        targets[row, [number for number, _ in found]] = 1
    return GroundTruth(ids, targets, Boxes.of(objects))


def _objects(path: Path, index: dict[str, int]) -> list[tuple[int, Box]]:
    """(class index, box) of every object that is not difficult."""
    found = []
    try:
        for entry in ElementTree.parse(path).iter("object"):
            if entry.findtext("difficult", "0").strip() == "1":
                continue
            number = index[(entry.findtext("name") or "").replace(" ", "")]
            sides = [
                int(float(entry.findtext(f"bndbox/{side}") or ""))
                for side in ("xmin", "ymin", "xmax", "ymax")
            ]
            found.append((number, (sides[0] - 1, sides[1] - 1, sides[2], sides[3])))
    except FileNotFoundError:
        raise UserError(
            f"The annotation {path} is missing; unpack the Annotations folder of the data set too."
        ) from None
    except KeyError as error:
        raise UserError(
            f"The annotation {path} names a class that this data set does not have: {error.args[0]!r}."
        ) from None
    except (ElementTree.ParseError, ValueError):
        raise UserError(f"The annotation {path} is damaged.") from None
    return found
