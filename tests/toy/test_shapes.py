"""Drawings of the toy objects: lists of strokes in the square [-1, 1] x [-1, 1]."""

from __future__ import annotations

import numpy as np
import pytest

from ccd_core.toy.shapes import CLUTTER, DRAWINGS


@pytest.mark.parametrize("draw", [*DRAWINGS.values(), *CLUTTER], ids=lambda draw: draw.__name__)
def test_a_drawing_fills_its_square_and_is_the_same_for_the_same_seed(draw):
    for seed in range(5):
        strokes = draw(np.random.default_rng(seed))
        points = np.concatenate([stroke.points for stroke in strokes])
        assert np.abs(points).max() <= 1.35 and np.ptp(points, axis=0).max() > 0.7
        assert all(0 <= channel <= 255 for stroke in strokes for channel in stroke.colour)
        again = draw(np.random.default_rng(seed))
        assert all((one.points == other.points).all() for one, other in zip(strokes, again, strict=True))
