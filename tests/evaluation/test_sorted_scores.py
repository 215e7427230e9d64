"""Precision, recall and curves from sorted scores, compared with scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score

from ccd_core.evaluation.sorted_scores import SortedScores

N = 24


C = 3


# Many ties.
SCORES = arrays(np.float32, (N, C), elements=st.sampled_from([round(0.05 * i, 2) for i in range(21)]))


TARGETS = arrays(np.int8, (N, C), elements=st.integers(0, 1))


@given(SCORES, TARGETS, st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_measures_are_scikit_learns(scores, targets, limit):
    limit = np.float32(limit)
    measured = SortedScores(scores, targets).measures(np.full(C, limit))
    for c in range(C):
        predicted = scores[:, c] >= limit
        assert (
            measured.labelled[c] == predicted.sum()
            and measured.true_positives[c] == (predicted & (targets[:, c] == 1)).sum()
        )
        if targets[:, c].any():
            assert measured.recall[c] == pytest.approx(recall_score(targets[:, c], predicted))
            assert measured.f1[c] == pytest.approx(f1_score(targets[:, c], predicted))
        else:
            assert np.isnan(measured.recall[c])
        if predicted.any():
            assert measured.precision[c] == pytest.approx(
                precision_score(targets[:, c], predicted, zero_division=0)
            )


@given(SCORES, TARGETS)
@settings(max_examples=30, deadline=None)
def test_the_curve_holds_the_average_precision(scores, targets):
    ranking = SortedScores(scores, targets)
    for c in range(C):
        if targets[:, c].any():
            curve = ranking.curve(c)
            area = np.sum(np.diff(curve["recall"], prepend=0) * curve["precision"])
            assert area == pytest.approx(average_precision_score(targets[:, c], scores[:, c]))
            assert (np.diff(curve["threshold"]) < 0).all()


def test_a_long_curve_is_thinned_and_keeps_its_ends():
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, (5000, 1))
    ranking = SortedScores(rng.random((5000, 1)) + targets * 0.3, targets)
    curve = ranking.curve(0, points=200)
    assert (
        len(curve["recall"]) <= 202
        and curve["recall"][-1] == 1
        and curve["threshold"][0] == ranking.scores[0, 0]
    )
