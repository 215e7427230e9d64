"""CLIP bias and debiasing: what must hold for any probabilities."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ccd_core.method.bias import (
    bias_in_use,
    clip_bias,
    debias,
    debias_as_set,
    debias_smoothly,
    entropy,
    entropy_limit,
    floor_of,
    least_top_probability,
)
from ccd_core.settings.sections import BiasSettings


def probabilities(images=st.integers(1, 30), classes=st.integers(1, 8)):
    shapes = st.tuples(images, classes)
    return shapes.flatmap(lambda shape: arrays(np.float32, shape, elements=st.floats(-8, 8, width=32))).map(
        lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True)
    )


@settings(deadline=None)
@given(probabilities(), st.floats(0.01, 3))
def test_bias_is_never_nan_and_labels_stay_in_range(p, threshold):
    bias = clip_bias(p, threshold)
    assert np.isfinite(bias.value).all() and (bias.value > 0).all() and (bias.value <= 1.0001).all()
    labels = debias(p, bias.value)
    assert ((labels >= 0) & (labels <= 1)).all()


@settings(deadline=None)
@given(probabilities(), st.randoms())
def test_classes_may_come_in_any_order(p, random):
    p = p + np.arange(p.shape[1], dtype=np.float32) * 1e-4  # no ties, where order decides
    order = list(range(p.shape[1]))
    random.shuffle(order)
    np.testing.assert_allclose(clip_bias(p[:, order], 1.0).value, clip_bias(p, 1.0).value[order], atol=1e-5)


def test_a_class_that_never_wins_takes_the_mean_of_the_others():
    p = np.array([[0.8, 0.15, 0.05], [0.3, 0.65, 0.05]], np.float32)
    bias = clip_bias(p, 2.0)
    assert list(bias.measured) == [True, True, False]
    assert bias.value[2] == pytest.approx((0.8 + 0.65) / 2)


def test_a_class_that_wins_only_in_uncertain_images_is_measured_there():
    p = np.array([[0.98, 0.01, 0.01], [0.3, 0.4, 0.3]], np.float32)
    bias = clip_bias(p, 0.5)
    assert not bias.measured[1] and bias.value[1] == pytest.approx(0.4)


def test_tensors_and_arrays_agree():
    p = torch.rand(20, 5).softmax(1)
    bias = clip_bias(p, 2.0)
    np.testing.assert_allclose(debias(p, bias.value).numpy(), debias(p.numpy(), bias.value), atol=1e-6)
    np.testing.assert_allclose(entropy(p).numpy(), entropy(p.numpy()), atol=1e-6)


def test_nothing_to_measure_is_refused():
    with pytest.raises(ValueError, match="at least one image"):
        clip_bias(np.empty((0, 4), np.float32))


def test_the_control_divides_every_class_alike():
    bias = clip_bias(np.array([[0.9, 0.1], [0.4, 0.6]], np.float32), 2.0)
    assert np.unique(bias_in_use(bias.value, "constant")).size == 1
    assert bias_in_use(bias.value, "none") is None


@settings(deadline=None)
@given(probabilities(classes=st.integers(2, 8)), st.floats(0.05, 2))
def test_low_entropy_forces_a_high_top_probability(p, limit):
    confident = p[entropy(p) <= limit]
    assert (confident.max(1, initial=1) >= least_top_probability(limit) - 1e-3).all()


@pytest.mark.parametrize(("limit", "least"), [(0.5, 0.80), (1.0, 0.43), (1.5, 0.24), (2.0, 0.14)])
def test_the_bound_of_a_threshold(limit, least):
    assert least_top_probability(limit) == pytest.approx(least, abs=0.01)


def test_a_share_of_the_entropy_means_the_same_for_any_number_of_classes():
    share = BiasSettings(entropy_share=0.5)
    assert entropy_limit(share, 12) == pytest.approx(np.log(12) / 2)
    assert entropy_limit(share, 80) == pytest.approx(np.log(80) / 2)
    assert entropy_limit(BiasSettings(entropy_threshold=0.7), 80) == 0.7


def test_few_images_cannot_decide_a_shrunk_bias():
    p = np.array([[0.9, 0.1]] * 300 + [[0.6, 0.4]] * 3 + [[0.45, 0.55]], np.float32)
    free = clip_bias(p, 10.0)
    shrunk = clip_bias(p, 10.0, shrink=10)
    mean = free.value.mean()
    assert abs(shrunk.value[1] - mean) < abs(free.value[1] - mean) / 5  # one image
    assert shrunk.value[0] == pytest.approx(free.value[0], abs=0.01)  # 303 images
    np.testing.assert_array_equal(clip_bias(p, 10.0, shrink=0).value, free.value)


def test_a_blended_floor_keeps_the_order_that_a_maximum_loses():
    p = np.array([[0.01, 0.02, 0.97]], np.float32)
    ties = debias(p, np.ones(3), 0.05)[0]
    ordered = debias(p, np.ones(3), 0.05, form="blend")[0]
    assert ties[0] == ties[1]
    assert 0.05 < ordered[0] < ordered[1] < ordered[2] <= 1
    torch.testing.assert_close(
        debias(torch.from_numpy(p), np.ones(3), 0.05, form="blend")[0], torch.from_numpy(ordered)
    )


def test_the_floor_is_not_above_the_probability_of_a_class_of_which_nothing_is_known():
    free = BiasSettings(floor=None)
    assert [floor_of(free, classes) for classes in (2, 20, 80)] == [0.05, 0.05, 1 / 80]
    assert floor_of(BiasSettings(floor=0.1), 80) == 0.1


def test_the_floor_alone_divides_by_nothing():
    np.testing.assert_array_equal(bias_in_use(np.array([0.3, 0.6]), "floor"), [1, 1])


@settings(deadline=None)
@given(probabilities(classes=st.integers(2, 8)), st.floats(0.2, 1))
def test_smooth_debiasing_raises_and_keeps_the_order(p, value):
    bias = np.full(p.shape[1], value, np.float32)
    labels = debias_smoothly(p, bias)
    assert (labels >= p - 1e-6).all() and (labels <= 1).all()
    order = np.argsort(p[:, 0])
    assert (np.diff(labels[order, 0]) >= 0).all()
    np.testing.assert_allclose(debias_smoothly(torch.from_numpy(p), bias).numpy(), labels, atol=1e-5)


def test_smooth_debiasing_has_no_ties_at_one_and_divides_small_probabilities():
    p = np.array([[0.01], [0.5], [0.9], [0.99]], np.float32)
    labels = debias_smoothly(p, np.array([0.5], np.float32))[:, 0]
    assert labels[0] == pytest.approx(0.02, abs=2e-4)
    assert labels[1] < labels[2] < labels[3] < 1
    as_set = debias_as_set(p, np.array([0.5], np.float32), BiasSettings(form="smooth", floor=0.0), 1)[:, 0]
    np.testing.assert_array_equal(as_set, labels)
