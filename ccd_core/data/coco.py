"""MS-COCO 2014 in the official layout: train2014 is trained on, val2014 scored.

As the field's benchmarks count (82,081 / 40,137), an image belongs to a split if it has at least one annotation, and a class is positive where
it has one, crowds included. Boxes are those of single objects; a crowd's box is of no object.

    python -m ccd_core.data.coco ANNOTATIONS.json OUT.npz      # what a large file is read with, in a process of its own
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ccd_core.data.sources import archives_in_words, find_base
from ccd_core.data.truth_cache import cached_truth, load, save
from ccd_core.data.types import Box, Boxes, Dataset, GroundTruth, ImageList, Paths
from ccd_core.errors import UserError

log = logging.getLogger("ccd")
CLASSES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light", "fire hydrant", "stop sign",
    "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella",
    "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard",
    "surfboard", "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange",
    "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet", "tv", "laptop",
    "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
FOLDERS = {"train": "train2014", "val": "val2014"}
LARGE_BYTES = 30_000_000  # from here on reading takes seconds and memory that this process would keep


def open_coco(spec: str, root: Path) -> Dataset:
    """ROOT holds annotations/instances_train2014.json and train2014, and the same for val2014 if there is to be scoring."""
    base = find_base("coco2014", root, ("annotations",))
    if base is None:
        raise UserError(
            f"There is no COCO 2014 in {root}: unpack {archives_in_words('coco2014')} there, so that {root}/annotations and {root}/train2014 "
            f"are there; `ccd data fetch coco2014 {root}` does it."
        )
    splits = {}
    for split, name in FOLDERS.items():
        images = next((path for path in (base, base / "images") if (path / name).is_dir()), None)
        missing = (
            base / name
            if images is None
            else None
            if annotations_file(base, split).is_file()
            else annotations_file(base, split)
        )
        if images is not None and missing is None:
            ids = read_split(base, split).ids
            splits[split] = ImageList(ids, Paths(images, ids))
        elif split == "train":
            raise UserError(
                f"COCO 2014 is not complete: {missing} is missing; it is in one of {archives_in_words('coco2014')}."
            )
    return Dataset(spec, CLASSES, splits, lambda split: read_split(base, split))


def annotations_file(base: Path, split: str) -> Path:
    return base / "annotations" / f"instances_{FOLDERS[split]}.json"


def read_split(base: Path, split: str) -> GroundTruth:
    """Ground truth of all images with an annotation, in the order of their numbers; kept from the first time on."""
    path = annotations_file(base, split)

    def read() -> GroundTruth:
        return _read_apart(path) if path.stat().st_size > LARGE_BYTES else read_annotations(path)

    truth = cached_truth([path], "coco 1", read)
    ids = tuple(f"{FOLDERS[split]}/{name}" for name in truth.ids)
    return GroundTruth(ids, truth.targets, truth.boxes)


def read_annotations(path: Path) -> GroundTruth:
    """Ground truth by file name from an instances_*.json. Raises UserError where it is not one."""
    from pycocotools.coco import COCO

    api = COCO()
    try:
        with open(path, encoding="utf-8") as file, contextlib.redirect_stdout(io.StringIO()):
            api.dataset = json.load(file, object_pairs_hook=_without_outlines)
            api.createIndex()
        index = {number: CLASSES.index(category["name"]) for number, category in api.cats.items()}
        numbers = sorted(number for number, found in api.imgToAnns.items() if found)
        targets, objects = np.zeros((len(numbers), len(CLASSES)), np.float32), []
        for row, number in enumerate(numbers):
            found = api.imgToAnns[number]
            targets[row, [index[one["category_id"]] for one in found]] = 1
            objects.append(
                [
                    (index[one["category_id"]], _box(one["bbox"], api.imgs[number]))
                    for one in found
                    if not one.get("iscrowd")
                ]
            )
        names = tuple(PurePosixPath(api.imgs[number]["file_name"]).name for number in numbers)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        unknown = next(
            (
                one["name"]
                for one in api.cats.values()
                if isinstance(one, dict) and one.get("name") not in CLASSES
            ),
            None,
        )
        what = (
            f"names a class that COCO does not have: {unknown!r}"
            if unknown
            else f"is damaged or no instances file of COCO ({error!r:.80})"
        )
        raise UserError(
            f"The annotations {path} {what}; unpack annotations_trainval2014.zip again."
        ) from None
    return GroundTruth(names, targets, Boxes.of(objects))


def _without_outlines(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Outlines are nine tenths of the file's numbers and are not used; they go as soon as they are read."""
    return {key: value for key, value in pairs if key != "segmentation"}


def _box(bbox: list[float], image: dict[str, Any]) -> Box:
    """COCO's (x, y, width, height) in fractions of pixels as the half-open box of the pixels touched."""
    x, y, width, height = bbox
    x1, y1 = int(np.ceil(x + width)), int(np.ceil(y + height))
    return max(int(x), 0), max(int(y), 0), min(x1, int(image["width"])), min(y1, int(image["height"]))


def _read_apart(path: Path) -> GroundTruth:
    """Read in another process, whose memory is given back when it ends."""
    log.info("Reading %s; this is done once.", path)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "truth.npz"
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(path), str(out)], capture_output=True, text=True
        )
        if done.returncode:
            said = done.stderr.strip().splitlines()
            raise UserError(
                said[-1]
                if done.returncode == 2 and said
                else f"The annotations {path} could not be read: {said[-1:]}"
            )
        return load(out)


if __name__ == "__main__":
    try:
        save(Path(sys.argv[2]), read_annotations(Path(sys.argv[1])))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
