"""CLIP bias and debiasing: what must hold for any probabilities."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ccd_core.method.bias import bias_in_use, clip_bias, debias, entropy


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
