"""CAM boxes without a browser: filters, the link, and what the browser reports."""

from __future__ import annotations

import pytest

from app.image_component import BoxState, _checked


def shown(test) -> int:
    """How many images the grid says are shown."""
    return int(next(caption.value for caption in test.caption if "images;" in caption.value).split()[0].replace(",", ""))


def test_filters_narrow_what_is_shown_and_the_link_holds_them(app, tiny_run):
    everything = shown(app("cam_boxes", layout="Grid"))
    assert everything == 40
    right, wrong = (shown(app("cam_boxes", layout="Grid", verdict=verdict)) for verdict in ("right", "wrong"))
    assert right + wrong == everything and wrong
    views = tiny_run.load_views()
    name = views["class"].mode()[0]
    assert shown(app("cam_boxes", layout="Grid", **{"class": name})) == views.loc[views["class"] == name, "image"].nunique()


def test_a_link_opens_the_image_it_names_and_next_goes_on(app, tiny_run):
    ids = tiny_run.load_labels()["ids"].tolist()
    test = app("cam_boxes", image=ids[4])
    assert any(ids[4] in caption.value for caption in test.caption)
    next(button for button in test.button if button.label == "Next").click().run()
    assert any(ids[5] in caption.value for caption in test.caption) and ids[5] in test.query_params["image"]


def test_filters_that_nothing_fits_say_so(app):
    test = app("cam_boxes", find="no such file")
    assert not test.exception and any("No image is named like" in caption.value for caption in test.caption)


@pytest.mark.parametrize("reported", [{}, {"cls": 99, "step": 0, "view": 0, "offset": 0}, {"cls": "x", "step": 0, "view": 0, "offset": 0}])
def test_what_a_browser_reports_is_not_trusted(reported):
    before = BoxState(1, 2, 3, 40)
    assert _checked(reported, before, ["a", "b"], [0.5, 0.9], [(0.1, None)]) == before


def test_letters_that_mean_nothing_are_dropped():
    after = _checked({"cls": 0, "step": 1, "view": 0, "offset": 8, "show": "zzab"}, BoxState(1, 0, 0, 0), ["a", "b"], [0.5, 0.9], [(0.1, None)])
    assert after == BoxState(0, 1, 0, 8, "ba")


def test_the_maps_after_warm_up_are_offered_and_shown(app):
    test = app("cam_boxes", maps="after warm-up")
    assert not test.exception and not test.error
    assert test.segmented_control(key="maps").value == "after warm-up"
