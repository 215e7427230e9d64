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


def test_no_name_is_a_formula_in_a_spreadsheet():
    names = ["=1+1.jpg", "+a", "-a", "@a", "\t=a", "a=b", "'a"]
    classes = ("=cmd", "dog", "bird")
    text = as_csv([(name, np.array([0.9, 0.2, 0.1])) for name in names], classes, Thresholds({}), True)
    table = list(csv.reader(io.StringIO(text)))
    assert table[0] == ["image", "labels", "'=cmd", "dog", "bird"]
    assert [row[0] for row in table[1:]] == ["'=1+1.jpg", "'+a", "'-a", "'@a", "'\t=a", "a=b", "'a"]
    assert {row[1] for row in table[1:]} == {"'=cmd"}
    plain = list(csv.reader(io.StringIO(as_csv([("=1+1.jpg", np.zeros(3))], classes, Thresholds({})))))
    assert plain[0][2] == "=cmd" and plain[1][0] == "=1+1.jpg"  # for other programs
