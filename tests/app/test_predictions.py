"""The page Predict's thresholds in its link."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.reading.asking.predictions import link_of_thresholds, steps, thresholds_of_link
from ccd_core.evaluation.thresholds import in_use


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=30))
def test_what_the_link_says_is_what_was_set(pairs):
    values, usual = steps([a / 100 for a, _ in pairs]), steps([b / 100 for _, b in pairs])
    linked = thresholds_of_link(link_of_thresholds(values, usual), len(pairs))
    assert [linked.get(i, usual[i]) for i in range(len(pairs))] == values
    assert len(linked) == sum(a != b for a, b in pairs)  # nothing more than what differs


def test_what_is_no_threshold_is_left_out():
    assert thresholds_of_link("1:0.4,x:0.3,99:0.5,2:1.5,0:nan,,3", 5) == {1: 0.4}


def test_a_link_sets_classes_apart_and_one_for_all_forgets_them(app, tiny_run):
    test = app("predict", limits="Each class", each="2:0.31,400:0.5,x")
    values = {slider.label: slider.value for slider in test.slider}
    own = {name: round(value, 2) for name, value in in_use(tiny_run).values.items()}
    assert values == pytest.approx(own | {tiny_run.classes[2]: 0.31}, abs=0.011)
    next(slider for slider in test.slider if slider.label == tiny_run.classes[0]).set_value(0.7).run()
    assert test.query_params["each"] in ("0:0.7,2:0.31", ["0:0.7,2:0.31"]) and not test.exception
    test.button_group(key="limits").set_value("One for all").run()
    assert "each" not in test.query_params
