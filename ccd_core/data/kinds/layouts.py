"""What data sets in common layouts share: words for splits, and data sets with one split."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from ccd_core.data.types import Dataset, GroundTruth, ImageList

# The words that name a split in file and folder names; the first word that is there counts.
WORDS = {
    "train": ("train", "training", "trn", "trainval"),
    "val": ("val", "valid", "validation", "test", "testing", "dev", "eval"),
}


def words_of(name: str) -> set[str]:
    """The words in a name, in small letters and without a year: instances_train2017 has train."""
    return {word.rstrip("0123456789") for word in re.split(r"[^a-z0-9]+", name.lower())}


def dataset_of(
    spec: str,
    classes: tuple[str, ...],
    splits: dict[str, ImageList],
    read: Callable[[str], GroundTruth],
    notes: Iterable[str] = (),
    left_out: dict[str, str] | None = None,
) -> Dataset:
    """A data set with ground truth. If it has one split only, its images are trained on and scored."""
    notes = [*notes]
    only = next(iter(splits)) if len(splits) == 1 else None
    if only is not None:
        splits = {"train": splits[only], "val": splits[only]}
        notes.append("There is one split only, so the images that are trained on are also scored.")
    return Dataset(
        spec,
        classes,
        splits,
        lambda split: read(only if only is not None else split),
        tuple(notes),
        left_out or {},
    )


def first_folder(base: Path, names: Iterable[str]) -> Path | None:
    """The first of `names` that is a folder in `base`."""
    return next((base / name for name in names if (base / name).is_dir()), None)
