"""A prediction over many images as a folder of parts: what is to be done, and what is done already.

The folder has `plan.json`, the list of images, and one Parquet file for each part that is done. Every file is
written completely or not at all. So a prediction that is killed loses at most the parts that were at work,
and several processes on several machines may share the folder. When all parts are there, they are merged and
the folder is removed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from ccd_core.data.listing.find import stream_files
from ccd_core.data.listing.names import as_text
from ccd_core.errors import UserError
from ccd_core.files import reading, replacing, write_json
from ccd_core.runs.run import Run

PART_IMAGES = 512  # a prediction that is killed loses at most so many of each process
LIST = "images.list"  # paths as bytes, each followed by a zero byte
PLAN = "plan.json"
SCHEMA = pa.schema(
    [
        ("image", pa.string()),
        ("scores", pa.list_(pa.float32())),  # empty for an image that cannot be used
        ("error", pa.string()),
        ("unlike", pa.bool_()),  # the training images; null if the run does not say what those are like
        ("boxes", pa.string()),  # JSON: {label: [x0, y0, x1, y1] or null}, or null
    ]
)


@dataclass(frozen=True)
class Row:
    """One image of a part."""

    image: str
    scores: list[float]
    error: str | None
    unlike: bool | None  # the training images
    boxes: dict[str, list[float] | None] | None


@dataclass(frozen=True)
class Plan:
    """What is to be predicted, in `folder`. `Plan.open` reads one back."""

    folder: Path
    asked: dict[str, Any]  # what was asked for, as the command line put it
    images: int
    offsets: list[int]  # where the list has the first image of each part, in bytes
    left_out: dict[str, str]  # {name: why} of what looks like a picture and is not read

    @classmethod
    def make(cls, folder: Path, images: list[Path], asked: dict[str, Any]) -> Plan:
        """Write the list of `images`, which are files and folders, and the plan."""
        left_out: dict[str, str] = {}
        offsets = []
        count = 0
        place = 0
        with replacing(folder / LIST) as partial, open(partial, "wb") as file:
            for path in listed(images, left_out):
                if count % PART_IMAGES == 0:
                    offsets.append(place)
                place += file.write(os.fsencode(path) + b"\0")
                count += 1
        plan = cls(folder, asked, count, offsets, left_out)
        plan.write(asked)
        return plan

    def write(self, asked: dict[str, Any]) -> None:
        """Write plan.json, with what is asked for now."""
        stored = {"format": 1, "asked": asked, "images": self.images, "offsets": self.offsets}
        write_json(self.folder / PLAN, stored | {"left_out": self.left_out})

    @classmethod
    def open(cls, folder: Path) -> Plan:
        """Read the plan of a folder. Raises UserError if it is missing or damaged."""
        try:
            stored = json.loads((folder / PLAN).read_text(encoding="utf-8"))
            offsets = [int(offset) for offset in stored["offsets"]]
            return cls(
                folder, dict(stored["asked"]), int(stored["images"]), offsets, dict(stored["left_out"])
            )
        except FileNotFoundError:
            raise UserError(f"There is no prediction to go on with in {folder}.") from None
        except (OSError, ValueError, KeyError, TypeError):
            raise UserError(f"{folder / PLAN} is damaged; add --restart to begin again.") from None

    @property
    def parts(self) -> int:
        return len(self.offsets)

    def size_of(self, part: int) -> int:
        """The number of images of a part."""
        return min(PART_IMAGES, self.images - part * PART_IMAGES)

    def is_done(self, part: int) -> bool:
        return self._file(part).is_file()

    def done(self) -> int:
        """The number of images in parts that are done."""
        return sum(self.size_of(part) for part in range(self.parts) if self.is_done(part))

    def open_parts(self, shard: int = 0, shards: int = 1) -> list[int]:
        """The parts of a shard, counted from 0, that are still to be done."""
        return [part for part in range(shard, self.parts, shards) if not self.is_done(part)]

    def paths_of(self, part: int) -> list[Path]:
        """The images of a part."""
        end = self.offsets[part + 1] if part + 1 < self.parts else None
        with reading(self.folder / LIST), open(self.folder / LIST, "rb") as file:
            file.seek(self.offsets[part])
            content = file.read(-1 if end is None else end - self.offsets[part])
        return [Path(os.fsdecode(name)) for name in content.split(b"\0")[:-1]]

    def write_part(self, part: int, rows: list[Row]) -> None:
        """Write a part that is done."""
        columns = {
            "image": [row.image for row in rows],
            "scores": [row.scores for row in rows],
            "error": [row.error for row in rows],
            "unlike": [row.unlike for row in rows],
            "boxes": [None if row.boxes is None else json.dumps(row.boxes) for row in rows],
        }
        with replacing(self._file(part)) as partial:
            pq.write_table(pa.table(columns, SCHEMA), partial)

    def rows(self) -> Iterator[Row]:
        """The images of all parts in order, then what was left out. One part is in memory at a time."""
        for part in range(self.parts):
            path = self._file(part)
            with reading(path):
                table = pq.read_table(path)
            for row in table.to_pylist():
                boxes = None if row["boxes"] is None else json.loads(row["boxes"])
                yield Row(row["image"], row["scores"], row["error"], row["unlike"], boxes)
        for name, why in self.left_out.items():
            yield Row(name, [], why, None, None)

    def knows_likeness(self) -> bool:
        """Whether the rows say which images are unlike the training images."""
        return next((row.unlike is not None for row in self.rows() if row.error is None), False)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, part: int) -> Path:
        return self.folder / f"part-{part:06d}.parquet"


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """The right to make a plan or to merge one, for one process at a time.

    The lock lies beside the folder, because the folder is removed at the end.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = folder.with_name(f".{folder.name}.lock")
    with FileLock(path):
        yield
        if not folder.is_dir():
            path.unlink(missing_ok=True)


def listed(images: list[Path], left_out: dict[str, str]) -> Iterator[str]:
    """The paths of the images: files as they are given, and of a folder those in it and below it, sorted.

    Those behind links come after the others of the folder. What looks like a picture in a folder and is not
    read is added to `left_out`, with the reason.
    """
    for path in images:
        if not path.is_dir():
            yield os.fspath(path)
            continue
        of_folder: dict[str, str] = {}
        for name in stream_files(path, of_folder):
            yield os.path.join(path, name)
        left_out |= {as_text(os.path.join(path, name)): why for name, why in sorted(of_folder.items())}


def model_digest(run: Run) -> str:
    """What tells the kept model of a run from every other model."""
    path = run.file("checkpoints", "best.safetensors")
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError:
        raise UserError(
            f"Run {run.name} has no trained model yet (status {run.status}); let it finish, or resume it."
        ) from None


def text_of(path: Path) -> str:
    """The name of an image in tables."""
    return as_text(str(path))
