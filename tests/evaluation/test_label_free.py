"""Thresholds without labels: what each way promises, and that ground truth has no part in them."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pytest

from ccd_core.evaluation import label_free, thresholds
from ccd_core.evaluation.label_free import WAYS, PseudoLabels
from ccd_core.evaluation.thresholds import Thresholds

RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.random((3000, 3)) < [0.3, 0.1, 0.2]
# Scores whose two groups part at 0.3, 0.3 and 0.6, and labels that are right nine times out of ten.
MIDDLE = np.log(np.array([0.3, 0.3, 0.6]) / (1 - np.array([0.3, 0.3, 0.6])))
LOGITS = MIDDLE + np.where(TRUTH, 1.5, -1.5) + 0.6 * RANDOM.standard_normal(TRUTH.shape)
SCORES = (1 / (1 + np.exp(-LOGITS))).astype(np.float32)
FINAL = np.where(RANDOM.random(TRUTH.shape) < 0.9, TRUTH, ~TRUTH & (RANDOM.random(TRUTH.shape) < 0.3))
LABELS = PseudoLabels(FINAL.astype(np.float32), FINAL.astype(np.float32))


@pytest.mark.parametrize("way", ["agreement", "mixture", "agreement_and_mixture"])
def test_the_gap_between_two_groups_of_scores_is_found(way):
    found = WAYS[way](SCORES, LABELS)
    assert np.abs(found - [0.3, 0.3, 0.6]).max() < 0.12
    right = (np.greater_equal(SCORES, found.astype(np.float32)) == TRUTH).mean()
    assert right > 0.97 and right > (np.greater_equal(SCORES, 0.5) == TRUTH).mean() + 0.01


def test_the_label_rate_is_that_of_the_labels():
    found = label_free.label_rate(SCORES, LABELS)
    assert np.greater_equal(SCORES, found.astype(np.float32)).sum(0).tolist() == FINAL.sum(0).tolist()


def test_a_class_without_a_label_of_its_own_has_a_half():
    nothing = PseudoLabels(np.zeros_like(SCORES), np.zeros_like(SCORES))
    for way in ("label_rate", "clip_agreement", "agreement"):
        assert WAYS[way](SCORES, nothing).tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("way", WAYS)
def test_odd_scores_give_thresholds_from_0_to_1(way):
    for scores in (np.full((5, 3), 0.5, np.float32), np.zeros((1, 3), np.float32), SCORES[:2]):
        labels = PseudoLabels(scores.copy(), scores.copy())
        found = WAYS[way](scores, labels)
        assert found.shape == (3,) and ((found >= 0) & (found <= 1.001)).all()


def test_the_ways_take_scores_and_pseudo_labels_only():
    for way in WAYS.values():
        kinds = [parameter.annotation for parameter in inspect.signature(way).parameters.values()]
        assert kinds == ["np.ndarray", "PseudoLabels"]


def test_a_finished_run_has_them_and_keeps_those_that_somebody_saved(copied_run):
    run = copied_run()
    stored = json.loads(run.file("thresholds.json").read_text())
    assert stored["method"] == label_free.DEFAULT_WAY and stored["uses_ground_truth"] is False
    assert set(stored["thresholds"]) == set(run.classes) and stored["split"] == "train"
    in_file = thresholds.in_use(run)
    run.remove("thresholds.json")  # as in a run of an older version
    assert thresholds.in_use(run) == in_file and not run.has("thresholds.json")
    thresholds.save(run, Thresholds.same(run.classes, 0.4))
    thresholds.save_without_labels(run)
    assert thresholds.in_use(run).method == "hand"
    run.file("thresholds.json").unlink()
    thresholds.save_without_labels(run)
    assert thresholds.in_use(run) == in_file
