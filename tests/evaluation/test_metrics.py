"""Measures: average precision, and the quick measures of the page Labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccd_core.evaluation.metrics import average_precision, quick_measures, summary


def test_a_class_without_a_positive_has_no_average_precision():
    """The authors' code counts it as 0."""
    ap = average_precision(np.ones((3, 2)), np.array([[0, 1], [0, 0], [0, 1]]))
    assert np.isnan(ap).tolist() == [True, False]
    with pytest.raises(ValueError, match="must both be"):
        average_precision(np.zeros((3, 2)), np.zeros((3, 3)))


def test_large_logits_do_not_tie():
    """Their probabilities would all be 1."""
    ap = average_precision(np.array([[20.0], [30], [40], [50]]), np.array([[0], [0], [0], [1]]))
    assert ap[0] == 1.0


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10_000),
    st.integers(1, 300),
    st.integers(1, 6),
    st.sampled_from([2, 10, 1000, 10**7]),
    st.floats(0, 1),
)
def test_quick_measures_are_sklearns(seed, images, classes, levels, rate):
    """With ties and classes without a positive. Micro-AP is exact for labels of few different values."""
    rng = np.random.default_rng(seed)
    labels = (rng.integers(0, levels + 1, (images, classes)) / levels).astype(np.float32)
    targets = (rng.random((images, classes)) < rate).astype(np.float32)
    quick = quick_measures(np.ascontiguousarray(labels.T), [np.flatnonzero(column) for column in targets.T])
    np.testing.assert_allclose(quick.ap, average_precision(labels, targets), atol=1e-12)
    if targets.any():
        expected = summary(labels, targets)
        assert quick.summary["mAP"] == pytest.approx(expected["mAP"], abs=1e-12)
        assert quick.summary["F1"] == pytest.approx(expected["F1"], abs=1e-12)
        if levels <= 1000:
            assert quick.micro_ap == pytest.approx(expected["micro_AP"], abs=1e-12)
    else:
        assert np.isnan(quick.micro_ap)


@pytest.mark.parametrize("power", [1, 4])
def test_micro_ap_of_many_labels_is_sklearns_closely(power):
    rng = np.random.default_rng(3)
    labels = (rng.random((3000, 12), dtype=np.float32) ** power).clip(0.05)
    targets = (rng.random((3000, 12)) < labels * 0.5).astype(np.float32)
    quick = quick_measures(np.ascontiguousarray(labels.T), [np.flatnonzero(column) for column in targets.T])
    assert quick.micro_ap == pytest.approx(summary(labels, targets)["micro_AP"], abs=2e-4)
