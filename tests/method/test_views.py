"""CAM boxes, crops and the view threshold: what must hold for any map."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ccd_core.method.views import (
    cam_box,
    crop_batch,
    crop_views,
    cut_at_once,
    moved_boxes,
    normalize_cam,
    random_boxes,
    searched_threshold,
    view_threshold,
)


@pytest.mark.parametrize("value", [0.0, 5.0, -5.0])
def test_a_flat_map_has_no_box(value):
    assert cam_box(torch.full((10, 10), value), (640, 640)) is None
    assert float(normalize_cam(torch.full((1, 10, 10), value)).abs().max()) == 0


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 10_000), st.integers(2, 12), st.integers(2, 12), st.floats(0.05, 0.98), st.integers(0, 300)
)
def test_a_box_lies_in_the_frame_and_grows_with_the_offset(seed, h, w, threshold, offset):
    cam = torch.randn(h, w, generator=torch.Generator().manual_seed(seed))
    tight, wide = cam_box(cam, (120, 160), threshold, 0), cam_box(cam, (120, 160), threshold, offset)
    assert 0 <= wide[0] <= tight[0] < tight[2] <= wide[2] <= 160
    assert 0 <= wide[1] <= tight[1] < tight[3] <= wide[3] <= 120


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.1, 0.9), st.floats(0.0, 0.09))
def test_a_lower_threshold_never_shrinks_a_box(seed, threshold, less):
    cam = torch.randn(8, 8, generator=torch.Generator().manual_seed(seed))
    high, low = cam_box(cam, (96, 96), threshold, 0), cam_box(cam, (96, 96), threshold - less, 0)
    assert low[0] <= high[0] and low[1] <= high[1] and low[2] >= high[2] and low[3] >= high[3]


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 12), st.floats(0.1, 14), st.integers(0, 1000))
def test_mean_views_is_met_exactly(images, classes, mean_views, seed):
    scores = np.random.default_rng(seed).random((images, classes))
    above = int((scores > view_threshold(scores, mean_views)).sum())
    assert above == min(round(mean_views * images), scores.size)


def test_crops_keep_their_aspect_and_content():
    image = torch.zeros(3, 640, 640)
    image[:, 100:200, 300:500] = 255
    (crop,) = crop_views(image, [(300, 100, 500, 200)], 640)
    assert crop.shape == (3, 319, 639)  # lengths are truncated, as in the authors' code
    assert float(crop.min()) == pytest.approx(255, abs=1e-3)
    (rounded,) = crop_views(image, [(300, 100, 500, 190)], 128, 16)
    assert all(side % 16 == 0 for side in rounded.shape[1:]) and max(rounded.shape) == 128


def test_control_boxes_lie_in_the_frame():
    rng = np.random.default_rng(0)
    boxes = random_boxes(500, (480, 640), rng)
    moved = moved_boxes(boxes, (480, 640), rng)
    for some in (boxes, moved):
        assert (some[:, :2] >= 0).all() and (some[:, 2:] <= (640, 480)).all()
        assert (some[:, 2:] > some[:, :2]).all()
    np.testing.assert_array_equal(moved[:, 2:] - moved[:, :2], boxes[:, 2:] - boxes[:, :2])


def searched(scores: np.ndarray, between: tuple[float, float]) -> float:
    """The threshold that the authors' code finds on blocks of 100 images, from 0.05 in steps of 0.001."""
    return searched_threshold(scores, between, 100, 0.05, 0.001, seed=0)


def test_the_search_rises_block_by_block_until_the_mean_lies_between():
    """Ten classes lie above 0.050, 0.051 and 0.052, and five from 0.053 on."""
    scores = np.full((1000, 10), 0.9, np.float32)
    scores[:, 5:] = 0.0525
    threshold = searched(scores, (4, 6))
    assert threshold == pytest.approx(0.053, abs=1e-6) and (scores > threshold).sum(1).tolist() == [5] * 1000


def test_the_search_does_not_rise_on_too_few_images():
    scores = np.full((100, 10), 0.0525, np.float32)
    assert searched(scores, (4, 6)) == pytest.approx(0.05, abs=1e-6)


def test_in_the_search_a_score_at_the_threshold_counts():
    exact = np.full((500, 10), np.float32(0.05))
    assert (exact > searched(exact, (9, 11))).all()


def test_views_cut_at_once_have_the_values_of_views_cut_one_by_one():
    frames = [torch.randint(0, 256, (3, 90, 110), dtype=torch.uint8) for _ in range(3)]
    views = [(2, (10, 5, 60, 45)), (0, (0, 0, 50, 40)), (2, (60, 50, 110, 90))]
    for longer_side, round_to in ((96, 1), (128, 16), (50, 1)):
        apart = [crop_views(frames[frame], [box], longer_side, round_to)[0] for frame, box in views]
        together = cut_at_once(frames, views, tuple(apart[0].shape[1:]))
        torch.testing.assert_close(together, torch.stack(apart), atol=1e-3, rtol=0)
        assert torch.equal(crop_batch(frames, views, longer_side, round_to), torch.stack(apart))
