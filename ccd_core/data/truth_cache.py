"""A cache of parsed annotations: thousands of XML files or 300 MB of JSON are parsed once, until they change.

The name of a cached file is a hash of the name, size and modification time of every file that it was read
from. So a cached file can never be out of date.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ccd_core.data.types import Boxes, GroundTruth
from ccd_core.files import replacing
from ccd_core.paths import home, private_folder

log = logging.getLogger("ccd")
WORTH_CACHING_SECONDS = 0.2  # annotations that are parsed faster than this are not cached
MAX_FILES = 24
UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


def cached_truth(sources: Iterable[Path], how: str, read: Callable[[], GroundTruth]) -> GroundTruth:
    """Return the ground truth that `read()` parses from `sources`, or the cached result of an earlier call.

    `how` names everything else that the result depends on, such as the parser's version and the class names.
    """
    return cached_facts(sources, how, lambda: (read(), {}))[0]


def cached_facts(
    sources: Iterable[Path], how: str, read: Callable[[], tuple[GroundTruth, dict[str, Any]]]
) -> tuple[GroundTruth, dict[str, Any]]:
    """The same for `read()` that also returns facts, which can be written as JSON."""
    path = private_folder(home() / "ground_truth") / f"{_digest(sources, how)}.npz"
    try:
        result = load(path), load_facts(path)
        os.utime(path)
        return result
    except UNREADABLE:
        pass
    began = time.perf_counter()
    truth, facts = read()
    if time.perf_counter() - began > WORTH_CACHING_SECONDS:
        try:
            save(path, truth, facts)
            _drop_oldest(path.parent)
        except OSError as error:  # a full disk costs time later, but it does not stop the run
            log.warning("Parsed annotations could not be cached for the next time: %s", error)
    return truth, facts


def save(path: Path, truth: GroundTruth, facts: dict[str, Any] | None = None) -> None:
    """Write `truth` and `facts` to an .npz file."""
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
            facts=np.frombuffer(json.dumps(facts or {}).encode(), np.uint8),
        )


def load(path: Path) -> GroundTruth:
    """Read a file that `save` wrote. Raises one of `UNREADABLE` if it is missing or damaged."""
    with np.load(path, allow_pickle=False) as file:
        rows, columns = file["shape"].tolist()
        ids = tuple(file["ids"].tobytes().decode().split("\0")) if rows else ()
        targets = (
            np.unpackbits(file["targets"], count=rows * columns).reshape(rows, columns).astype(np.float32)
        )
        return GroundTruth(ids, targets, Boxes(file["offsets"], file["classes"], file["corners"]))


def load_facts(path: Path) -> dict[str, Any]:
    """The facts in a file that `save` wrote; none in one of an earlier version."""
    with np.load(path, allow_pickle=False) as file:
        return json.loads(file["facts"].tobytes()) if "facts" in file.files else {}


def _digest(sources: Iterable[Path], how: str) -> str:
    digest = hashlib.blake2b(how.encode(), digest_size=16)
    for path in map(os.path.abspath, sources):
        try:
            facts = os.stat(path)
            digest.update(os.fsencode(f"{path}\0{facts.st_size}\0{facts.st_mtime_ns}\n"))
        except OSError:
            digest.update(os.fsencode(f"{path}\0missing\n"))
    return digest.hexdigest()


def _drop_oldest(folder: Path) -> None:
    newest_first = sorted(folder.glob("*.npz"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in newest_first[MAX_FILES:]:
        file.unlink(missing_ok=True)
