"""Any data set with annotations in COCO's form: COCO of any year, and what CVAT, Label Studio, Roboflow and
FiftyOne export.

`coco:ANNOTATIONS.json` reads one file. `coco:ANNOTATIONS.json,IMAGES` says where its images are. `coco:ROOT`
looks for a file for each split in a folder.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from ccd_core.data.kinds.coco_file import EDITION, CocoFile, read_coco
from ccd_core.data.kinds.layouts import WORDS, dataset_of, words_of
from ccd_core.data.listing.find import find_images
from ccd_core.data.listing.image_finder import ImageFinder
from ccd_core.data.listing.names import as_name, as_text, count_of, shown, some
from ccd_core.data.truth_cache import cached_facts
from ccd_core.data.types import Boxes, Dataset, GroundTruth, ImageList, Paths
from ccd_core.errors import UserError
from ccd_core.paths import split_place

LARGE_BYTES = 30_000_000  # larger files are parsed in a process of their own
SAMPLED = 200  # images by which the folder of the images is found
# Files of the same form that are about other things than objects.
OTHER_KINDS = re.compile(r"captions|keypoints|panoptic|stuff|image_info|results", re.IGNORECASE)


def open_coco_export(spec: str, place: str) -> Dataset:
    """Open annotation files in COCO's form. Raises UserError if a file or the images cannot be read."""
    first, folder = split_place(place)
    path = Path(first).expanduser()
    images = Path(folder).expanduser() if folder else None
    if images is not None and not images.is_dir():
        raise UserError(f"There is no folder of images {shown(images)}; write coco:ANNOTATIONS.json,IMAGES.")
    if path.is_dir():
        files = _files_in(path)
        base = images or path
    elif path.is_file():
        files = {"train": path}
        base = images or (path.parent.parent if path.parent.name == "annotations" else path.parent)
    else:
        raise UserError(f"There is no file or folder {shown(path)}; write coco:ANNOTATIONS.json,IMAGES.")
    parsed = {split: _cached(file) for split, file in files.items()}
    classes = tuple(dict.fromkeys(name for one in parsed.values() for name in one.classes))
    if not classes:
        raise UserError(f"{shown(next(iter(files.values())))} has no categories, so there are no classes.")
    names = find_images(base)
    notes = [note for one in parsed.values() for note in one.notes]
    splits = {}
    truths = {}
    for split, one in parsed.items():
        ids = _on_disk(base, names, one.truth.ids, files[split])
        splits[split] = ImageList(ids, Paths(base, tuple(map(as_name, ids))))
        truths[split] = _with_classes(one, ids, classes)
        notes.append(
            f"Taken for annotations in COCO's form: {shown(files[split])} as {split}, with "
            f"{count_of(len(ids), 'image')} below {shown(base)}, "
            f"{count_of(len(one.classes), 'class', 'classes')} ({some(one.classes)}) and "
            f"{count_of(_boxes(one), 'box', 'boxes')}."
        )
    return dataset_of(spec, classes, splits, truths.__getitem__, notes[::-1])


def _files_in(root: Path) -> dict[str, Path]:
    """The annotation file of each split in a folder."""
    found = [
        path
        for pattern in ("*.json", "annotations/*.json", "*/*.json", "*/annotations/*.json")
        for path in sorted(root.glob(pattern))
        if path.is_file() and not path.name.startswith(".") and not OTHER_KINDS.search(path.name)
    ]
    found = [path for path in dict.fromkeys(found) if _looks_like_annotations(path)]
    if not found:
        raise UserError(
            f"There are no annotations in COCO's form in {shown(root)}; write coco:ANNOTATIONS.json,IMAGES."
        )
    files = {}
    for split, words in WORDS.items():
        for word in words:
            matching = [path for path in found if word in words_of(str(path.relative_to(root)))]
            if len(matching) > 1:
                raise UserError(
                    f"{shown(root)} has several files of annotations for {split} "
                    f"({some(map(str, matching))}); "
                    "write coco:ANNOTATIONS.json,IMAGES for one of them."
                )
            if matching:
                files[split] = matching[0]
                break
    if "train" in files:
        return files
    if len(found) == 1:
        return {"train": found[0]}
    raise UserError(
        f"{shown(root)} has several files of annotations ({some(map(str, found))}) and none is named train; "
        "write coco:ANNOTATIONS.json,IMAGES for one of them."
    )


def _looks_like_annotations(path: Path) -> bool:
    """Whether a file begins as an object with keys of COCO's form does; files of settings lie beside some."""
    try:
        with open(path, "rb") as file:
            head = file.read(4096).lstrip(b"\xef\xbb\xbf \r\n\t")
    except OSError:
        return False
    words = (b'"images"', b'"annotations"', b'"categories"', b'"info"', b'"licenses"')
    return head.startswith((b"{", b"\xff\xfe", b"\xfe\xff")) and any(
        word in head.replace(b"\0", b"") for word in words
    )


def _cached(path: Path) -> CocoFile:
    def read() -> tuple[GroundTruth, dict[str, object]]:
        found = read_coco(path, in_process=path.stat().st_size > LARGE_BYTES)
        return found.truth, json.loads(json.dumps(found.facts))

    return CocoFile.of(*cached_facts([path], f"coco export {EDITION}", read))


def _on_disk(base: Path, names: list[str], listed: tuple[str, ...], path: Path) -> tuple[str, ...]:
    """The listed images as paths below `base`, in text form. Those that are not there keep their names.

    Raises UserError if none of them is there.
    """
    there = {as_text(name) for name in names}
    folder = _folder_of_images(there, listed, base, path)
    finder = ImageFinder(there)
    found = []
    hits = 0
    for name in listed:
        image: str | list[str] | None = f"{folder}{name}"
        if image not in there:
            image = finder(name)
        hits += isinstance(image, str)
        found.append(image if isinstance(image, str) else f"{folder}{name}")
    if not hits:
        raise UserError(
            f"None of the {count_of(len(listed), 'image')} of {shown(path)} is in {shown(base)}, such as "
            f"{some(listed[:1])}; write coco:ANNOTATIONS.json,IMAGES."
        )
    return _one_each(found, listed, path)


def _one_each(found: list[str], listed: tuple[str, ...], path: Path) -> tuple[str, ...]:
    """The images found, if no two entries of the list were taken for one image."""
    listed_as: dict[str, str] = {}
    for image, name in zip(found, listed, strict=True):
        if listed_as.setdefault(image, name) != name:
            raise UserError(
                f"{shown(path)} lists {shown(listed_as[image])!r} and {shown(name)!r}, and only "
                f"{shown(image)!r} is there for both; put all images where the file says."
            )
    return tuple(found)


def _folder_of_images(there: set[str], listed: tuple[str, ...], base: Path, path: Path) -> str:
    """The folder below `base`, with / behind it, that has most of the listed images."""
    beside = path.parent.relative_to(base).as_posix() + "/" if path.parent.is_relative_to(base) else ""
    sample = listed[:: max(1, len(listed) // SAMPLED)]
    ends = [f"/{name}" for name in sample[:3]]
    folders = {"", beside.removeprefix("./")}
    folders |= {image[: -len(end) + 1] for end in ends for image in there if image.endswith(end)}
    return max(sorted(folders), key=lambda folder: sum(f"{folder}{name}" in there for name in sample))


def _with_classes(one: CocoFile, ids: tuple[str, ...], classes: tuple[str, ...]) -> GroundTruth:
    """The ground truth with the classes of all splits."""
    columns = [classes.index(name) for name in one.classes]
    targets = np.zeros((len(ids), len(classes)), np.float32)
    targets[:, columns] = one.truth.targets
    boxes = one.truth.boxes
    if isinstance(boxes, Boxes) and columns:
        boxes = boxes.reindexed(np.array(columns, np.int16))
    return GroundTruth(ids, targets, boxes)


def _boxes(one: CocoFile) -> int:
    return len(one.truth.boxes.classes) if isinstance(one.truth.boxes, Boxes) else 0
