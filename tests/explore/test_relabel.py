"""Labels made again with other settings are the labels that a run with these settings would make."""

from __future__ import annotations

import numpy as np
import pytest

from ccd_core.config import CCDConfig
from ccd_core.explore.relabel import ClipOutputs, LabelStatistics, Relabelled, most_changed, relabel
from ccd_core.method.bias import clip_bias, entropy
from ccd_core.method.labels import final_labels, initial_labels, local_labels
from ccd_core.settings.sections import BiasSettings


def clip_says(images: int, classes: int, views: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """p_global [N, C], view_image [V] in no order and p_views [V, C]; some images have no view."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(classes, 0.3), images + views).astype(np.float32)
    return p[:images], rng.integers(0, max(1, images - 2), views), p[images:]


@pytest.mark.parametrize("preset", ["paper", "reference"])
@pytest.mark.parametrize("mode", ["class", "constant", "none"])
@pytest.mark.parametrize(
    ("alpha", "floor", "threshold"), [(0.4, 0.05, 0.5), (0.0, 0.0, 2.0), (1.0, 0.2, 0.05)]
)
def test_labels_are_those_of_a_run(preset, mode, alpha, floor, threshold):
    config = CCDConfig.preset(preset).changed(
        labels={"alpha": alpha}, bias={"mode": mode, "floor": floor, "entropy_threshold": threshold}
    )
    p, view_image, p_views = clip_says(60, 7, 200, seed=1)
    bias = clip_bias(p, threshold)
    initial = initial_labels(p, bias, config)
    expected = final_labels(initial, local_labels(len(p), view_image, p_views, bias, config), config)

    made = relabel(
        ClipOutputs.of(p, entropy(p)).with_views(view_image, p_views),
        config,
        compared_with=np.ascontiguousarray(p.T),
    )
    np.testing.assert_array_equal(made.final.T, expected)
    np.testing.assert_array_equal(made.bias.value, bias.value)
    np.testing.assert_allclose(made.change, np.abs(expected - p).max(1))
    np.testing.assert_array_equal(made.changed_class, np.abs(expected - p).argmax(1))

    without_views = relabel(ClipOutputs.of(p, entropy(p)), config, compared_with=np.ascontiguousarray(p.T))
    np.testing.assert_array_equal(without_views.final.T, initial)


def test_surest_and_least_sure_images_are_those_of_the_class_and_no_image_is_both():
    p = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]], np.float32)
    outputs = ClipOutputs.of(p, entropy(p))
    surest, least = outputs.extremes(0, 5)
    assert surest.tolist() == [0, 3] and least.tolist() == [1]
    assert [rows.tolist() for rows in outputs.extremes(1, 5)] == [[2], []]


def test_mean_initial_label():
    p = clip_says(50, 5, 0, seed=2)[0]
    config = CCDConfig.preset("paper")
    expected = initial_labels(p, clip_bias(p), config).mean(0)
    np.testing.assert_allclose(
        ClipOutputs.of(p, entropy(p)).mean_initial(clip_bias(p).value, BiasSettings()), expected, rtol=1e-5
    )


def test_statistics_of_labels():
    labels = np.array([[0.0, 0.5, 0.51], [1.0, 1.0, 0.2]], np.float32)
    found = LabelStatistics.of(labels)
    np.testing.assert_allclose(found.mean, labels.mean(1))
    assert (
        found.above_half.tolist() == [1, 2]
        and found.histogram.sum() == 6
        and found.histogram[-1] == 2
        and found.histogram[0] == 1
    )


def test_the_images_whose_labels_change_most_come_first_and_those_that_do_not_change_are_left_out():
    before = np.array([[0.1, 0.5, 0.2], [0.9, 0.5, 0.3]], np.float32)
    after = np.array([[0.4, 0.5, 0.2], [0.9, 0.502, 0.9]], np.float32)
    change = np.abs(after - before)
    made = Relabelled(clip_bias(before.T), after, change.max(0), change.argmax(0))
    assert most_changed(made, before, None, 10) == [(2, 1), (0, 0)]
    assert most_changed(made, before, None, 1) == [(2, 1)]
    assert most_changed(made, before, 0, 10) == [(0, 0)]
    assert most_changed(made, after, 1, 10) == []
