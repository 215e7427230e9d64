"""Predictions as CSV and as records say the same."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from ccd_core.evaluation.thresholds import Thresholds
from ccd_core.predict.tables import as_csv, as_records

CLASSES = ("cat", "dog, large", "bird")
ROWS = [
    ("deep/a.jpg", np.array([0.25, 0.75, 0.5], np.float32)),
    ('odd, "b".jpg', np.array([0.1, 0.2, 0.3], np.float32)),
]
EACH = Thresholds({"cat": 0.2, "dog, large": 0.7, "bird": 0.6})


def test_labels_are_the_classes_at_or_above_their_threshold_surest_first():
    records = as_records(ROWS, CLASSES, EACH)
    assert [row["labels"] for row in records] == [["dog, large", "cat"], []]
    assert records[0]["scores"] == {"cat": 0.25, "dog, large": 0.75, "bird": 0.5}


def test_csv_and_records_hold_the_same_whatever_the_names_contain():
    table = list(csv.DictReader(io.StringIO(as_csv(ROWS, CLASSES, EACH))))
    for row, record in zip(table, as_records(ROWS, CLASSES, EACH), strict=True):
        assert row["image"] == record["image"]
        assert [name for name in row["labels"].split(";") if name] == record["labels"]
        assert {name: float(row[name]) for name in CLASSES} == pytest.approx(record["scores"])
