"""Images unlike the training images are told by the distance of their features."""

from __future__ import annotations

import numpy as np
import pytest

from ccd_core.method.likeness import FEWEST, fit_likeness


@pytest.fixture
def features() -> np.ndarray:
    """[600, 40]: ten strong directions and noise."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(600, 10)) @ rng.normal(size=(10, 40)) + rng.normal(0, 0.1, (600, 40))


def test_the_distance_is_about_one_for_images_like_those_of_training(features):
    made = fit_likeness(features[:400])
    assert made is not None
    distances = made.distance(features[400:])
    assert 0.7 < np.median(distances) < 1.5 and made.unlike(features[400:]).mean() < 0.02


def test_other_images_are_unlike_also_where_only_weak_directions_differ(features):
    made = fit_likeness(features)
    assert made is not None
    rng = np.random.default_rng(1)
    assert made.unlike(features[:20] + 4 * rng.normal(size=(20, 40))).all()
    assert made.unlike(features[:20] + rng.normal(0, 1.5, (20, 40))).all()


def test_the_order_of_distances_does_not_depend_on_the_scale_of_features(features):
    small, large = fit_likeness(features), fit_likeness(1000 * features)
    assert small is not None and large is not None
    other = features[:30] + 1
    np.testing.assert_allclose(small.distance(other), large.distance(1000 * other), rtol=1e-3)


def test_too_few_images_and_constant_features_are_no_error(features):
    assert fit_likeness(features[: FEWEST - 1]) is None
    made = fit_likeness(np.ones((FEWEST, 5)))
    assert made is not None and np.isfinite(made.distance(np.ones((2, 5)))).all()
