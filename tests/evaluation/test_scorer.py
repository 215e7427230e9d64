"""The scorer: predictions are compared with ground truth where there is any, image by image."""

from __future__ import annotations

import numpy as np
import pytest

from ccd_core.data import open_dataset
from ccd_core.evaluation.scorer import Scorer
from tests.make_datasets import photos


@pytest.fixture
def scorer(tmp_path) -> Scorer:
    """Of four images three are labelled, and no image shows the third class."""
    photos(tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    (tmp_path / "classes.txt").write_text("cat\ndog\nbird\n")
    (tmp_path / "labels.csv").write_text("file,labels\na.jpg,cat\nb.jpg,dog\nc.jpg,cat;dog\n")
    return Scorer(open_dataset(f"folder:{tmp_path}"))


def test_images_without_ground_truth_count_for_nothing(scorer):
    ids = ("a.jpg", "b.jpg", "c.jpg", "d.jpg")
    right = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.7, 0.6, 0], [1, 1, 1]])
    assert scorer.mean_ap("train", ids, right) == 1
    other_last_row = right.copy()
    other_last_row[3] = 0
    assert scorer.report("train", ids, right) == scorer.report("train", ids, other_last_row)


def test_the_order_of_the_images_is_told_by_their_names(scorer):
    scores = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.4, 0.6, 0]])
    report = scorer.report("train", ("a.jpg", "b.jpg", "c.jpg"), scores)
    assert report == scorer.report("train", ("c.jpg", "b.jpg", "a.jpg"), scores[::-1])


def test_a_report_is_in_percent_and_has_nothing_for_a_class_without_a_positive(scorer):
    report = scorer.report("train", ("a.jpg", "b.jpg"), np.array([[0.1, 0.1, 0.5], [0.9, 0.2, 0.5]]))
    assert report["AP"] == {"cat": 50.0, "dog": 100.0, "bird": None} and report["mAP"] == 75.0
    assert set(report) == {"mAP", "micro_AP", "F1", "AP"}


def test_without_ground_truth_there_is_no_report(scorer):
    assert scorer.report("train", ("d.jpg",), np.zeros((1, 3))) is None
    assert scorer.mean_ap("test", ("a.jpg",), np.zeros((1, 3))) is None
