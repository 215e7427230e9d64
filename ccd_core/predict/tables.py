"""Predictions as CSV and as JSON records. The command line, the app and the Gradio API write the same."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from ccd_core.evaluation.thresholds import Thresholds

CSV_FORMAT = (
    "One row an image: its name, its labels (the surest first, joined by ;), then one column a class with "
    "the score from 0 to 1. UTF-8, comma-separated."
)
UNLIKE = "unlike_training"
FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the beginning of a formula


def spreadsheet_text(text: str) -> str:
    """Text as a spreadsheet shows it, and never runs it: with an apostrophe before what begins as a formula.

    >>> spreadsheet_text("=1+1.jpg")
    "'=1+1.jpg"
    """
    return "'" + text if text.startswith(FORMULA_BEGINS) else text


def as_csv(
    rows: Iterable[tuple[str, np.ndarray]],
    classes: Sequence[str],
    thresholds: Thresholds,
    for_spreadsheets: bool = False,
    unlike: Collection[str] | None = None,
) -> str:
    """A CSV table with the columns image, labels, one for each class and, with `unlike`, unlike_training.

    rows: (name of the image, scores [C]). for_spreadsheets: names of files and classes that begin as a
    formula does have an apostrophe before them; without it they are as they are, for other programs. unlike:
    names of the images that are unlike the training images; they have a 1 in the last column, others a 0.
    """
    shown = spreadsheet_text if for_spreadsheets else str
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    last = [] if unlike is None else [UNLIKE]
    table.writerow(["image", "labels", *map(shown, classes), *last])
    for name, scores in rows:
        labels = ";".join(thresholds.labels(classes, scores))
        mark = [] if unlike is None else [int(name in unlike)]
        table.writerow([shown(name), shown(labels), *(f"{score:.5f}" for score in scores), *mark])
    return file.getvalue()


def as_records(
    rows: Iterable[tuple[str, np.ndarray]],
    classes: Sequence[str],
    thresholds: Thresholds,
    unlike: Collection[str] | None = None,
) -> list[dict[str, Any]]:
    """One record for each image: {"image": name, "labels": [...], "scores": {class: score}}.

    rows: (name of the image, scores [C]). unlike: as in `as_csv`; with it, records have "unlike_training".
    """
    return [
        {
            "image": name,
            "labels": thresholds.labels(classes, scores),
            "scores": {cls: round(float(score), 5) for cls, score in zip(classes, scores, strict=True)},
            **({} if unlike is None else {UNLIKE: name in unlike}),
        }
        for name, scores in rows
    ]
