"""The box of a map's peak holds one region only."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ccd_core.method.regions import peak_boxes, peak_boxes_at
from ccd_core.method.views import cam_boxes


def two_spots() -> torch.Tensor:
    cam = torch.zeros(20, 20)
    cam[3, 3] = 1.0
    cam[16, 16] = 0.97
    return cam


def test_a_second_spot_widens_the_extent_and_not_the_box_of_the_peak():
    cam = two_spots()[None]
    extent = cam_boxes(cam, (640, 640), 0.9, 0, "extent")[0]
    peak = cam_boxes(cam, (640, 640), 0.9, 0, "peak")[0]
    assert extent[2] - extent[0] > 400
    assert peak[2] - peak[0] < 64
    x, y = 3.5 * 32, 3.5 * 32  # the middle of the cell with the peak
    assert peak[0] <= x <= peak[2] and peak[1] <= y <= peak[3]


@pytest.mark.parametrize("value", [0.0, -3.0])
def test_a_constant_map_has_no_box(value):
    boxes = peak_boxes(torch.full((2, 5, 5), value), (320, 640), 0.95)
    assert boxes.tolist() == [[-1] * 4] * 2


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.floats(0.3, 0.98))
def test_the_box_of_the_peak_lies_in_the_extent_up_to_its_grid(seed, threshold):
    cams = torch.randn(3, 7, 9, generator=torch.Generator().manual_seed(seed))
    peak = peak_boxes(cams, (480, 640), threshold)
    extent = cam_boxes(cams, (480, 640), threshold, 0, "extent")
    grid = np.array([4, 3, 4, 3])  # pixels of a 160th of the frame
    assert (peak[:, :2] >= extent[:, :2] - grid[:2]).all()
    assert (peak[:, 2:] <= extent[:, 2:] + grid[2:]).all()
    assert (peak[:, 0] < peak[:, 2]).all() and (peak[:, 1] < peak[:, 3]).all()


def test_one_region_gives_the_extent_up_to_the_grid():
    cam = torch.zeros(1, 20, 20)
    cam[0, 5:9, 6:12] = 1
    peak = peak_boxes(cam, (640, 640), 0.5)
    extent = cam_boxes(cam, (640, 640), 0.5, 0, "extent")
    assert np.abs(peak - extent).max() <= 4


def test_several_thresholds_give_what_each_gives():
    cams = torch.randn(2, 6, 6, generator=torch.Generator().manual_seed(0))
    together = peak_boxes_at(cams, (320, 640), [0.5, 0.9])
    for step, threshold in enumerate([0.5, 0.9]):
        np.testing.assert_array_equal(together[step], peak_boxes(cams, (320, 640), threshold))
