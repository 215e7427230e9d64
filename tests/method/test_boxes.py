"""The offset that makes a CAM box a local view."""

from __future__ import annotations

import numpy as np

from ccd_core.method.boxes import add_offset


def test_a_box_grows_on_every_side_and_stays_in_the_frame():
    boxes = np.array([[100, 50, 200, 150], [0, 0, 10, 10], [630, 470, 640, 480]])
    grown = add_offset(boxes, 80, (480, 640))
    assert grown.tolist() == [[20, 0, 280, 230], [0, 0, 90, 90], [550, 390, 640, 480]]
    assert add_offset(boxes, 0, (480, 640)).tolist() == boxes.tolist()


def test_where_there_is_no_box_there_is_none_afterwards():
    assert add_offset(np.array([[-1, -1, -1, -1]]), 80, (480, 640)).tolist() == [[-1, -1, -1, -1]]
    assert add_offset(np.empty((0, 4), int), 80, (480, 640)).shape == (0, 4)
