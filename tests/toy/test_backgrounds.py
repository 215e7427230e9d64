"""Backgrounds of toy scenes: one for each place, the same for the same seed and at any scale."""

from __future__ import annotations

import numpy as np
import pytest

from ccd_core.toy.backgrounds import SKIES, draw_background


@pytest.mark.parametrize("place", SKIES)
def test_a_background_fills_its_canvas_and_has_two_areas(place):
    canvas = draw_background(np.random.default_rng(1), place, 640, 480, 240.0, 0.25)
    assert canvas.shape == (120, 160, 3) and canvas.dtype == np.uint8
    again = draw_background(np.random.default_rng(1), place, 640, 480, 240.0, 0.25)
    np.testing.assert_array_equal(canvas, again)
    assert (canvas[:20].mean((0, 1)) != canvas[-20:].mean((0, 1))).any()
