"""Local and final labels: the paper's equations, and images without views."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ccd_core.method.labels import aggregate_views, include_views, local_probabilities, update_labels


def test_maximum_over_views():
    views = torch.tensor([[0.1, 0.9], [0.5, 0.2]])
    assert aggregate_views(views).tolist() == pytest.approx([0.5, 0.9])
    assert aggregate_views(views.numpy()).tolist() == pytest.approx([0.5, 0.9])
    assert aggregate_views(torch.empty(0, 2)) is None


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(0, 12), st.integers(1, 4))
def test_the_maximum_of_each_image_is_the_same_taken_one_by_one_at_once_or_in_parts(seed, views, classes):
    """`aggregate_views` is Eq. 5 for one image; the stages take it for all images of a chunk."""
    rng = np.random.default_rng(seed)
    view_image = rng.integers(0, 5, views)
    p = rng.random((views, classes), dtype=np.float32)
    in_parts = np.full((5, classes), np.nan, np.float32)
    for part in np.array_split(np.arange(views), 3):
        include_views(in_parts, view_image[part], p[part])
    at_once = local_probabilities(5, view_image, p)
    np.testing.assert_array_equal(in_parts, at_once)
    for image in range(5):
        alone = aggregate_views(p[view_image == image])
        expected = np.full(classes, np.nan) if alone is None else alone
        np.testing.assert_array_equal(at_once[image], expected)


def test_no_view_leaves_the_initial_label():
    initial = np.array([[0.3, 0.7], [0.2, 0.1]], np.float32)
    local = local_probabilities(2, np.array([1, 1]), np.array([[0.9, 0.0], [0.1, 0.4]], np.float32))
    final = update_labels(initial, local, 0.4)
    np.testing.assert_array_equal(final[0], initial[0])
    np.testing.assert_allclose(final[1], [0.4 * 0.2 + 0.6 * 0.9, 0.4 * 0.1 + 0.6 * 0.4], atol=1e-6)
    assert update_labels(initial, None) is initial
    np.testing.assert_allclose(
        update_labels(torch.from_numpy(initial), torch.from_numpy(local), 0.4).numpy(), final, atol=1e-6
    )


@settings(deadline=None)
@given(st.integers(0, 1000), st.floats(0, 1), st.integers(1, 6))
def test_final_labels_lie_between_their_parts(seed, alpha, classes):
    rng = np.random.default_rng(seed)
    initial, local = rng.random((2, 7, classes)).astype(np.float32)
    final = update_labels(initial, local, alpha)
    assert (final >= np.minimum(initial, local) - 1e-6).all() and (
        final <= np.maximum(initial, local) + 1e-6
    ).all()
