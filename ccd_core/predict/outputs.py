"""Predictions of any number of images as CSV, JSON Lines and Parquet, written row by row."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ccd_core.errors import UserError
from ccd_core.evaluation.thresholds import Thresholds
from ccd_core.files import replacing
from ccd_core.predict.plan import Row

GROUP_ROWS = 4096  # of a Parquet file, in memory at once
BOXES = "boxes"
Write = Callable[[Row, list[str]], None]  # an image and its labels


def write_outputs(
    rows: Iterator[Row],
    outputs: dict[str, Path],
    errors: Path,
    classes: Sequence[str],
    limits: Thresholds,
    boxes: bool,
) -> tuple[int, int]:
    """Write the images that could be used to every output, and the others with their reason to `errors`.

    outputs: {"csv", "jsonl" or "parquet": file}. Each file is written completely or not at all. `errors` is
    removed if every image could be used. Returns the numbers of both kinds of images. Raises UserError if a
    file cannot be written.
    """
    good = 0
    bad = 0
    try:
        with ExitStack() as stack:
            writers = [
                stack.enter_context(WRITERS[kind](path, classes, boxes)) for kind, path in outputs.items()
            ]
            reasons = csv.writer(stack.enter_context(_text_file(errors)), lineterminator="\n")
            reasons.writerow(["image", "reason"])
            for row in rows:
                if row.error is not None:
                    reasons.writerow([row.image, row.error])
                    bad += 1
                    continue
                labels = limits.labels(classes, np.asarray(row.scores, np.float32))
                for write in writers:
                    write(row, labels)
                good += 1
    except OSError as error:
        raise UserError(f"{error.filename or errors} cannot be written: {error.strerror}.") from None
    if not bad:
        errors.unlink(missing_ok=True)
    return good, bad


@contextmanager
def _text_file(path: Path):  # type: ignore[no-untyped-def]
    with replacing(path) as partial, open(partial, "w", encoding="utf-8", newline="") as file:
        yield file


@contextmanager
def _csv(path: Path, classes: Sequence[str], boxes: bool) -> Iterator[Write]:
    """The columns image, labels, boxes if asked for, and one for each class."""
    with _text_file(path) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["image", "labels", *([BOXES] if boxes else []), *classes])

        def write(row: Row, labels: list[str]) -> None:
            found = [";".join(map(_box_text, _boxes(row, labels)))] if boxes else []
            scores = (f"{score:.5f}" for score in row.scores)
            table.writerow([row.image, ";".join(labels), *found, *scores])

        yield write


@contextmanager
def _json_lines(path: Path, classes: Sequence[str], boxes: bool) -> Iterator[Write]:
    """One record a line, as `ccd predict --json` prints them, with {label: box} if asked for."""
    with _text_file(path) as file:

        def write(row: Row, labels: list[str]) -> None:
            scores = {name: round(score, 5) for name, score in zip(classes, row.scores, strict=True)}
            record = {"image": row.image, "labels": labels, "scores": scores}
            if boxes:
                record[BOXES] = dict(zip(labels, _boxes(row, labels), strict=True))
            file.write(json.dumps(record, ensure_ascii=False) + "\n")

        yield write


@contextmanager
def _parquet(path: Path, classes: Sequence[str], boxes: bool) -> Iterator[Write]:
    """The columns image, labels (a list), boxes (a list in the order of labels), and one for each class.

    A class that is called as one of the other columns has "score of" before its name.
    """
    fixed = ["image", "labels", BOXES] if boxes else ["image", "labels"]
    columns = [f"score of {name}" if name in fixed else name for name in classes]
    fields = [pa.field("image", pa.string()), pa.field("labels", pa.list_(pa.string()))]
    if boxes:
        fields.append(pa.field(BOXES, pa.list_(pa.list_(pa.float32()))))
    schema = pa.schema(fields + [pa.field(name, pa.float32()) for name in columns])
    waiting: list[tuple[Row, list[str]]] = []
    with replacing(path) as partial, pq.ParquetWriter(partial, schema) as file:

        def flush() -> None:
            scores = np.array([row.scores for row, _ in waiting], np.float32).reshape(-1, len(classes))
            arrays = [
                pa.array([row.image for row, _ in waiting], pa.string()),
                pa.array([labels for _, labels in waiting], pa.list_(pa.string())),
            ]
            if boxes:
                arrays.append(pa.array([_boxes(*one) for one in waiting], schema.field(BOXES).type))
            file.write_table(pa.Table.from_arrays([*arrays, *map(pa.array, scores.T)], schema=schema))
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
