"""table.json, sweep.json and examples.npz: written, read back, and refused where they are damaged."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ccd_core.baselines.tables import (
    comparisons,
    mean_and_deviation,
    read_examples,
    read_sweep,
    read_table,
)
from ccd_core.errors import UserError
from tests.baselines.make_comparison import make_examples, make_sweep, make_table, write_comparison


@pytest.fixture
def folder(tmp_path):
    return write_comparison(tmp_path / "comparison")


def test_what_is_written_is_read_back(folder):
    assert read_table(folder) == make_table()
    assert read_sweep(folder) == make_sweep()
    for found, made in zip(read_examples(folder), make_examples(), strict=True):
        np.testing.assert_array_equal(found, made)
    assert comparisons(folder.parent) == [folder]


def test_mean_and_deviation_are_of_the_finished_runs():
    assert mean_and_deviation([80.0, 82.0, None]) == (81.0, pytest.approx(2**0.5), 2)
    assert mean_and_deviation([80.0]) == (80.0, None, 1)
    assert mean_and_deviation([None]) is None
    rows = {row.method: row for row in make_table().rows}
    assert rows["bce"].over_seeds() == (90.5, 0.5, 3)
    assert rows["cdul"].over_seeds().runs == 2 and rows["bce"].class_ap("house") is None
    assert rows["bce"].uses_labels and not rows["ccd"].uses_labels


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"kind": "sweep"}'])
def test_a_damaged_table_is_one_sentence(folder, damage):
    (folder / "table.json").write_text(damage)
    with pytest.raises(UserError, match=r"table\.json is damaged"):
        read_table(folder)


def test_a_score_above_100_is_refused(folder):
    table = json.loads((folder / "table.json").read_text())
    table["rows"][0]["runs"][0]["mAP"] = 101
    (folder / "table.json").write_text(json.dumps(table))
    with pytest.raises(UserError, match=r"rows\.0\.runs\.0\.mAP"):
        read_table(folder)


def test_a_folder_without_a_table_says_what_writes_one(tmp_path):
    with pytest.raises(UserError, match="`ccd table` writes it"):
        read_table(tmp_path)
    assert read_examples(tmp_path) is None and comparisons(tmp_path / "none") == []
