"""Maps and boxes drawn over an image."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageColor

from ccd_core.errors import ImageError
from ccd_core.predict.overlay import HEAT, HEAT_OPACITY, VERMILION, overlay, picture


def test_an_image_is_made_small_and_stays_upright(tmp_path):
    Image.new("RGB", (300, 200)).save(tmp_path / "wide.png")
    assert picture(tmp_path / "wide.png", 60).size == (60, 40)
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"broken\.png"):
        picture(tmp_path / "broken.png", 60)


def test_heat_is_where_the_map_is_high_and_nowhere_else():
    grey = Image.new("RGB", (80, 60), (100, 100, 100))
    cam = np.zeros((4, 4))
    cam[0, 0] = 1
    drawn = np.asarray(overlay(grey, cam, None)).astype(int)
    assert (drawn[40:, 40:] == 100).all()
    assert drawn[4, 4, 0] > 180 and drawn[4, 4, 2] < 60  # red


def test_heat_goes_from_blue_over_red_to_yellow():
    assert HEAT.shape == (256, 3)
    assert HEAT[0].tolist() == [0, 0, 128]
    assert HEAT[128].tolist() == [255, 78, 0]
    assert HEAT[255].tolist() == [255, 255, 0]
    red, green, blue = np.diff(HEAT.astype(int), axis=0).T
    assert (red >= 0).all() and (green >= 0).all() and (blue <= 0).all()


def test_the_highest_value_has_the_last_colour_as_opaque_as_heat_gets():
    drawn = np.asarray(overlay(Image.new("RGB", (8, 8)), np.ones((2, 2)), None)).astype(int)
    assert np.abs(drawn - HEAT_OPACITY * HEAT[255]).max() <= 1


def test_a_box_is_drawn_at_its_fractions_of_the_image():
    black = Image.new("RGB", (100, 100))
    drawn = np.asarray(overlay(black, np.zeros((2, 2)), (0.2, 0.3, 0.8, 0.9)))
    vermilion = np.argwhere((drawn == ImageColor.getrgb(VERMILION)).all(2))
    assert vermilion.min(0).tolist() == [31, 21] and vermilion.max(0).tolist() == [88, 78]
    assert not drawn[40:80, 40:70].any()  # the inside stays as it is
