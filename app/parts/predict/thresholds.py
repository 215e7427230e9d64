"""Page Predict: from which score on a class is a label."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app import state
from app.reading.asking.predictions import link_of_thresholds, steps, thresholds_of_link
from app.reading.scores import thresholds_in_use
from app.widgets import literal
from ccd_core.evaluation.thresholds import Thresholds
from ccd_core.runs.run import Run

SLIDERS = 60  # thresholds of classes on the page at once; the others are found by name
SAVED, ONE, EACH = "The run's", "One for all", "Each class"


def chosen_thresholds(run: Run) -> Thresholds:
    """The run's thresholds, one for all classes, or one for each."""
    saved = thresholds_in_use(run)
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    way = left.segmented_control(
        "Thresholds", [SAVED, ONE, EACH], default=SAVED, required=True, key=state.LIMITS, bind="query-params"
    )
    if way == SAVED:
        right.caption(f"{saved.in_words.capitalize()}. The page Results can change them.")
        return saved
    if way == EACH:
        right.caption("A class scored at or above its threshold is a label.")
        return _each_threshold(run, saved)
    st.query_params.pop(state.THRESHOLDS, None)
    value = right.slider(
        "Threshold",
        0.0,
        1.0,
        0.5,
        0.01,
        key=state.THRESHOLD,
        bind="query-params",
        help="A class scored at or above it is a label.",
    )
    return Thresholds.same(run.classes, value)


def _each_threshold(run: Run, saved: Thresholds) -> Thresholds:
    """A slider for each class. The link has those that are not where the run has them."""
    count = len(run.classes)
    usual = steps(saved.array(run.classes))
    linked = thresholds_of_link(st.query_params.get(state.THRESHOLDS, ""), count)
    starts = [linked.get(i, usual[i]) for i in range(count)]
    keys = [f"limit {run.name} {i}" for i in range(count)]
    values = [st.session_state.get(key, start) for key, start in zip(keys, starts, strict=True)]
    with st.expander("A threshold for each class", expanded=count <= 24):
        found: Sequence[int] = range(count)
        if count > SLIDERS:
            found = _found_by_name(run)
        with st.grid(min_column_width=130, gap="medium"):
            for i in found[:SLIDERS]:
                values[i] = st.slider(
                    literal(run.classes[i]), 0.0, 1.0, starts[i], 0.01, key=keys[i], persist_state="session"
                )
    if changed := link_of_thresholds(values, usual):
        st.query_params[state.THRESHOLDS] = changed
    else:
        st.query_params.pop(state.THRESHOLDS, None)
    return Thresholds(dict(zip(run.classes, values, strict=True)), per_class=True)


def _found_by_name(run: Run) -> list[int]:
    """The classes whose name has what the person typed in it."""
    wanted = st.text_input(
        "Find a class", key=state.FIND_CLASS, placeholder="Find a class", label_visibility="collapsed"
    ).lower()
    found = [i for i, name in enumerate(run.classes) if wanted in name.lower()]
    shown = min(len(found), SLIDERS)
    st.caption(f"{shown} of {len(run.classes):,} classes; find the others by name.")
    return found
