"""The demo's data set: toy scenes, drawn on first use and read as any VOC-style data set is."""

from __future__ import annotations

from pathlib import Path

from ccd_core.data import Dataset, Progress
from ccd_core.data.toy_scenes import CLASSES, write_dataset
from ccd_core.data.voc import voc_dataset


def open_demo(spec: str, root: Path, progress: Progress | None = None) -> Dataset:
    if not (root / "ImageSets" / "Main" / "train.txt").is_file() or root.name == "toy-scenes-v1":
        write_dataset(root, progress=progress)
    return voc_dataset(spec, root, {"train": "train", "val": "val"}, CLASSES)
