"""From CAM boxes to local views: the offset, the area, and which are equal."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ccd_core.method.boxes import add_offset, distinct, shares, within_area


def test_a_box_grows_on_every_side_and_stays_in_the_frame():
    boxes = np.array([[100, 50, 200, 150], [0, 0, 10, 10], [630, 470, 640, 480]])
    grown = add_offset(boxes, 80, (480, 640))
    assert grown.tolist() == [[20, 0, 280, 230], [0, 0, 90, 90], [550, 390, 640, 480]]
    assert add_offset(boxes, 0, (480, 640)).tolist() == boxes.tolist()


def test_where_there_is_no_box_there_is_none_afterwards():
    assert add_offset(np.array([[-1, -1, -1, -1]]), 80, (480, 640)).tolist() == [[-1, -1, -1, -1]]
    assert add_offset(np.empty((0, 4), int), 80, (480, 640)).shape == (0, 4)


def test_views_are_brought_between_two_areas_about_their_centre():
    boxes = np.array([[0, 0, 640, 640], [300, 300, 340, 340], [100, 100, 300, 300], [-1, -1, -1, -1]])
    sized = within_area(boxes, (640, 640), 0.04, 0.5)
    assert np.round(shares(sized[:3], (640, 640)), 2).tolist() == [0.5, 0.04, 0.1]
    assert (sized[1, :2] + sized[1, 2:] == 640).all()  # the same centre
    assert sized[2:].tolist() == boxes[2:].tolist()
    assert within_area(boxes, (640, 640), 0.0, 1.0).tolist() == boxes.tolist()


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000))
def test_views_of_any_shape_stay_in_the_frame(seed):
    rng = np.random.default_rng(seed)
    begin = rng.integers(0, 300, (20, 2)) * [2, 1]
    boxes = np.concatenate([begin, begin + rng.integers(1, 20, (20, 2)) * [1, 2]], 1)
    sized = within_area(boxes, (340, 620), 0.05, 0.4)
    assert (sized[:, :2] >= 0).all() and (sized[:, 2:] <= [620, 340]).all()
    assert (np.abs(shares(sized, (340, 620)) - 0.05) < 0.01).all()


def test_equal_crops_of_one_image_are_found_and_in_order():
    image = np.array([1, 0, 1, 1, 0])
    boxes = np.array([[0, 0, 5, 5], [0, 0, 5, 5], [0, 0, 5, 5], [0, 0, 5, 6], [0, 0, 5, 5]])
    first, which = distinct(image, boxes)
    assert first.tolist() == [0, 1, 3]
    assert which.tolist() == [0, 1, 0, 2, 1]
