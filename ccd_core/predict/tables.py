"""Predictions as CSV and as JSON records. The command line, the app and the Gradio API write the same."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ccd_core.evaluation.thresholds import Thresholds

CSV_FORMAT = (
    "One row an image: its name, its labels (the surest first, joined by ;), then one column a class with "
    "the score from 0 to 1. UTF-8, comma-separated."
)
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
) -> str:
    """A CSV table with the columns image, labels, and one for each class.

    rows: (name of the image, scores [C]). for_spreadsheets: names of files and classes that begin as a
    formula does have an apostrophe before them; without it they are as they are, for other programs.
    """
    shown = spreadsheet_text if for_spreadsheets else str
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["image", "labels", *map(shown, classes)])
    for name, scores in rows:
        labels = ";".join(thresholds.labels(classes, scores))
        table.writerow([shown(name), shown(labels), *(f"{score:.5f}" for score in scores)])
    return file.getvalue()


def as_records(
    rows: Iterable[tuple[str, np.ndarray]], classes: Sequence[str], thresholds: Thresholds
) -> list[dict[str, Any]]:
    """One record for each image: {"image": name, "labels": [...], "scores": {class: score}}.

    rows: (name of the image, scores [C]).
    """
    return [
        {
            "image": name,
            "labels": thresholds.labels(classes, scores),
            "scores": {cls: round(float(score), 5) for cls, score in zip(classes, scores, strict=True)},
        }
        for name, scores in rows
    ]
