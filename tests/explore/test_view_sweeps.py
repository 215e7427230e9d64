"""The crops that CLIP is asked about: inside the image, evenly placed, and the same box the same question."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccd_core.explore.view_sweeps import (
    WHOLE,
    across,
    finest_map,
    grid,
    growing,
    parse_box,
    strongest_classes,
)


def inside(boxes: np.ndarray) -> bool:
    return bool((boxes >= 0).all() and (boxes <= 1).all() and (boxes[:, :2] < boxes[:, 2:]).all())


def test_a_grid_reaches_every_edge_row_by_row():
    boxes = grid(0.4, 3)
    assert boxes.shape == (3, 3, 4) and inside(boxes.reshape(-1, 4))
    assert (
        boxes[0, 0].tolist() == [0, 0, 0.4, 0.4]
        and boxes[0, 2].tolist() == [0.6, 0, 1, 0.4]
        and boxes[2, 2].tolist() == [0.6, 0.6, 1, 1]
    )
    assert grid(1.0, 1).tolist() == [[list(WHOLE)]]
    assert grid(0.4, 7)[::2, ::2].tolist() == grid(0.4, 4).tolist()  # every other place is the coarser grid


@given(st.tuples(st.floats(0, 0.8), st.floats(0, 0.8), st.floats(0.05, 0.2), st.floats(0.05, 0.2)))
def test_sweeps_begin_and_end_where_they_say(place):
    x, y, width, height = place
    box = (x, y, x + width, y + height)
    larger = growing(box, 7)
    assert inside(larger) and larger[-1].tolist() == list(WHOLE)
    np.testing.assert_allclose(larger[0], box, atol=1e-4)
    assert (np.diff(larger[:, 2:] - larger[:, :2], axis=0) >= 0).all()
    moved = across(box, 7)
    assert inside(moved) and moved[0, 0] == 0 and moved[-1, 2] == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(moved[:, 2] - moved[:, 0], width, atol=2e-4)


def test_what_a_person_types_is_a_box_or_nothing():
    assert parse_box("0.1, 0.2, 0.5, 0.6") == (0.1, 0.2, 0.5, 0.6)
    assert parse_box("-1, 0, 2, 0.01") == (0.0, 0.0, 1.0, 0.05)
    assert parse_box("0.99, 0.5, 1, 0.6") == (0.95, 0.5, 1.0, 0.6)
    for text in ("", "0,0,1", "a,b,c,d", "0.5,0,0.5,1", "nan,0,1,1"):
        assert parse_box(text) is None


def test_a_map_is_shown_at_every_other_place_until_all_are_known():
    p = np.arange(9.0).reshape(3, 3, 1)
    assert finest_map(p) is p
    p[0, 1] = np.nan
    coarse = finest_map(p)
    assert coarse is not None and coarse[..., 0].tolist() == [[0, 2], [6, 8]]
    p[0, 0] = np.nan
    assert finest_map(p) is None


def test_the_chosen_class_is_always_among_the_strongest():
    crops = np.array([[0.1, 0.6, 0.3], [0.8, 0.1, 0.1]])
    unknown = np.full((2, 2, 3), np.nan)
    assert strongest_classes([crops, unknown], 2, None) == [0, 1]
    assert strongest_classes([crops, unknown], 2, 2) == [0, 2]
    assert strongest_classes([crops, unknown], 2, 1) == [0, 1]
