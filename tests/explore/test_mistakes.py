"""The worst entries of scores, and classes taken for each other."""

from __future__ import annotations

import numpy as np

from ccd_core.explore.mistakes import confusion, least_sure_entries, most_wrong_entries, strongest_pairs

SCORES = np.array([[0.9, 0.2], [0.4, 0.8], [0.6, 0.1]], np.float32)
TARGETS = np.array([[0, 1], [1, 1], [0, 0]], bool)


def test_the_worst_false_label_comes_first():
    assert most_wrong_entries(SCORES, TARGETS, "false", None, 10) == [(0, 0), (2, 0), (2, 1)]
    assert most_wrong_entries(SCORES, TARGETS, "false", 0, 1) == [(0, 0)]


def test_the_lowest_score_of_a_class_that_is_there_is_missed_most():
    assert most_wrong_entries(SCORES, TARGETS, "missed", None, 2) == [(0, 1), (1, 0)]
    assert most_wrong_entries(SCORES, TARGETS, "missed", 1, 10) == [(0, 1), (1, 1)]


def test_the_least_sure_score_is_nearest_to_a_half():
    assert least_sure_entries(SCORES, None, 2) == [(1, 0), (2, 0)]
    assert least_sure_entries(SCORES, 1, 10) == [(0, 1), (1, 1), (2, 1)]


def test_confusion_counts_wrong_labels_beside_another_class():
    targets = np.array([[0, 1], [0, 1], [1, 1], [0, 0], [0, 0], [0, 0], [0, 0]], bool)
    scores = np.array([[0.9, 0.9], [0.1, 0.9], [0.9, 0.9], [0.8, 0], [0, 0], [0, 0], [0, 0]], np.float32)
    rate, baseline, images = confusion(scores, targets, np.array([0.5, 0.5]))
    assert rate[0, 1] == 0.5 and images[0, 1] == 2 and baseline[0, 1] == 0.25 and np.isnan(rate[0, 0])
    assert images[1, 0] == 0 and np.isnan(rate[1, 0])
    assert strongest_pairs(rate, baseline, images, fewest=2) == [(0, 1)]
    assert strongest_pairs(rate, baseline, images, fewest=3) == []
