"""The demo's data set: toy scenes, drawn on first use and read as any VOC-style data set is."""

from __future__ import annotations

from pathlib import Path

from ccd_core.data.types import Dataset, Progress
from ccd_core.data.voc import voc_dataset
from ccd_core.errors import UserError
from ccd_core.paths import demo_root
from ccd_core.toy.scenes import CLASSES, SPLITS, write_dataset


def open_demo(spec: str, root: Path, progress: Progress | None = None) -> Dataset:
    """The toy scenes in `root`. Only the project's own folder is drawn into; `demo:DIR` reads what `write_dataset` wrote there."""
    if not all((root / "ImageSets" / "Main" / f"{split}.txt").is_file() for split in SPLITS):
        if root != demo_root():
            raise UserError(
                f"There are no toy scenes in {root}; write `demo` alone, which draws them where they belong."
            )
        write_dataset(root, progress=progress)
    return voc_dataset(spec, root, {"train": "train", "val": "val"}, CLASSES)
