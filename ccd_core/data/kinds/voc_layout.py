"""Any data set in VOC's layout, with its own classes: `voc:ROOT`.

ROOT, or VOCdevkit/VOC... in it, holds Annotations with one XML file an image, a folder of images, and lists
of splits in ImageSets/Main. Without lists, all annotated images are one split. Read are also folders train
and valid with XML files beside the images, as Roboflow writes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ccd_core.data.kinds.layouts import WORDS, dataset_of, first_folder
from ccd_core.data.kinds.voc import images_named, listed, read_annotations
from ccd_core.data.kinds.voc_file import read_objects
from ccd_core.data.listing.class_names import read_class_list
from ccd_core.data.listing.find import find_images
from ccd_core.data.listing.names import as_text, count_of, shown, some
from ccd_core.data.truth_cache import cached_facts, cached_truth
from ccd_core.data.types import Boxes, Dataset, GroundTruth, ImageList, Paths
from ccd_core.errors import UserError

IMAGE_FOLDERS = ("JPEGImages", "PNGImages", "Images", "images", "imgs")
CLASS_FILES = ("classes.txt", "labels.txt", "labelmap.txt")


def open_voc_layout(spec: str, root: Path) -> Dataset:
    """Open a data set in VOC's layout. Raises UserError if ROOT holds none."""
    if not root.is_dir():
        raise UserError(f"There is no folder {shown(root)}.")
    base = _base(root)
    notes: list[str] = []
    if base is not None:
        splits, files = _with_lists(base)
    else:
        base = root
        splits, files = _beside_images(root)
    if not splits:
        raise UserError(
            f"{shown(root)} is not in VOC's layout: it has neither a folder Annotations nor XML files beside "
            "its images."
        )
    classes = _classes(base, [path for split in splits for path in files[split]], notes)
    counts = ", ".join(f"{count_of(len(images), 'image')} of {split}" for split, images in splits.items())
    taken_for = (
        f"Taken for VOC's layout in {shown(base)}: {counts}, {count_of(len(classes), 'class', 'classes')} "
        f"({some(classes)})."
    )

    def read(split: str) -> GroundTruth:
        ids = splits[split].ids
        how = f"voc layout 1 {classes}"
        return cached_truth(files[split], how, lambda: read_annotations(files[split], ids, classes))

    return dataset_of(spec, classes, splits, read, [taken_for, *notes])


def _base(root: Path) -> Path | None:
    """The folder that holds Annotations."""
    places = [root, *sorted(root.glob("VOC*")), *sorted(root.glob("VOCdevkit/VOC*"))]
    found = [place for place in places if (place / "Annotations").is_dir()]
    if len(found) > 1 and found[0] != root:
        raise UserError(f"{shown(root)} holds {some(map(str, found))}; write voc:ROOT with one of them.")
    return found[0] if found else None


def _with_lists(base: Path) -> tuple[dict[str, ImageList], dict[str, Sequence[Path]]]:
    folder = first_folder(base, IMAGE_FOLDERS) or base
    lists = first_folder(base, ("ImageSets/Main", "ImageSets")) or base / "ImageSets"
    ids: dict[str, tuple[str, ...]] = {}
    for split, words in WORDS.items():
        there = next((lists / f"{word}.txt" for word in words if (lists / f"{word}.txt").is_file()), None)
        if there is not None:
            ids[split] = listed(there, folder)
    annotations = base / "Annotations"
    if "train" not in ids:
        stems = sorted(as_text(path.stem) for path in annotations.glob("*.[xX][mM][lL]"))
        if not stems:
            raise UserError(f"There are no XML files in {shown(annotations)}.")
        ids = {"train": tuple(stems)}
    splits = {split: images_named(folder, names) for split, names in ids.items()}
    return splits, {split: Paths(annotations, names, ".xml") for split, names in ids.items()}


def _beside_images(root: Path) -> tuple[dict[str, ImageList], dict[str, Sequence[Path]]]:
    """Images with an XML file beside them, by the folders train and valid if there are any."""
    there = {path.name.lower(): path.name for path in root.iterdir() if path.is_dir()}
    folders = {
        split: next((there[word] for word in words if word in there), None) for split, words in WORDS.items()
    }
    if folders["train"] is None:
        folders = {"train": "."}
    splits = {}
    files: dict[str, Sequence[Path]] = {}
    for split, folder in folders.items():
        if folder is None:
            continue
        prefix = "" if folder == "." else f"{folder}/"
        names = [prefix + name for name in find_images(root / folder)]
        names = [name for name in names if (root / name).with_suffix(".xml").is_file()]
        if names:
            splits[split] = ImageList(tuple(map(as_text, names)), Paths(root, tuple(names)))
            files[split] = tuple((root / name).with_suffix(".xml") for name in names)
    return splits, files


def _classes(base: Path, files: Sequence[Path], notes: list[str]) -> tuple[str, ...]:
    """The classes of a list beside the data, or else all names in the annotations, sorted."""
    for name in CLASS_FILES:
        if (base / name).is_file():
            classes, said = read_class_list(base / name)
            notes += said
            return classes

    def read() -> tuple[GroundTruth, dict[str, object]]:
        names = {one.name for path in files for one in read_objects(path)}
        return GroundTruth((), np.zeros((0, 1), np.float32), Boxes.none(0)), {"classes": sorted(names)}

    classes = tuple(cached_facts(files, "classes of voc 1", read)[1]["classes"])
    if not classes:
        raise UserError(f"The annotations of {shown(base)} name no objects, so there are no classes.")
    return classes
