"""Predictions of any number of images as CSV, JSON Lines and Parquet, written row by row."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ccd_core.errors import UserError
from ccd_core.evaluation.thresholds import Thresholds
from ccd_core.files import replacing
from ccd_core.predict.plan import Row
from ccd_core.predict.tables import UNLIKE

NAMED = 3  # images unlike the training images that are named
GROUP_ROWS = 4096  # of a Parquet file, in memory at once
BOXES = "boxes"


class Columns(NamedTuple):
    """What a table has of each image, beside its name and labels."""

    classes: Sequence[str]
    boxes: bool  # the CAM box of each label
    unlike: bool  # whether it is unlike the training images


class Merged(NamedTuple):
    """How many images are in the outputs, and how many in the file of those that could not be used."""

    good: int
    bad: int
    unlike: int  # the training images
    named: list[str]  # the first of those


Write = Callable[[Row, list[str]], None]  # an image and its labels


def write_outputs(
    rows: Iterator[Row],
    outputs: dict[str, Path],
    errors: Path,
    columns: Columns,
    limits: Thresholds,
) -> Merged:
    """Write the images that could be used to every output, and the others with their reason to `errors`.

    outputs: {"csv", "jsonl" or "parquet": file}. Each file is written completely or not at all. `errors` is
    removed if every image could be used. Raises UserError if a file cannot be written.
    """
    good = 0
    bad = 0
    unlike = 0
    named: list[str] = []
    try:
        with ExitStack() as stack:
            writers = [stack.enter_context(WRITERS[kind](path, columns)) for kind, path in outputs.items()]
            reasons = csv.writer(stack.enter_context(_text_file(errors)), lineterminator="\n")
            reasons.writerow(["image", "reason"])
            for row in rows:
                if row.error is not None:
                    reasons.writerow([row.image, row.error])
                    bad += 1
                    continue
                labels = limits.labels(columns.classes, np.asarray(row.scores, np.float32))
                for write in writers:
                    write(row, labels)
                good += 1
                if row.unlike:
                    unlike += 1
                    named += [row.image] if len(named) < NAMED else []
    except OSError as error:
        raise UserError(f"{error.filename or errors} cannot be written: {error.strerror}.") from None
    if not bad:
        errors.unlink(missing_ok=True)
    return Merged(good, bad, unlike, named)


@contextmanager
def _text_file(path: Path) -> Iterator[TextIO]:
    with replacing(path) as partial, open(partial, "w", encoding="utf-8", newline="") as file:
        yield file


@contextmanager
def _csv(path: Path, columns: Columns) -> Iterator[Write]:
    """The columns image, labels, boxes if asked for, and one for each class."""
    with _text_file(path) as file:
        table = csv.writer(file, lineterminator="\n")
        last = [UNLIKE] if columns.unlike else []
        table.writerow(["image", "labels", *([BOXES] if columns.boxes else []), *columns.classes, *last])

        def write(row: Row, labels: list[str]) -> None:
            found = [";".join(map(_box_text, _boxes(row, labels)))] if columns.boxes else []
            mark = [int(bool(row.unlike))] if columns.unlike else []
            scores = (f"{score:.5f}" for score in row.scores)
            table.writerow([row.image, ";".join(labels), *found, *scores, *mark])

        yield write


@contextmanager
def _json_lines(path: Path, columns: Columns) -> Iterator[Write]:
    """One record a line, as `ccd predict --json` prints them, with {label: box} if asked for."""
    with _text_file(path) as file:

        def write(row: Row, labels: list[str]) -> None:
            scores = {name: round(score, 5) for name, score in zip(columns.classes, row.scores, strict=True)}
            record: dict[str, Any] = {"image": row.image, "labels": labels, "scores": scores}
            if columns.unlike:
                record[UNLIKE] = bool(row.unlike)
            if columns.boxes:
                record[BOXES] = dict(zip(labels, _boxes(row, labels), strict=True))
            file.write(json.dumps(record, ensure_ascii=False) + "\n")

        yield write


@contextmanager
def _parquet(path: Path, columns: Columns) -> Iterator[Write]:
    """The columns image, labels (a list), boxes (a list in the order of labels), and one for each class.

    A class that is called as one of the other columns has "score of" before its name.
    """
    fixed = ["image", "labels", BOXES, UNLIKE]
    names = [f"score of {name}" if name in fixed else name for name in columns.classes]
    fields = [pa.field("image", pa.string()), pa.field("labels", pa.list_(pa.string()))]
    if columns.boxes:
        fields.append(pa.field(BOXES, pa.list_(pa.list_(pa.float32()))))
    fields += [pa.field(name, pa.float32()) for name in names]
    if columns.unlike:
        fields.append(pa.field(UNLIKE, pa.bool_()))
    schema = pa.schema(fields)
    waiting: list[tuple[Row, list[str]]] = []
    with replacing(path) as partial, pq.ParquetWriter(partial, schema) as file:

        def flush() -> None:
            scores = np.array([row.scores for row, _ in waiting], np.float32).reshape(-1, len(names))
            arrays = [
                pa.array([row.image for row, _ in waiting], pa.string()),
                pa.array([labels for _, labels in waiting], pa.list_(pa.string())),
            ]
            if columns.boxes:
                arrays.append(pa.array([_boxes(*one) for one in waiting], schema.field(BOXES).type))
            arrays += map(pa.array, scores.T)
            if columns.unlike:
                arrays.append(pa.array([bool(row.unlike) for row, _ in waiting]))
            file.write_table(pa.Table.from_arrays(arrays, schema=schema))
            waiting.clear()

        def write(row: Row, labels: list[str]) -> None:
            waiting.append((row, labels))
            if len(waiting) == GROUP_ROWS:
                flush()

        yield write
        if waiting:
            flush()


WRITERS = {"csv": _csv, "jsonl": _json_lines, "parquet": _parquet}


def _boxes(row: Row, labels: list[str]) -> list[list[float] | None]:
    """The box of each label. None where its map is constant."""
    boxes = row.boxes or {}
    return [boxes.get(name) for name in labels]


def _box_text(box: list[float] | None) -> str:
    return "" if box is None else " ".join(f"{side:.4f}" for side in box)
