"""Data sets of Hugging Face's library `datasets` on the disk: `hf:ROOT`.

ROOT is a folder that `save_to_disk` wrote, or one of the hub with Parquet files. The pictures lie in a column
of the tables. They are unpacked on first use into a folder of `CCD_HOME`, bytes as they are, and then read
like any picture. The labels are in a column of class labels or of names, one or several for each picture.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from filelock import FileLock

from ccd_core.data.decoding.formats import FORMATS, SNIFFED_BYTES, SUFFIXES, format_of, why_left_out
from ccd_core.data.kinds.folder import list_of
from ccd_core.data.kinds.hugging_face_tables import Shards, features_of, find_shards, rows_of, schema_of
from ccd_core.data.kinds.layouts import dataset_of
from ccd_core.data.listing.class_names import read_class_list
from ccd_core.data.listing.names import count_of, shown, some
from ccd_core.data.listing.text_files import clean
from ccd_core.data.types import Boxes, Dataset, GroundTruth, Progress
from ccd_core.errors import UserError
from ccd_core.files import write_json
from ccd_core.paths import home, private_folder

VERSION = 1  # of what is unpacked
LABEL_COLUMNS = (
    "labels", "label", "classes", "class", "categories", "category", "tags", "tag", "objects", "class_name",
    "class_names", "label_name", "label_names", "fine_label", "species",
)  # fmt: skip
IMAGE_COLUMNS = ("image", "img", "picture", "photo", "jpg", "jpeg", "png", "webp")
NO_BYTES = "its row names a file and does not hold the picture"
NO_PICTURE = "its bytes are no picture"
SUFFIX_OF = {name: suffixes[0] for name, suffixes in SUFFIXES.items()} | {
    "JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif", "GIF": ".gif",
}  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """Where pictures and labels are. path: the label's column and the fields in it. names: of numbers."""

    image: str
    path: tuple[str, ...] = ()
    names: tuple[str, ...] | None = None
    others: tuple[str, ...] = ()  # columns that could have been the labels


@dataclass
class Unpacked:
    """One split: its files, and the labels of each as numbers or names; None where a row has no label."""

    files: list[str] = field(default_factory=list)
    labels: list[list[int | str] | None] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def open_hugging_face(
    spec: str, root: Path, classes: Path | None = None, progress: Progress | None = None
) -> Dataset:
    """Open a data set of the library `datasets`, and unpack its pictures if that was not done before.

    `classes` is a file of class names; without it, classes.txt in `root` is one, and then the names that the
    data set itself has. Raises UserError if the data set cannot be understood or its pictures not unpacked.
    """
    if not root.is_dir():
        raise UserError(f"There is no folder {shown(root)}.")
    shards, notes = find_shards(root)
    columns = find_columns(root, next(iter(shards.values())))
    for split in shards.values():
        _check_columns(split, columns)
    place, unpacked = _unpacked(root, shards, columns, progress)
    names, source, more = _class_names(root, classes, columns, unpacked)
    targets = _Targets(names, columns)
    rows = {split: [targets.of(labels) for labels in one.labels] for split, one in unpacked.items()}
    images = {split: list_of(place, one.files) for split, one in unpacked.items() if one.files}
    if not images:
        raise UserError(_no_pictures(root, columns, unpacked))

    def read(split: str) -> GroundTruth | None:
        labelled = [(name, row) for name, row in zip(images[split].ids, rows[split]) if row is not None]
        if not labelled:
            return None
        return GroundTruth(
            tuple(name for name, _ in labelled),
            np.stack([row for _, row in labelled]),
            Boxes.none(len(labelled)),
        )

    notes = [_taken_for(root, shards, images, columns, names, source), *more, *notes, *targets.notes()]
    notes += _other_notes(root, columns, unpacked)
    left_out = {name: why for one in unpacked.values() for name, why in one.left_out.items()}
    return dataset_of(spec, names, images, read, notes, left_out)  # type: ignore[arg-type]


# -- which columns -----------------------------------------------------------------------------------


def find_columns(root: Path, shards: Shards) -> Columns:
    """The columns of pictures and labels. Raises UserError if there is none of pictures."""
    schema = schema_of(shards.files[0])
    features = features_of(root, shards)
    images = [
        name for name in schema.names if _is_image(features.get(name), schema.field(name).type, name)
    ]  # the first one is taken
    if not images:
        raise UserError(
            f"{shown(shards.files[0])} has no column with the bytes of pictures; its columns are "
            f"{some(schema.names)}."
        )
    found = [
        (path, names)
        for name in schema.names
        if name not in images
        for path, names in _labels_in((name,), features.get(name), schema.field(name).type)
    ]
    # Class labels with names come first, then the usual words.
    found.sort(key=lambda entry: (entry[1] is None, _place_of(entry[0][0])))
    others = tuple(".".join(path) for path, _ in found[1:])
    if not found:
        return Columns(images[0])
    return Columns(images[0], found[0][0], found[0][1], others)


def _place_of(column: str) -> int:
    return LABEL_COLUMNS.index(column.lower()) if column.lower() in LABEL_COLUMNS else len(LABEL_COLUMNS)


def _is_image(feature: Any, kind: pa.DataType, name: str) -> bool:
    if pa.types.is_struct(kind):
        has_bytes = kind.get_field_index("bytes") >= 0 and _is_binary(kind.field("bytes").type)
        is_known = isinstance(feature, dict) and feature.get("_type") == "Image"
        return has_bytes and (is_known or feature is None)
    return _is_binary(kind) and name.lower() in IMAGE_COLUMNS


def _is_binary(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _labels_in(
    path: tuple[str, ...], feature: Any, kind: pa.DataType
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...] | None]]:
    """(path, names of its numbers or None) of each place in a column that may hold labels."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _labels_in(path, _inner(feature), kind.value_type)
    elif pa.types.is_struct(kind):
        fields = _inner(feature)
        for place in range(kind.num_fields):
            name = kind.field(place).name
            inner = fields.get(name) if isinstance(fields, dict) else None
            yield from _labels_in((*path, name), inner, kind.field(place).type)
    elif isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and pa.types.is_integer(kind):
        names = feature.get("names")
        is_named = isinstance(names, list) and names and all(isinstance(name, str) for name in names)
        yield path, tuple(names) if is_named and isinstance(names, list) else None
    elif path[-1].lower() in LABEL_COLUMNS and (
        pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)
    ):
        yield path, None


def _inner(feature: Any) -> Any:
    """What a list holds, in any of the forms that versions of the library write."""
    if isinstance(feature, list):
        return feature[0] if feature else None
    if isinstance(feature, dict) and feature.get("_type") in ("Sequence", "List", "LargeList"):
        return feature.get("feature")
    return feature


def _check_columns(shards: Shards, columns: Columns) -> None:
    """Raises UserError if a file of a split has other columns than the first one."""
    wanted = {columns.image, *columns.path[:1]}
    for path in shards.files:
        if missing := wanted - set(schema_of(path).names):
            raise UserError(f"{shown(path)} lacks the column {some(sorted(missing))}, which others have.")


# -- unpacking ---------------------------------------------------------------------------------------


def _unpacked(
    root: Path, shards: dict[str, Shards], columns: Columns, progress: Progress | None
) -> tuple[Path, dict[str, Unpacked]]:
    """The folder of the unpacked pictures, and what was unpacked; done once, until the tables change."""
    place = home() / "hugging_face" / _digest(shards, columns)
    try:
        private_folder(place)
        with FileLock(place.with_suffix(".lock")):
            known = _read_index(place)
            if known is None:
                known = _unpack(place, shards, columns, progress)
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
    free = shutil.disk_usage(place).free
    if needed > free:
        raise UserError(
            f"The pictures take about {needed / 2**20:,.0f} MiB unpacked, but {shown(place)} has only "
            f"{free / 2**20:,.0f} MiB free; name another folder with CCD_HOME."
        )
    done = 0
    result = {}
    for split, one in shards.items():
        result[split] = Unpacked()
        (place / split).mkdir(exist_ok=True)
        row = 0
        for path in one.files:
            for batch in rows_of(path, [columns.image, *columns.path[:1]]):
                row = _unpack_rows(place, split, row, batch, columns, path, result[split])
            done += path.stat().st_size
            if progress:
                progress(done, needed)
    os.sync()  # before the index says that all of them are there
    write_json(place / "index.json", {split: asdict(one) for split, one in result.items()})
    return result


def _unpack_rows(
    place: Path, split: str, row: int, batch: pa.RecordBatch, columns: Columns, table: Path, into: Unpacked
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
        name += SUFFIX_OF[kind]
        (place / name).write_bytes(content)
        os.utime(place / name, ns=(changed, changed))
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


# -- classes -----------------------------------------------------------------------------------------


def _class_names(
    root: Path, given: Path | None, columns: Columns, unpacked: dict[str, Unpacked]
) -> tuple[tuple[str, ...], Path | None, list[str]]:
    """The classes, the file that they come from or None, and sentences about that file."""
    listed = given or root / "classes.txt"
    if given is not None or listed.is_file():
        return read_class_list(listed)[0], listed, read_class_list(listed)[1]
    values = {value for one in unpacked.values() for labels in one.labels for value in labels or []}
    if columns.names is not None:
        names = tuple(map(clean, columns.names))
    elif not columns.path:
        raise UserError(
            f"{shown(root)} has pictures and no labels; write the names of the classes, one a line, into "
            f"{shown(listed)}, or give a file with --classes."
        )
    elif any(isinstance(value, int) for value in values):
        raise UserError(
            f"The labels of {shown(root)} are numbers, and nothing tells their names; write the names, one a "
            f"line and that of number 0 first, into {shown(listed)}."
        )
    else:
        names = tuple(sorted({clean(str(value)) for value in values} - {""}))
    twice = [name for name, count in Counter(name.casefold() for name in names).items() if count > 1]
    if twice or "" in names or not names:
        what = f"names a class twice ({some(twice)})" if twice else "has a class without a name"
        if not names:
            what = f"has no label in the column {columns.path[0]}"
        raise UserError(
            f"{shown(root)} {what}; write the names of the classes, one a line, into {shown(listed)}."
        )
    return names, None, []


class _Targets:
    """Makes targets, float32 [C], of the labels of a picture, and counts what fits no class."""

    def __init__(self, names: tuple[str, ...], columns: Columns):
        self.column = {name.casefold(): place for place, name in enumerate(names)}
        self.count = len(names)
        # A list of numbers is in the order of classes.txt only where the data set has no names of its own.
        self.names = names if columns.names is None else tuple(map(clean, columns.names))
        self.unknown: Counter[str] = Counter()

    def of(self, labels: list[int | str] | None) -> np.ndarray | None:
        if labels is None:
            return None
        targets = np.zeros(self.count, np.float32)
        for label in labels:
            name = clean(label) if isinstance(label, str) else self._name_of(label)
            column = self.column.get(name.casefold())
            if column is None:
                self.unknown[name] += 1
            else:
                targets[column] = 1
        return targets

    def _name_of(self, number: int) -> str:
        return self.names[number] if 0 <= number < len(self.names) else str(number)

    def notes(self) -> list[str]:
        if not self.unknown:
            return []
        labels = count_of(sum(self.unknown.values()), "label")
        return [f"Left out: {labels} of classes that are not in the list ({some(sorted(self.unknown))})."]


# -- sentences ---------------------------------------------------------------------------------------


def _taken_for(
    root: Path,
    shards: dict[str, Shards],
    images: dict[str, Any],
    columns: Columns,
    names: tuple[str, ...],
    source: Path | None,
) -> str:
    files = [path for one in shards.values() for path in one.files]
    form = "Parquet" if files[0].suffix == ".parquet" else "Arrow"
    counts = ", ".join(
        f"{count_of(len(one), 'image')} of {shards[split].word}" for split, one in images.items()
    )
    labels = f"labels in {'.'.join(columns.path)!r}" if columns.path else "no labels"
    where = f" of {shown(source)}" if source else ""
    return (
        f"Taken for a data set of Hugging Face in {count_of(len(files), f'{form} file')}: {counts}, pictures "
        f"in the column {columns.image!r}, {labels}, {count_of(len(names), 'class', 'classes')}{where} "
        f"({some(names)})."
    )


def _other_notes(root: Path, columns: Columns, unpacked: dict[str, Unpacked]) -> list[str]:
    notes = []
    if columns.others:
        notes.append(f"Not read: {some(columns.others)}, which could be labels too.")
    if len(columns.path) > 1:
        notes.append(f"The boxes in {columns.path[0]!r} are not read, for nothing tells their form.")
    for reason, count in Counter(why for one in unpacked.values() for why in one.left_out.values()).items():
        notes.append(f"Left out: {count_of(count, 'row')}, because {reason}.")
    scripts = sorted(path.name for path in root.glob("*.py"))
    if scripts:
        notes.append(f"Not run: {some(scripts)}. Only tables are read.")
    return notes


def _no_pictures(root: Path, columns: Columns, unpacked: dict[str, Unpacked]) -> str:
    reasons = Counter(why for one in unpacked.values() for why in one.left_out.values())
    if not reasons:
        return f"The tables of {shown(root)} have no rows."
    reason, count = reasons.most_common(1)[0]
    return f"{shown(root)} has no pictures: {count_of(count, 'row')} left out, because {reason}."
