"""Which images are shown, and in which order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ccd_core.explore.browsing import ORDERS, ComparedScores, mean_views, select, signals

IDS = ["cat-1", "Dog-2", "cat-3", "none-4"]
VIEWS = np.array([3, 0, 7, 2])
CLIP = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.6], [0.1, 0.1]], np.float32)
SCORES = np.array([[0.9, 0.1], [0.3, 0.1], [0.2, 0.7], [0.1, 0.6]], np.float32)
TRUTH = np.array([[1, 0], [1, 0], [0, 1], [np.nan, np.nan]], np.float32)  # nothing is known of the last one
FOUND = signals(ComparedScores(CLIP, SCORES, TRUTH))


def chosen(**filters) -> list[str]:
    return [IDS[row] for row in select(IDS, FOUND, VIEWS, **filters)]


@pytest.mark.parametrize(
    "filters, expected",
    [
        ({}, IDS),
        ({"name": "CAT"}, ["cat-1", "cat-3"]),
        ({"agreement": "disagree"}, ["Dog-2", "none-4"]),
        ({"agreement": "agree"}, ["cat-1", "cat-3"]),
        ({"verdict": "missed"}, ["Dog-2"]),
        ({"verdict": "wrong"}, ["Dog-2"]),
        ({"verdict": "false alarm"}, []),
        (
            {"verdict": "right"},
            ["cat-1", "cat-3"],
        ),  # an image without ground truth is neither right nor wrong
        ({"views_between": (2, 3)}, ["cat-1", "none-4"]),
        ({"among": np.array([False, True, True, False]), "order": "most views"}, ["cat-3", "Dog-2"]),
        ({"order": "most wrong"}, ["Dog-2", "cat-3", "cat-1", "none-4"]),
        ({"order": "surest"}, ["cat-1", "cat-3", "none-4", "Dog-2"]),
    ],
)
def test_filters_and_orders(filters, expected):
    assert chosen(**filters) == expected


def test_of_one_class_only_that_class_counts():
    one = signals(ComparedScores(CLIP, SCORES, TRUTH).of(1))
    assert [IDS[row] for row in select(IDS, one, VIEWS, agreement="disagree")] == ["none-4"]
    assert not len(select(IDS, one, VIEWS, verdict="missed"))


@pytest.mark.parametrize("scores, truth", [(None, None), (SCORES, None)])
def test_a_run_without_scores_or_ground_truth_can_be_browsed(scores, truth):
    found = signals(ComparedScores(CLIP, scores, truth))
    for order in ORDERS:
        assert sorted(select(IDS, found, VIEWS, order=order)) == [0, 1, 2, 3]


@given(
    arrays(np.float32, (6, 3), elements=st.floats(0, 1, width=32)),
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=5, unique=True),
)
def test_mean_views_counts_what_lies_above(scores, thresholds):
    steps = np.array(sorted(thresholds))
    assert np.allclose(mean_views(scores, steps), [(scores > step).sum() / 6 for step in steps])
