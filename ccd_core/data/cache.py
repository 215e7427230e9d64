"""A cache of what was computed for a list of images: CLIP's embeddings, and the images decoded and resized.

The name of a cached file is a hash of everything that its content depends on, namely the settings and the
path, size and modification time of every image. So a cached file can never be out of date. Both kinds of
files are read row by row from the disk, which costs no memory. If a folder grows too large, its oldest files
are removed.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ccd_core.data.types import ImageList
from ccd_core.files import replacing, write_json
from ccd_core.paths import home, private_folder

log = logging.getLogger("ccd")
DECODER = (
    b"decoder 2\n"  # of files other than JPEGs, some of which an earlier version decoded to other pixels
)
ABANDONED_SECONDS = 3600  # nobody writes any more to a file that has not grown for so long
LIMIT_BYTES = 4_000_000_000  # for all embeddings together


def _cache_key(images: ImageList, depends_on: dict[str, Any]) -> str:
    if images.bits is not None:
        depends_on = depends_on | {"bits": images.bits}
    digest = hashlib.blake2b(json.dumps(depends_on, sort_keys=True).encode(), digest_size=16)
    real_folder = functools.cache(os.path.realpath)  # one look-up for each folder, not for each image
    for path in map(os.fspath, images.paths):
        folder, name = os.path.split(path)
        real = os.path.realpath(path) if os.path.islink(path) else os.path.join(real_folder(folder), name)
        facts = _file_status(path)
        digest.update(os.fsencode(f"{real}\0{facts and facts.st_size}\0{facts and facts.st_mtime_ns}\n"))
        if not real.lower().endswith((".jpg", ".jpeg")):
            digest.update(DECODER)
    return digest.hexdigest()


def _file_status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def embeddings_file(images: ImageList, depends_on: dict[str, Any]) -> Path:
    """The cache file for embeddings of these images under the settings `depends_on`. It need not exist."""
    return private_folder(home() / "embeddings") / f"{_cache_key(images, depends_on)}.npy"


def read_embeddings(path: Path, count: int) -> np.ndarray | None:
    """The cached embeddings, float32 [count, D], memory-mapped. None if the file is missing or damaged."""
    try:
        cached = np.load(path, mmap_mode="r", allow_pickle=False)
        path.touch()
    except (OSError, ValueError, EOFError):
        return None
    return cached if cached.ndim == 2 and len(cached) == count else None


def store_embeddings(path: Path, parts: Iterable[np.ndarray], count: int) -> None:
    """Write `parts`, together float32 [count, D], to the cache.

    If they cannot be written, a warning is logged and the run goes on. The next run then computes them again.
    """
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
        log.warning("CLIP's embeddings could not be cached for the next run: %s", error)


class DecodedFile:
    """Images of one size in a file, uint8 [N, 3, S, S], so that they are decoded once and not once an epoch.

    Rows are read with `readinto`. A memory map would count as memory of the process.
    """

    def __init__(self, path: Path, size: int):
        self.file = open(path, "rb")  # noqa: SIM115 - stays open as long as the images are used
        self.shape = (3, size, size)

    def rows(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """The images `indices`, uint8 [len(indices), 3, S, S]."""
        pixels = np.empty((len(indices), *self.shape), np.uint8)
        for row, index in zip(pixels, indices, strict=True):
            self.file.seek(int(index) * row.nbytes)
            self.file.readinto(row.reshape(-1).data)
        return pixels


def decoded_file(images: ImageList, size: int, limit_gb: float) -> Path | None:
    """The cache file for these images at `size` x `size` pixels. It need not exist.

    None if the images would need more than `limit_gb` gigabytes, or more than half of the free disk space.
    """
    needed = len(images) * 3 * size * size
    if not needed or needed > limit_gb * 1e9:
        return None
    folder = private_folder(home() / "decoded")
    path = folder / f"{_cache_key(images, {'size': size})}.u8"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return path if path.is_file() or 2 * needed < shutil.disk_usage(folder).free else None
    except OSError as error:
        log.warning("Decoded images cannot be cached: %s", error)
        return None


def read_decoded(path: Path, count: int, size: int) -> tuple[DecodedFile, dict[str, str]] | None:
    """The cached images, and {id: reason} of those among the `count` that could not be used.

    None if the file is missing or incomplete.
    """
    try:
        unusable = json.loads(path.with_suffix(".json").read_text())
        if path.stat().st_size != (count - len(unusable)) * 3 * size * size:
            return None
        path.touch()
        return DecodedFile(path, size), unusable
    except (OSError, ValueError):
        return None


def finish_decoded(path: Path, unusable: dict[str, str], limit_gb: float) -> None:
    """Record which images are missing in the file just written to `path`, and remove old files."""
    write_json(path.with_suffix(".json"), unusable)
    _drop_oldest(path.parent, limit_gb * 1e9)


def _drop_oldest(folder: Path, limit_bytes: float) -> None:
    """Remove the oldest files until those that remain fit, and what killed processes were writing."""
    for partial in folder.glob(".*.partial"):
        with contextlib.suppress(OSError):  # another process may have removed it, or finished it
            if time.time() - partial.stat().st_mtime > ABANDONED_SECONDS:
                partial.unlink()
    files = sorted(
        (file for file in folder.iterdir() if file.suffix in (".npy", ".u8", ".partial")),
        key=lambda file: (file.suffix == ".partial", file.stat().st_mtime),
        reverse=True,
    )
    total = 0
    for file in files:
        total += file.stat().st_size
        if total > limit_bytes and file.suffix != ".partial":  # one that grows counts, and stays
            file.unlink(missing_ok=True)
            file.with_suffix(".json").unlink(missing_ok=True)
