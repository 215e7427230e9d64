"""What was computed for a list of images is kept between runs: CLIP's embeddings, and the images decoded and resized.

The name of a kept file is a hash of all that its content depends on: settings, and path, size and time of every image. Both kinds
are read from the disk row by row, so keeping them costs no memory. Files go, oldest first, where together they are too large.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ccd_core.data.types import ImageList
from ccd_core.files import replacing, write_json
from ccd_core.paths import home

log = logging.getLogger("ccd")
LIMIT_BYTES = 4_000_000_000  # of embeddings


def _name(images: ImageList, depends_on: dict[str, Any]) -> str:
    digest = hashlib.blake2b(json.dumps(depends_on, sort_keys=True).encode(), digest_size=16)
    real = functools.cache(os.path.realpath)  # of a folder: once, not once an image in it
    for path in map(os.fspath, images.paths):
        folder, name = os.path.split(path)
        place = os.path.realpath(path) if os.path.islink(path) else os.path.join(real(folder), name)
        facts = _facts(path)
        digest.update(f"{place}\0{facts and facts.st_size}\0{facts and facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _facts(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def embeddings_file(images: ImageList, depends_on: dict[str, Any]) -> Path:
    """Where the embeddings of these images under these settings are kept, or would be."""
    return home() / "embeddings" / f"{_name(images, depends_on)}.npy"


def read(path: Path, count: int) -> np.ndarray | None:
    """The kept embeddings [count, D] float32, mapped from the disk, or None where there are none that can be read."""
    try:
        kept = np.load(path, mmap_mode="r", allow_pickle=False)
        path.touch()
    except (OSError, ValueError, EOFError):
        return None
    return kept if kept.ndim == 2 and len(kept) == count else None


def keep(path: Path, parts: Iterable[np.ndarray], count: int) -> None:
    """Write `parts`, together [count, D] float32; a cache that cannot be written costs time later, never the run."""
    try:
        with replacing(path) as partial, open(partial, "wb") as file:
            for part in parts:
                if not file.tell():
                    header = {
                        "descr": part.dtype.str,
                        "fortran_order": False,
                        "shape": (count, part.shape[1]),
                    }
                    np.lib.format.write_array_header_1_0(file, header)
                file.write(np.ascontiguousarray(part).data)
        _drop_oldest(path.parent, LIMIT_BYTES)
    except OSError as error:
        log.warning("CLIP's embeddings are not kept for the next run: %s", error)


class Decoded:
    """Images of one size on disk, [N, 3, S, S] uint8: decoded once and not once an epoch; read, not mapped, so that they take no memory."""

    def __init__(self, path: Path, size: int):
        self.file, self.shape = open(path, "rb"), (3, size, size)  # noqa: SIM115 - open as long as the pictures are used

    def rows(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """[len(indices), 3, S, S] uint8."""
        pixels = np.empty((len(indices), *self.shape), np.uint8)
        for row, index in zip(pixels, indices, strict=True):
            self.file.seek(int(index) * row.nbytes)
            self.file.readinto(row.reshape(-1).data)
        return pixels


def decoded_file(images: ImageList, size: int, limit_gb: float) -> Path | None:
    """Where these images at `size` x `size` are kept, or would be; None where they are larger than the limit or half of the free disk."""
    needed, folder = len(images) * 3 * size * size, home() / "decoded"
    if not needed or needed > limit_gb * 1e9:
        return None
    path = folder / f"{_name(images, {'size': size})}.u8"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return path if path.is_file() or 2 * needed < shutil.disk_usage(folder).free else None
    except OSError as error:
        log.warning("decoded images are not kept: %s", error)
        return None


def read_decoded(path: Path, count: int, size: int) -> tuple[Decoded, dict[str, str]] | None:
    """The kept pictures, and {id: reason} of those among the `count` that could not be used; None where they are not there, or not all."""
    try:
        unusable = json.loads(path.with_suffix(".json").read_text())
        if path.stat().st_size != (count - len(unusable)) * 3 * size * size:
            return None
        path.touch()
        return Decoded(path, size), unusable
    except (OSError, ValueError):
        return None


def store_decoded(path: Path, unusable: dict[str, str], limit_gb: float) -> None:
    """Say of the pictures just written to `path` which images are not among them, and make room."""
    write_json(path.with_suffix(".json"), unusable)
    _drop_oldest(path.parent, limit_gb * 1e9)


def _drop_oldest(folder: Path, limit: float) -> None:
    files = sorted(
        (file for file in folder.iterdir() if file.suffix in (".npy", ".u8")),
        key=lambda file: file.stat().st_mtime,
        reverse=True,
    )
    total = 0
    for file in files:
        total += file.stat().st_size
        if total > limit:
            file.unlink(missing_ok=True)
            file.with_suffix(".json").unlink(missing_ok=True)
