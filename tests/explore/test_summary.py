"""The numbers of the front page."""

from __future__ import annotations

import numpy as np
import pytest

from ccd_core.explore.summary import label_shares, rate_error, top_class_shares


def test_shares_of_the_top_class_add_up_to_all_images():
    p = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]])
    assert top_class_shares(p) == pytest.approx([2 / 3, 1 / 3, 0])


def test_shares_of_labels_count_those_over_a_half():
    assert label_shares(np.array([[0.5, 0.9], [0.6, 0.7]])).tolist() == [1.0, 0.5]


def test_the_rate_error_counts_too_much_and_too_little_alike():
    assert rate_error(np.array([0.5, 0.1]), np.array([0.3, 0.3])) == pytest.approx(0.2)
