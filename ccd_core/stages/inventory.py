"""Check that a data set is still the one that the run began with.

Images and classes are matched by name, never by position. A new run writes dataset.npz with the name, the
size, the modification time and a fingerprint of every image file. A resumed run compares them. It leaves out
new images. It ends with one sentence if images are gone or have changed, unless the user asks to go on
without them.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shlex
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ccd_core.data.types import Dataset, GroundTruth, ImageList
from ccd_core.errors import UserError
from ccd_core.files import read_arrays, reading, replacing, write_arrays
from ccd_core.runs.run import Run
from ccd_core.runs.work import Work

log = logging.getLogger("ccd")
FILE = "dataset.npz"
EDGE_BYTES = 4096  # a fingerprint covers so many bytes at the beginning and at the end of a file
NAMED = 3  # a sentence names so many images


@dataclass(frozen=True)
class Inventory:
    """The N image files of one split."""

    ids: np.ndarray  # [N] str
    size: np.ndarray  # [N] int64, bytes
    time: np.ndarray  # [N] int64, modification time in ns
    fingerprint: np.ndarray  # [N] uint64


def same_dataset(dataset: Dataset, work: Work) -> Dataset:
    """The data set with exactly the images that the run began with, and with its classes in the run's order.

    A new run takes the inventory first. Raises UserError if the classes are others, or if images of the run
    are gone or have changed.
    """
    with work.team.main_process_first():
        return _same_dataset(dataset, work.folder)


def _same_dataset(dataset: Dataset, run: Run) -> Dataset:
    dataset = _with_classes_of(dataset, run)
    if not run.has(FILE):
        _check_names(dataset, run)
        _write(run, {split: _inventory(images) for split, images in dataset.splits.items()})
        return dataset
    splits: dict[str, ImageList] = {}
    gone: list[str] = []
    changed: list[str] = []
    for split, known in _read(run).items():
        there = dataset.splits.get(split, ImageList((), ()))
        lost, other = _compare(known, there)
        gone += lost
        changed += other
        splits[split] = _in_order_of(there, known.ids.tolist())
        new = len(there) - (len(known.ids) - len(lost))
        if new:
            log.warning("left out of the split %s: %d images that the run did not begin with", split, new)
    if gone or changed:
        raise UserError(_what_changed(run, gone, changed))
    return replace(dataset, splits={split: images for split, images in splits.items() if len(images)})


def forget_changed(dataset: Dataset, run: Run) -> int:
    """Remove images that are gone or have changed from all files of the run, which then goes on without them.

    Returns their number. Raises UserError if no training image is left.
    """
    if not run.has(FILE):
        return 0
    inventories = _read(run)
    dropped: set[str] = set()
    for split, known in inventories.items():
        lost, other = _compare(known, dataset.splits.get(split, ImageList((), ())))
        dropped |= {*lost, *other}
        remain = ~np.isin(known.ids, [*lost, *other])
        rows = (known.ids[remain], known.size[remain], known.time[remain], known.fingerprint[remain])
        inventories[split] = Inventory(*rows)
    if not dropped:
        return 0
    if not len(inventories["train"].ids):
        raise UserError(
            f"Every training image of run {run.name} is gone or has changed since it began; begin a new run."
        )
    _forget(run, dropped)
    _write(run, inventories)
    log.warning("%d images that are gone or have changed since the run began are left out", len(dropped))
    return len(dropped)


def _with_classes_of(dataset: Dataset, run: Run) -> Dataset:
    """The data set with its classes in the run's order."""
    if dataset.classes == run.classes:
        return dataset
    came = [name for name in dataset.classes if name not in run.classes]
    went = [name for name in run.classes if name not in dataset.classes]
    if came or went or len(dataset.classes) != len(run.classes):
        parts = [f"{_some(came)} came" if came else "", f"{_some(went)} went" if went else ""]
        changes = " and ".join(filter(None, parts))
        raise UserError(
            f"The classes of {dataset.spec} changed since run {run.name} began ({changes}). "
            "Put them back and resume, or begin a new run with another --out."
        )
    log.warning("the data set lists its classes in a new order; the run keeps the order that it began with")

    def ground_truth(split: str) -> GroundTruth | None:
        truth = dataset.read_ground_truth(split)
        return None if truth is None else truth.in_terms_of(run.classes, dataset.classes)

    return replace(dataset, classes=run.classes, read_ground_truth=ground_truth)


def _check_names(dataset: Dataset, run: Run) -> None:
    """Raise UserError if a run without an inventory has arrays of other images than those of the data set.

    Runs of earlier versions took no inventory.
    """
    if not run.has("global.npz"):
        return
    known = run.load_global()["ids"].tolist()
    usable = set(known) | set(_unusable(run))
    there = dataset.splits["train"].ids
    if not set(known) <= set(there) or not set(there) <= usable:
        gone = [image for image in known if image not in set(there)]
        raise UserError(_what_changed(run, gone or [image for image in there if image not in usable], []))


def _unusable(run: Run) -> list[str]:
    return list(run.load_json("images.json").get("train", {})) if run.has("images.json") else []


def _inventory(images: ImageList) -> Inventory:
    facts = [_facts(images.paths[row]) for row in range(len(images))]
    size, time, fingerprint = np.array(facts, object).reshape(-1, 3).T
    return Inventory(
        np.array(images.ids, str), size.astype(np.int64), time.astype(np.int64), fingerprint.astype(np.uint64)
    )


def _facts(path: Path) -> tuple[int, int, int]:
    """Size in bytes, modification time in ns and fingerprint of a file. All are zero if it cannot be read."""
    try:
        facts = os.stat(path)
        return facts.st_size, facts.st_mtime_ns, _fingerprint(path, facts)
    except OSError:
        return 0, 0, 0


def _fingerprint(path: Path, facts: os.stat_result) -> int:
    """A digest of the file's size, its beginning and its end. It is 0 for a pipe, which would block."""
    if not stat.S_ISREG(facts.st_mode):
        return 0
    size = facts.st_size
    digest = hashlib.blake2b(str(size).encode(), digest_size=8)
    with open(path, "rb") as file:
        digest.update(file.read(EDGE_BYTES))
        file.seek(max(0, size - EDGE_BYTES))
        digest.update(file.read(EDGE_BYTES))
    return int.from_bytes(digest.digest(), "big")


def _compare(known: Inventory, there: ImageList) -> tuple[list[str], list[str]]:
    """The names of the known images that are gone, and of those whose file has changed."""
    gone: list[str] = []
    changed: list[str] = []
    for row, image in enumerate(known.ids.tolist()):
        path = there.path(image)
        if path is None:
            gone.append(image)
        elif not _is_same(path, int(known.size[row]), int(known.time[row]), int(known.fingerprint[row])):
            changed.append(image)
    return gone, changed


def _is_same(path: Path, size: int, time: int, fingerprint: int) -> bool:
    """Whether a file has the same size, and the same modification time or else the same fingerprint."""
    try:
        facts = os.stat(path)
        if facts.st_size != size:
            return False
        return facts.st_mtime_ns == time or _fingerprint(path, facts) == fingerprint
    except OSError:
        return (size, time, fingerprint) == (0, 0, 0)


def _in_order_of(images: ImageList, ids: Sequence[str]) -> ImageList:
    """The images named by `ids`, in that order, without those that `images` does not have."""
    if tuple(ids) == images.ids:
        return images
    found = {image: path for image in ids if (path := images.path(image)) is not None}
    return replace(images, ids=tuple(found), paths=tuple(found.values()))


def _forget(run: Run, dropped: set[str]) -> None:
    """Remove the images `dropped` from global.npz and views.parquet, and all files that are made again."""
    for name in ("labels.npz", "scores", "partial"):
        run.remove(name)
    if run.has("global.npz"):
        arrays = run.load_global()
        remain = ~np.isin(arrays["ids"], list(dropped))
        write_arrays(run.file("global.npz"), **{name: values[remain] for name, values in arrays.items()})
    if run.has("views.parquet"):
        path = run.file("views.parquet")
        with (
            reading(path),
            pq.ParquetFile(path) as views,
            replacing(path) as target,
            pq.ParquetWriter(target, views.schema_arrow, use_dictionary=["image", "class"]) as writer,
        ):
            for group in range(views.num_row_groups):
                table = views.read_row_group(group)
                names = table.column("image").to_pylist()
                writer.write_table(table.filter([image not in dropped for image in names]))


def _read(run: Run) -> dict[str, Inventory]:
    arrays = read_arrays(run.file(FILE))
    columns = ("ids", "size", "time", "fingerprint")
    splits = {name.partition(".")[0] for name in arrays}
    return {
        split: Inventory(*(arrays[f"{split}.{column}"] for column in columns)) for split in sorted(splits)
    }


def _write(run: Run, inventories: dict[str, Inventory]) -> None:
    arrays = {
        f"{split}.{column}": values
        for split, inventory in inventories.items()
        for column, values in vars(inventory).items()
    }
    write_arrays(run.file(FILE), **arrays)


def _what_changed(run: Run, gone: list[str], changed: list[str]) -> str:
    parts = []
    if gone:
        parts.append(f"{_count(gone)} gone or renamed ({_some(gone)})")
    if changed:
        parts.append(f"{_count(changed)} not the same file any more ({_some(changed)})")
    return (
        f"Since run {run.name} began, {' and '.join(parts)}. Put the images back and resume, "
        f"go on without them (ccd run --resume --same-images --out {shlex.quote(str(run.path))}), "
        "or begin a new run with another --out."
    )


def _count(images: list[str]) -> str:
    return "1 image is" if len(images) == 1 else f"{len(images)} images are"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
