"""The demo's data set: toy scenes, drawn on first use and then read like any data set in VOC's layout."""

from __future__ import annotations

from pathlib import Path

from ccd_core.data.kinds.voc import voc_dataset
from ccd_core.data.types import Dataset, Progress
from ccd_core.errors import UserError
from ccd_core.paths import demo_root
from ccd_core.toy.scenes import CLASSES, SPLITS, write_dataset


def open_demo(spec: str, root: Path, progress: Progress | None = None) -> Dataset:
    """Open the toy scenes in `root`, and draw them first if `root` is the project's own folder.

    `demo:DIR` opens scenes that `write_dataset` wrote to DIR. Raises UserError if there are none.
    """
    if not all((root / "ImageSets" / "Main" / f"{split}.txt").is_file() for split in SPLITS):
        if root != demo_root():
            raise UserError(
                f"There are no toy scenes in {root}; write `demo` alone, which draws them where they belong."
            )
        write_dataset(root, progress=progress)
    return voc_dataset(spec, root, {"train": "train", "val": "val"}, CLASSES)
