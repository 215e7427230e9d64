"""MS-COCO 2014 in the official layout. train2014 is the training split, val2014 the validation split.

As in the field's benchmarks (82,081 / 40,137 images), an image belongs to a split if it has at least one
annotation. A class is positive in an image that has an annotation of the class, crowds included. Boxes are
those of single objects; the box of a crowd is left out.

A large annotation file is parsed in a process of its own:

    python -m ccd_core.data.coco ANNOTATIONS.json OUT.npz
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
            f"{root}/annotations and {root}/train2014 exist; `ccd data fetch coco2014 {root}` does it."
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

    def read() -> GroundTruth:
        return _read_in_process(path) if path.stat().st_size > LARGE_BYTES else read_annotations(path)

    truth = cached_truth([path], "coco 1", read)
    ids = tuple(f"{FOLDERS[split]}/{name}" for name in truth.ids)
    return GroundTruth(ids, truth.targets, truth.boxes)


def read_annotations(path: Path) -> GroundTruth:
    """Parse an instances_*.json file. The ids are file names. Raises UserError if it cannot be parsed."""
    from pycocotools.coco import COCO

    api = COCO()
    try:
        with open(path, encoding="utf-8") as file, contextlib.redirect_stdout(io.StringIO()):
            api.dataset = json.load(file, object_pairs_hook=_without_outlines)
            api.createIndex()
        return _ground_truth(api)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f"The annotations {path} {_what_is_wrong(api, error)}; unpack annotations_trainval2014.zip again."
        ) from None


def _ground_truth(api: Any) -> GroundTruth:
    class_index = {number: CLASSES.index(category["name"]) for number, category in api.cats.items()}
    numbers = sorted(number for number, found in api.imgToAnns.items() if found)
    targets = np.zeros((len(numbers), len(CLASSES)), np.float32)
    objects = []
    for row, number in enumerate(numbers):
        annotations = api.imgToAnns[number]
        targets[row, [class_index[one["category_id"]] for one in annotations]] = 1
        objects.append(
            [
                (class_index[one["category_id"]], _box(one["bbox"], api.imgs[number]))
                for one in annotations
                if not one.get("iscrowd")
            ]
        )
    names = tuple(PurePosixPath(api.imgs[number]["file_name"]).name for number in numbers)
    return GroundTruth(names, targets, Boxes.of(objects))


def _what_is_wrong(api: Any, error: Exception) -> str:
    for category in api.cats.values():
        if isinstance(category, dict) and category.get("name") not in CLASSES:
            return f"names a class that COCO does not have: {category.get('name')!r}"
    return f"is damaged or no instances file of COCO ({error!r:.80})"


def _without_outlines(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object without its outlines, which are nine tenths of the file's numbers and are not used."""
    return {key: value for key, value in pairs if key != "segmentation"}


def _box(bbox: list[float], image: dict[str, Any]) -> Box:
    """The half-open box of all pixels touched by COCO's (x, y, width, height), which has fractions."""
    x, y, width, height = bbox
    x1 = min(int(np.ceil(x + width)), int(image["width"]))
    y1 = min(int(np.ceil(y + height)), int(image["height"]))
    return max(int(x), 0), max(int(y), 0), x1, y1


def _read_in_process(path: Path) -> GroundTruth:
    """Parse `path` in another process, which gives its memory back when it ends."""
    log.info("Reading %s; the result is cached.", path)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "truth.npz"
        command = [sys.executable, "-m", __name__, str(path), str(out)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            output = done.stderr.strip().splitlines()
            if done.returncode == 2 and output:  # the process printed the sentence of its UserError
                raise UserError(output[-1])
            raise UserError(f"The annotations {path} could not be read: {output[-1:]}")
        return load(out)


if __name__ == "__main__":
    try:
        save(Path(sys.argv[2]), read_annotations(Path(sys.argv[1])))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
