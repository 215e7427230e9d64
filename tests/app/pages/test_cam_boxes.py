"""CAM boxes without a browser: filters, the link, and what the browser reports."""

from __future__ import annotations

import pytest
import yaml
from streamlit.testing.v1 import AppTest

from app.components import cam_boxes
from app.components.cam_boxes import BoxState, Sliders, _checked
from app.components.files import text_of

SLIDERS = Sliders([0.5, 0.9], [(0.1, None)], 240)


def shown(test) -> int:
    """How many images the grid says are shown."""
    caption = next(caption.value for caption in test.caption if "images;" in caption.value)
    return int(caption.split()[0].replace(",", ""))


def captions(test) -> str:
    return "\n".join(caption.value for caption in test.caption)


def test_filters_narrow_what_is_shown_and_the_link_holds_them(app, tiny_run):
    everything = shown(app("cam_boxes", layout="Grid"))
    assert everything == 40
    right = shown(app("cam_boxes", layout="Grid", verdict="right"))
    wrong = shown(app("cam_boxes", layout="Grid", verdict="wrong"))
    assert right + wrong == everything and wrong
    views = tiny_run.load_views()
    name = views["class"].mode()[0]
    with_view = views.loc[views["class"] == name, "image"].nunique()
    assert shown(app("cam_boxes", layout="Grid", **{"class": name})) == with_view


def test_a_link_opens_the_image_it_names_and_next_goes_on(app, tiny_run):
    ids = tiny_run.load_labels()["ids"].tolist()
    test = app("cam_boxes", image=ids[4])
    assert ids[4] in captions(test)
    click(test, "Next")
    assert ids[5] in captions(test)
    assert image_in_link(test) == ids[5]


def test_filters_that_nothing_fits_say_so(app):
    test = app("cam_boxes", find="no such file")
    assert not test.exception
    assert "No image is named like" in captions(test)


@pytest.mark.parametrize(
    "reported",
    [{}, {"cls": 99, "step": 0, "view": 0, "offset": 0}, {"cls": "x", "step": 0, "view": 0, "offset": 0}],
)
def test_what_a_browser_reports_is_not_trusted(reported):
    before = BoxState(1, 2, 3, 40)
    assert _checked(reported, before, 2, SLIDERS) == before


def test_letters_that_mean_nothing_are_dropped():
    reported = {"cls": 0, "step": 1, "view": 0, "offset": 8, "show": "zzab"}
    assert _checked(reported, BoxState(1, 0, 0, 0), 2, SLIDERS) == BoxState(0, 1, 0, 8, "ba")


def test_sliders_take_the_nearest_step_and_stay_inside():
    sliders = Sliders([0.3, 0.5, 0.9], [(0.0, None), (0.2, 4.5)], 240)
    assert sliders.state(1, 0.45, 0.19, 80, "hb") == BoxState(1, 1, 1, 80, "hb")
    assert sliders.state(0, 7.0, -1.0, 999, "") == BoxState(0, 2, 0, 240, "")
    assert sliders.state(0, 0.3, 0.0, -5, "").offset == 0


def test_the_maps_after_warm_up_are_offered_and_shown(app):
    test = app("cam_boxes", maps="after warm-up")
    assert not test.exception and not test.error
    assert test.segmented_control(key="maps").value == "after warm-up"


@pytest.fixture
def rare(tiny_run) -> str:
    """A class that some images have a view of and others, also the first, have not."""
    table = tiny_run.load_views()
    first = tiny_run.load_labels()["ids"][0]
    return next(
        name
        for name in tiny_run.classes
        if 1 < (table["class"] == name).sum() < 30
        and first not in set(table.loc[table["class"] == name, "image"])
    )


def image_in_link(test) -> str:
    value = test.query_params["image"]
    return value if isinstance(value, str) else value[0]


def click(test, label: str):
    return next(button for button in test.button if button.label == label).click().run()


def test_an_image_that_a_link_names_is_shown_also_where_the_filters_leave_it_out(app, tiny_run, rare):
    table = tiny_run.load_views()
    ids = tiny_run.load_labels()["ids"].tolist()
    fits = [image for image in ids if image in set(table.loc[table["class"] == rare, "image"])]
    other = [image for image in ids if image not in fits][2]
    test = app("cam_boxes", image=other, **{"class": rare})
    assert not test.exception
    assert image_in_link(test) == other
    assert "outside of these filters" in captions(test)
    click(test, "Next")
    assert image_in_link(test) == fits[0]
    assert "outside of these" not in captions(test)
    nothing = app("cam_boxes", image=other, views=["0", "0"], **{"class": rare})
    assert image_in_link(nothing) == other
    assert "No image fits." in captions(nothing)


def test_a_filter_that_is_changed_turns_to_the_first_image_that_fits(app, tiny_run, rare):
    table = tiny_run.load_views()
    ids = tiny_run.load_labels()["ids"].tolist()
    test = app("cam_boxes", image=ids[0])
    test.selectbox(key="class").set_value(rare).run()
    assert image_in_link(test) in set(table.loc[table["class"] == rare, "image"])


def test_of_a_filter_and_a_click_the_later_one_says_which_image_is_shown():
    def page():
        import streamlit as st

        from app.choices import choose_image, filter_changed, pick_image

        ids = ["a", "b", "c", "d"]
        if st.toggle("narrow", key="narrow", on_change=filter_changed):
            ids = ["a", "b"]
        st.button("click on c", on_click=choose_image, args=("c",))
        st.title(pick_image(ids, {"a", "b", "c", "d"}))

    test = AppTest.from_function(page)
    test.query_params["image"] = "d"
    assert test.run().title[0].value == "d"
    assert test.toggle(key="narrow").set_value(True).run().title[0].value == "a"
    assert click(test, "click on c").title[0].value == "c"
    assert click(test, "Next").title[0].value == "a"


def test_a_search_does_not_hide_the_image_that_a_link_names(app, tiny_run):
    ids = tiny_run.load_labels()["ids"].tolist()
    test = app("labels", image=ids[3], find=ids[5])
    assert image_in_link(test) == ids[3]
    assert "outside of these filters" in captions(test)
    test.text_input(key="find").set_value(ids[7]).run()
    assert image_in_link(test) == ids[7]


@pytest.mark.parametrize(("threshold", "offset"), [(0.2, 50), (0.955, 300)])
def test_a_runs_own_settings_are_what_is_shown(app, copied_run, tmp_path, monkeypatch, threshold, offset):
    settings = copied_run("set").file("config.yaml")
    config = yaml.safe_load(settings.read_text())
    config["views"] |= {"cam_threshold": threshold, "offset": offset}
    settings.write_text(yaml.safe_dump(config))
    monkeypatch.setenv("CCD_RUNS", str(tmp_path))
    given = []
    monkeypatch.setattr(cam_boxes, "_component", lambda data, **_: given.append(data))
    test = app("cam_boxes", run="set", offset="nan")
    assert not test.exception and not test.error
    (data,) = given
    assert data["cam_thresholds"][data["state"]["step"]] == threshold
    assert data["state"]["offset"] == offset <= data["most_offset"]


def test_every_offset_can_be_set():
    html = text_of("cam_boxes", "html")
    assert 'class="offset" type="range" min="0" step="1"' in html
    assert "max=" not in html  # the script sets it to what the run allows


def test_the_offset_that_a_browser_reports_may_be_the_runs_own():
    before = BoxState(0, 0, 0, 300)
    reported = {"cls": 0, "step": 0, "view": 0, "offset": 299}
    assert _checked(reported, before, 1, Sliders([0.5], [(0.1, None)], 300)).offset == 299
