"""The pictures of the tables as files in a folder of `CCD_HOME`, and the labels of each, written once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from filelock import FileLock

from ccd_core.data.decoding.formats import FORMATS, SNIFFED_BYTES, SUFFIXES, format_of, why_left_out
from ccd_core.data.kinds.hugging_face.columns import Columns
from ccd_core.data.kinds.hugging_face.tables import Shards, rows_of
from ccd_core.data.listing.names import shown
from ccd_core.data.types import Progress
from ccd_core.errors import UserError
from ccd_core.files import write_json
from ccd_core.paths import home, private_folder

VERSION = 1  # of what is unpacked
MOST_OF_ONE = 500_000_000  # bytes of a picture
# Tables shrink: one of a megabyte can hold a picture a million times. Photos hardly shrink, plain TIFFs may
# by ten times.
MOST_TIMES = 50  # bytes of the pictures for each byte of the tables
ALWAYS = 1_000_000_000  # bytes that pictures may take however small their tables are
KEPT_FREE = 500_000_000  # bytes of the disk that are left to others
NO_BYTES = "its row names a file and does not hold the picture"
NO_PICTURE = "its bytes are no picture"
SUFFIX_OF = {name: suffixes[0] for name, suffixes in SUFFIXES.items()} | {
    "JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif", "GIF": ".gif",
}  # fmt: skip


class Room:
    """How many bytes all pictures of a data set may take in a folder."""

    def __init__(self, place: Path, tables: int):
        """tables: bytes of the tables that the pictures come from. Raises UserError where they do not fit."""
        self.place = place
        self.most = MOST_TIMES * tables + ALWAYS
        self.taken = 0
        self._check_disk(tables)

    def take(self, count: int) -> None:
        """Raises UserError if `count` more bytes are too many."""
        self.taken += count
        if self.taken > self.most:
            raise UserError(
                f"The pictures take more than {self.most / 2**20:,.0f} MiB unpacked, which is more than "
                f"{MOST_TIMES} times their tables, as in a file that is made to fill a disk. If they are "
                "right, unpack them yourself and use folder:DIR."
            )

    def check(self) -> None:
        """Raises UserError if the disk is nearly full."""
        self._check_disk(0)

    def _check_disk(self, coming: int) -> None:
        free = shutil.disk_usage(self.place).free
        if coming + KEPT_FREE > free:
            raise UserError(
                f"The pictures take about {(self.taken + coming) / 2**20:,.0f} MiB unpacked, but "
                f"{shown(self.place)} has only {free / 2**20:,.0f} MiB free, of which "
                f"{KEPT_FREE / 2**20:,.0f} MiB are left to others; name another folder with CCD_HOME."
            )


@dataclass
class Unpacked:
    """One split: its files, and the labels of each as numbers or names; None where a row has no label."""

    files: list[str] = field(default_factory=list)
    labels: list[list[int | str] | None] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def unpacked(
    root: Path, shards: dict[str, Shards], columns: Columns, progress: Progress | None
) -> tuple[Path, dict[str, Unpacked]]:
    """The folder of the unpacked pictures, and what was unpacked; done once, until the tables change."""
    place = home() / "hugging_face" / _digest(shards, columns)
    try:
        private_folder(place)
        with FileLock(place.with_suffix(".lock")):
            known = _read_index(place)
            if known is None:
                try:
                    known = _unpack(place, shards, columns, progress)
                except BaseException:
                    shutil.rmtree(place, ignore_errors=True)
                    raise
    except OSError as error:
        raise UserError(
            f"The pictures of {shown(root)} cannot be unpacked into {shown(place)}: "
            f"{error.strerror or error}; name another folder with CCD_HOME."
        ) from None
    return place, known


def _digest(shards: dict[str, Shards], columns: Columns) -> str:
    digest = hashlib.blake2b(repr((VERSION, columns, FORMATS)).encode(), digest_size=10)
    for split, one in shards.items():
        for path in one.files:
            facts = path.stat()
            text = f"{split}\0{os.path.abspath(path)}\0{facts.st_size}\0{facts.st_mtime_ns}\n"
            digest.update(os.fsencode(text))
    return digest.hexdigest()


def _read_index(place: Path) -> dict[str, Unpacked] | None:
    """What was unpacked, if that was completed."""
    try:
        value = json.loads((place / "index.json").read_text(encoding="utf-8"))
        return {split: Unpacked(**one) for split, one in value.items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return None


def _unpack(
    place: Path, shards: dict[str, Shards], columns: Columns, progress: Progress | None
) -> dict[str, Unpacked]:
    needed = sum(path.stat().st_size for one in shards.values() for path in one.files)
    room = Room(place, needed)
    done = 0
    result = {}
    for split, one in shards.items():
        result[split] = Unpacked()
        (place / split).mkdir(exist_ok=True)
        row = 0
        for path in one.files:
            for batch in rows_of(path, [columns.image, *columns.path[:1]]):
                row = _unpack_rows(room, split, row, batch, columns, path, result[split])
                room.check()
            done += path.stat().st_size
            if progress:
                progress(done, needed)
    os.sync()  # before the index says that all of them are there
    write_json(place / "index.json", {split: asdict(one) for split, one in result.items()})
    return result


def _unpack_rows(
    room: Room, split: str, row: int, batch: pa.RecordBatch, columns: Columns, table: Path, into: Unpacked
) -> int:
    """Write the pictures of some rows, the first of which is number `row`. Returns the next number."""
    changed = table.stat().st_mtime_ns  # a run tells by the time whether a picture is still the same
    labels = batch.column(1).to_pylist() if columns.path else [None] * batch.num_rows
    pictures = batch.column(0)
    for number in range(batch.num_rows):
        name = f"{split}/{row + number:07d}"
        content = _bytes_of(pictures[number])
        if content is None:
            into.left_out[name] = NO_BYTES
            continue
        kind = format_of(content[:SNIFFED_BYTES])
        if kind is None or kind not in FORMATS:
            into.left_out[name] = NO_PICTURE if kind is None else why_left_out(kind)
            continue
        if len(content) > MOST_OF_ONE:
            into.left_out[name] = f"it has more than {MOST_OF_ONE // 10**6} MB"
            continue
        room.take(len(content))
        name += SUFFIX_OF[kind]
        (room.place / name).write_bytes(content)
        os.utime(room.place / name, ns=(changed, changed))
        into.files.append(name)
        into.labels.append(_values(labels[number], columns.path[1:]) if columns.path else None)
    return row + batch.num_rows


def _bytes_of(cell: pa.Scalar) -> bytes | None:
    if not cell.is_valid:
        return None
    value = cell["bytes"] if pa.types.is_struct(cell.type) else cell
    return value.as_py() if value.is_valid else None


def _values(entry: Any, fields: tuple[str, ...]) -> list[int | str] | None:
    """The labels in a cell, in a flat list. None if the cell is empty or says that nobody has labelled it."""
    if entry is None or entry == -1:
        return None
    if isinstance(entry, list):
        found = [_values(one, fields) for one in entry]
        return [value for values in found for value in values or []]
    if isinstance(entry, dict):
        return _values(entry.get(fields[0]), fields[1:])
    return [entry] if isinstance(entry, int | str) else None
