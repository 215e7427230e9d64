"""Files are written completely or not at all: under a temporary name, then synced to the disk and renamed.

So a reader never sees a half-written file. Content can be streamed to the file and need not be in memory at
once. All files have the permissions that the user's umask gives; what is private lies in a folder of
`paths.private_folder`.
"""

from __future__ import annotations

import json
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError

from ccd_core.errors import UserError

# What parsers raise for damaged files. json, pandas and pyarrow raise ValueError, and pyarrow also
# LookupError. numpy raises MemoryError for a header that promises more than there is, json RecursionError for
# many brackets.
PARSER_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    MemoryError,
    OverflowError,
    RecursionError,
    SafetensorError,
    zipfile.BadZipFile,
    zlib.error,
)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to.

    It takes the place of `path` when the block ends, and is removed if the block fails. Who may read the file
    is as the user's umask says, whatever the library that writes it thinks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        yield partial
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        with suppress(OSError):  # on a disk without permissions
            partial.chmod(mode)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a file completely or not at all."""
    with replacing(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file. Raises ValueError for NaN and infinite numbers, which JSON does not have."""
    write_atomic(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write an .npz file of arrays."""
    with replacing(path) as partial, open(partial, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise UserError if the block cannot read `path`, a file of a run, whatever error its parser raises."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path} is gone; its run was deleted or moved.") from None
    except PermissionError:
        raise UserError(f"{path} may not be read by this user; change its permissions.") from None
    except PARSER_ERRORS:
        raise UserError(
            f"{path} is damaged; delete this file and `ccd run --resume --out RUN` makes it again, "
            "or put a copy in its place."
        ) from None


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file. Raises UserError if it is missing or damaged."""
    with reading(path):
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        if any(array.dtype.kind == "f" and np.isinf(array).any() for array in arrays.values()):
            raise ValueError("infinite values")
    return arrays
