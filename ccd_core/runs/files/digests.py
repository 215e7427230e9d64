"""digests.json: what tells a run's results from those of another run, and from files that were changed.

A file of results can be whole and still be the wrong one: a copy from another run, or rows in another order.
So the digests of all results are written when a session ends. Readers compare them, and so does the next
session before it goes on. While a session works there are none, and runs of earlier versions have none.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from ccd_core.errors import UserError
from ccd_core.files import reading, write_json
from ccd_core.runs.files.documents import Digests, checked

FILE = "digests.json"
RESULTS = (
    "dataset.npz",
    "images.json",
    "global.npz",
    "bias.json",
    "view_threshold.json",
    "views.parquet",
    "labels.npz",
    "metrics.csv",
    "checkpoints/warmup.safetensors",
    "checkpoints/last.safetensors",
    "checkpoints/best.json",
    "checkpoints/best.safetensors",
    "scores/train.npz",
    "scores/val.npz",
    "scores/ap.json",
)


def write_digests(folder: Path) -> None:
    """Write digests.json for the results that are in the run's `folder`."""
    write_json(folder / FILE, {name: _digest(folder / name) for name in RESULTS if (folder / name).is_file()})


def remove_digests(folder: Path) -> list[str]:
    """Remove digests.json before the results change. Returns the names of results that are gone.

    Raises UserError if a result is not the run's own.
    """
    gone = []
    for name in _recorded(folder):
        if os.path.lexists(folder / name):
            check_digest(folder, name)
        else:
            gone.append(name)
    (folder / FILE).unlink(missing_ok=True)
    return gone


def check_digest(folder: Path, name: str) -> None:
    """Raise UserError if the file `name` is gone, or is not the one that the run wrote.

    Nothing is known of files that digests.json does not name.
    """
    recorded = _recorded(folder).get(name)
    if recorded is None:
        return
    path = folder / name
    with reading(path):
        digest = _digest(path)
    if digest != recorded:
        raise UserError(
            f"{path} is damaged or of another run: it is not the file that this run wrote; delete it and "
            "`ccd run --resume --out RUN` makes it again, or put the right file in its place."
        )


def _recorded(folder: Path) -> Mapping[str, str]:
    path = folder / FILE
    try:
        facts = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    with reading(path):
        return _read(path, facts.st_mtime_ns, facts.st_ino)


@lru_cache(maxsize=256)
def _read(path: Path, changed: int, inode: int) -> Mapping[str, str]:
    if not path.is_file():
        raise ValueError("no ordinary file")
    return checked(Digests, json.loads(path.read_text(encoding="utf-8")))


def _digest(path: Path) -> str:
    facts = path.stat()
    if not path.is_file():
        raise ValueError("no ordinary file")
    return _digest_of(path, facts.st_size, facts.st_mtime_ns, facts.st_ino)


@lru_cache(maxsize=4096)
def _digest_of(path: Path, size: int, changed: int, inode: int) -> str:
    """The file's digest. It is computed once for each size and time of change; a gigabyte takes a second."""
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()
