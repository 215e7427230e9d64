"""Boxes from annotation files become whole pixels of the image."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccd_core.data.listing.boxes import numbers, pixel_box


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([1, "2.5", 3], [1, 2.5, 3]),
        ((1, 2), None),  # three are wanted
        ([1, 2, "x"], None),
        ([1, 2, float("nan")], None),
        ([1, 2, 10**400], None),
        ("123", None),
        (None, None),
    ],
)
def test_only_finite_numbers_of_the_right_count_are_numbers(values, found):
    assert numbers(values, 3) == found


@pytest.mark.parametrize(
    ("corners", "box"),
    [
        ((1.2, 2.9, 30.1, 40), (1, 2, 31, 40)),
        ((30, 40, 1, 2), (1, 2, 30, 40)),  # inside out
        ((-5, -5, 200, 200), (0, 0, 60, 50)),
        ((60, 0, 70, 10), None),  # right of the image
        ((-10, 0, -1, 10), None),
    ],
)
def test_a_box_holds_all_pixels_that_its_corners_touch_in_the_image(corners, box):
    assert pixel_box(corners, 60, 50) == box


@given(st.tuples(*[st.floats(-1e9, 1e9)] * 4), st.integers(1, 500), st.integers(1, 500))
def test_a_box_lies_in_its_image_whatever_the_file_says(corners, width, height):
    box = pixel_box(corners, width, height)
    if box is not None:
        x0, y0, x1, y1 = box
        assert 0 <= x0 <= x1 <= width and 0 <= y0 <= y1 <= height
