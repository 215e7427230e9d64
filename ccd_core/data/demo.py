"""The demo's data set: toy scenes, drawn on first use and read as any VOC-style data set is."""

from __future__ import annotations

from pathlib import Path

from ccd_core.data import Dataset, Progress
from ccd_core.data.toy_scenes import CLASSES, SPLITS, write_dataset
from ccd_core.data.voc import voc_dataset


def open_demo(spec: str, root: Path, progress: Progress | None = None) -> Dataset:
    if not all((root / "ImageSets" / "Main" / f"{split}.txt").is_file() for split in SPLITS):
        write_dataset(root, progress=progress)
    return voc_dataset(spec, root, {"train": "train", "val": "val"}, CLASSES)
