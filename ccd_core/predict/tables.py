"""Predictions as files: the same CSV and JSON from the command line, the page Predict and Gradio's API."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ccd_core.evaluation.thresholds import Thresholds

CSV_FORMAT = "One row an image: its name, its labels (surest first, joined by ;), then one column a class with the score from 0 to 1. UTF-8, comma-separated."


def as_csv(rows: Iterable[tuple[str, np.ndarray]], classes: Sequence[str], thresholds: Thresholds) -> str:
    """rows: (name of the image, scores [C]). Columns: image, labels, and one a class."""
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["image", "labels", *classes])
    for name, scores in rows:
        table.writerow(
            [name, ";".join(thresholds.labels(classes, scores)), *(f"{score:.5f}" for score in scores)]
        )
    return file.getvalue()


def as_records(
    rows: Iterable[tuple[str, np.ndarray]], classes: Sequence[str], thresholds: Thresholds
) -> list[dict[str, Any]]:
    """One {"image", "labels", "scores": {class: score}} an image."""
    return [
        {
            "image": name,
            "labels": thresholds.labels(classes, scores),
            "scores": {cls: round(float(score), 5) for cls, score in zip(classes, scores, strict=True)},
        }
        for name, scores in rows
    ]
