"""Parsed ground truth is kept: thousands of XML files or 300 MB of JSON are read once, and again only when they change.

A kept file's name is a hash of name, size and time of every file it was read from, so that it cannot be out of date.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from ccd_core.data.types import Boxes, GroundTruth
from ccd_core.files import replacing
from ccd_core.paths import home

log = logging.getLogger("ccd")
WORTH_KEEPING_SECONDS = 0.2
FILES_KEPT = 24
UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


def cached_truth(sources: Iterable[Path], how: str, read: Callable[[], GroundTruth]) -> GroundTruth:
    """What `read()` makes of the files `sources`; from the last time, unless one of them has changed or reading is quick.

    `how` says whatever else the result depends on: the reader's version and the names of the classes.
    """
    path = home() / "ground_truth" / f"{_digest(sources, how)}.npz"
    try:
        truth = load(path)
        os.utime(path)
        return truth
    except UNREADABLE:
        pass
    began = time.perf_counter()
    truth = read()
    if time.perf_counter() - began > WORTH_KEEPING_SECONDS:
        try:
            save(path, truth)
            _drop_oldest(path.parent)
        except OSError as error:  # costs time later, never the run
            log.warning("Parsed annotations are not kept for the next time: %s", error)
    return truth


def save(path: Path, truth: GroundTruth) -> None:
    boxes = truth.boxes if isinstance(truth.boxes, Boxes) else Boxes.of(truth.boxes)
    with replacing(path) as partial, open(partial, "wb") as file:
        np.savez(
            file,
            ids=np.frombuffer("\0".join(truth.ids).encode(), np.uint8),
            targets=np.packbits(truth.targets.astype(bool)),
            shape=np.array(truth.targets.shape),
            offsets=boxes.offsets,
            classes=boxes.classes,
            corners=boxes.corners,
        )


def load(path: Path) -> GroundTruth:
    with np.load(path, allow_pickle=False) as file:
        rows, columns = file["shape"].tolist()
        ids = tuple(file["ids"].tobytes().decode().split("\0")) if rows else ()
        targets = (
            np.unpackbits(file["targets"], count=rows * columns).reshape(rows, columns).astype(np.float32)
        )
        return GroundTruth(ids, targets, Boxes(file["offsets"], file["classes"], file["corners"]))


def _digest(sources: Iterable[Path], how: str) -> str:
    digest = hashlib.blake2b(how.encode(), digest_size=16)
    for path in map(os.path.abspath, sources):
        try:
            facts = os.stat(path)
            digest.update(f"{path}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
        except OSError:
            digest.update(f"{path}\0missing\n".encode())
    return digest.hexdigest()


def _drop_oldest(folder: Path) -> None:
    for file in sorted(folder.glob("*.npz"), key=lambda file: file.stat().st_mtime, reverse=True)[
        FILES_KEPT:
    ]:
        file.unlink(missing_ok=True)
