"""Stage `scores`: predictions of the kept model, and how good they and the labels are."""

from __future__ import annotations

import numpy as np
import pytest

from ccd_core.data import open_dataset
from ccd_core.evaluation.metrics import mean_average_precision
from ccd_core.predict.predictor import Predictor


def test_stored_scores_are_the_predictions_of_the_kept_model(tiny_run):
    images = open_dataset(tiny_run.config.data.spec).splits["val"]
    stored = tiny_run.load_scores("val")
    assert stored["ids"].tolist() == list(images.ids)
    predictions = Predictor.open(tiny_run.path, device="cpu").predict(list(images.paths))
    scores = np.stack([prediction.scores for prediction in predictions])
    np.testing.assert_allclose(scores, stored["scores"], atol=1e-4)


def test_the_report_measures_predictions_and_each_kind_of_label(tiny_run):
    dataset = open_dataset(tiny_run.config.data.spec)
    report = tiny_run.load_ap()
    labels = tiny_run.load_labels()
    assert report["epoch"] == 3 and list(report["labels"]) == ["global", "initial", "local", "final"]
    targets = dataset.ground_truth("train").rows(labels["ids"].tolist())
    for kind in ("initial", "final"):
        expected = 100 * mean_average_precision(labels[kind], targets)
        assert report["labels"][kind]["mAP"] == pytest.approx(expected, abs=1e-3)
    stored = tiny_run.load_scores("val")
    expected = mean_average_precision(stored["scores"], dataset.ground_truth("val").targets)
    assert report["val"]["mAP"] == pytest.approx(100 * expected, abs=1e-3)
