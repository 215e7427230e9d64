"""Data sets of Hugging Face's library `datasets` on the disk: `hf:ROOT`.

ROOT is a folder that `save_to_disk` wrote, or one of the hub with Parquet files. The pictures lie in a column
of the tables. They are unpacked on first use into a folder of `CCD_HOME`, bytes as they are, and then read
like any picture. The labels are in a column of class labels or of names, one or several for each picture.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from ccd_core.data.kinds.folder import list_of
from ccd_core.data.kinds.hugging_face.classes import Targets, class_names
from ccd_core.data.kinds.hugging_face.columns import Columns, check_columns, find_columns
from ccd_core.data.kinds.hugging_face.tables import Shards, find_shards
from ccd_core.data.kinds.hugging_face.unpacking import Unpacked, unpacked
from ccd_core.data.kinds.layouts import dataset_of
from ccd_core.data.listing.names import count_of, shown, some
from ccd_core.data.types import Boxes, Dataset, GroundTruth, Progress
from ccd_core.errors import UserError


def open_hugging_face(
    spec: str, root: Path, classes: Path | None = None, progress: Progress | None = None
) -> Dataset:
    """Open a data set of the library `datasets`, and unpack its pictures if that was not done before.

    `classes` is a file of class names; without it, classes.txt in `root` is one, and then the names that the
    data set itself has. Raises UserError if the data set cannot be understood or its pictures not unpacked.
    """
    if not root.is_dir():
        raise UserError(f"There is no folder {shown(root)}.")
    shards, notes = find_shards(root)
    columns = find_columns(root, next(iter(shards.values())))
    for split in shards.values():
        check_columns(split, columns)
    place, found = unpacked(root, shards, columns, progress)
    names, source, more = class_names(root, classes, columns, found)
    targets = Targets(names, columns)
    rows = {split: [targets.of(labels) for labels in one.labels] for split, one in found.items()}
    images = {split: list_of(place, one.files) for split, one in found.items() if one.files}
    if not images:
        raise UserError(_no_pictures(root, columns, found))

    def read(split: str) -> GroundTruth | None:
        labelled = [(name, row) for name, row in zip(images[split].ids, rows[split]) if row is not None]
        if not labelled:
            return None
        return GroundTruth(
            tuple(name for name, _ in labelled),
            np.stack([row for _, row in labelled]),
            Boxes.none(len(labelled)),
        )

    notes = [_taken_for(root, shards, images, columns, names, source), *more, *notes, *targets.notes()]
    notes += _other_notes(root, columns, found)
    left_out = {name: why for one in found.values() for name, why in one.left_out.items()}
    return dataset_of(spec, names, images, read, notes, left_out)  # type: ignore[arg-type]


# -- sentences ---------------------------------------------------------------------------------------


def _taken_for(
    root: Path,
    shards: dict[str, Shards],
    images: dict[str, Any],
    columns: Columns,
    names: tuple[str, ...],
    source: Path | None,
) -> str:
    files = [path for one in shards.values() for path in one.files]
    form = "Parquet" if files[0].suffix == ".parquet" else "Arrow"
    counts = ", ".join(
        f"{count_of(len(one), 'image')} of {shards[split].word}" for split, one in images.items()
    )
    labels = f"labels in {'.'.join(columns.path)!r}" if columns.path else "no labels"
    where = f" of {shown(source)}" if source else ""
    return (
        f"Taken for a data set of Hugging Face in {count_of(len(files), f'{form} file')}: {counts}, pictures "
        f"in the column {columns.image!r}, {labels}, {count_of(len(names), 'class', 'classes')}{where} "
        f"({some(names)})."
    )


def _other_notes(root: Path, columns: Columns, unpacked: dict[str, Unpacked]) -> list[str]:
    notes = []
    if columns.others:
        notes.append(f"Not read: {some(columns.others)}, which could be labels too.")
    if len(columns.path) > 1:
        notes.append(f"The boxes in {columns.path[0]!r} are not read, for nothing tells their form.")
    for reason, count in Counter(why for one in unpacked.values() for why in one.left_out.values()).items():
        notes.append(f"Left out: {count_of(count, 'row')}, because {reason}.")
    scripts = sorted(path.name for path in root.glob("*.py"))
    if scripts:
        notes.append(f"Not run: {some(scripts)}. Only tables are read.")
    return notes


def _no_pictures(root: Path, columns: Columns, unpacked: dict[str, Unpacked]) -> str:
    reasons = Counter(why for one in unpacked.values() for why in one.left_out.values())
    if not reasons:
        return f"The tables of {shown(root)} have no rows."
    reason, count = reasons.most_common(1)[0]
    return f"{shown(root)} has no pictures: {count_of(count, 'row')} left out, because {reason}."
