"""What CLIP computed for a list of images is kept between runs: a second run on the same images asks it nothing.

The name of a kept file is a hash of all that the numbers depend on: the teacher's weights, the settings of its input, and
path, size and time of every image. Files go, oldest first, where together they are larger than LIMIT_BYTES.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from ccd_core.data import ImageList, home
from ccd_core.runs import write_atomic

log = logging.getLogger("ccd")
LIMIT_BYTES = 4_000_000_000


def embeddings_file(images: ImageList, depends_on: dict[str, Any]) -> Path:
    """Where the embeddings of these images under these settings are kept, or would be."""
    digest = hashlib.blake2b(json.dumps(depends_on, sort_keys=True).encode(), digest_size=16)
    for path in images.paths:
        facts = path.stat()
        digest.update(f"{path.resolve()}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
    return home() / "embeddings" / f"{digest.hexdigest()}.npy"


def read(path: Path, count: int) -> np.ndarray | None:
    """The kept embeddings [count, D] float32, or None where there are none that can be read."""
    try:
        kept = np.load(path, allow_pickle=False)
        path.touch()
    except (OSError, ValueError, EOFError):
        return None
    return kept if kept.ndim == 2 and len(kept) == count else None


def keep(path: Path, embeddings: np.ndarray) -> None:
    """Write them; a cache that cannot be written costs time later, never the run."""
    buffer = io.BytesIO()
    np.save(buffer, embeddings)
    try:
        write_atomic(path, buffer.getvalue())
        _drop_oldest(path.parent)
    except OSError as error:
        log.warning("CLIP's embeddings are not kept for the next run: %s", error)


def _drop_oldest(folder: Path) -> None:
    files = sorted(folder.glob("*.npy"), key=lambda file: file.stat().st_mtime, reverse=True)
    total = 0
    for file in files:
        total += file.stat().st_size
        if total > LIMIT_BYTES:
            file.unlink(missing_ok=True)
