"""What a person has chosen: the run, the class, the image and the comparison, kept in the link."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from app import state
from app.reading.comparing.comparisons import known_comparisons
from app.reading.comparing.comparisons import places as comparison_places
from app.reading.runs import default_run, known_runs, open_run, workspace
from app.widgets import empty_state, literal, show_error
from ccd_core.baselines.registry import labels_used, method_of
from ccd_core.runs.run import Run

# -- the run: `?run=` --------------------------------------------------------------------------------


def pick_run() -> None:
    """The run picker in the sidebar. `?run=` of the link decides, and every page's link has it.

    Streamlit's own binding to the link leaves the default out, so that a copied link would open another run
    once there is a newer one; nor may a page then name the run where it sends people on.
    """
    runs = known_runs()
    if not runs:
        st.sidebar.info("There are no runs yet. Start one on the page Train.")
        st.session_state[state.RUN_PATH] = None
        return
    linked = st.query_params.get(state.RUN)
    if linked and linked not in runs:
        show_error(
            f"There is no run {linked!r} in {workspace()}; showing another one. Choose a run on the left."
        )
    # The sidebar's links to pages name no run.
    before = Path(st.session_state.get(state.RUN_PATH) or "").name
    name = next((name for name in (linked, before) if name in runs), None) or default_run(runs)
    if not linked:
        st.query_params[state.RUN] = name
    st.session_state[state.RUN] = name
    st.sidebar.selectbox(
        "Run",
        list(runs),
        key=state.RUN,
        on_change=_name_run_in_link,
        help=f"Runs in {literal(str(workspace()))}, and the demo.",
    )
    st.session_state[state.RUN_PATH] = str(runs[name])
    run = open_run(runs[name])
    st.sidebar.caption(f"{run.status} · {literal(run.config.data.spec)} · {len(run.classes)} classes")
    if run.config.method.name != "ccd":
        used = "uses **labels**" if labels_used(run.config) else "no labels were used"
        st.sidebar.caption(f"Method: {literal(method_of(run.config).title)}; {used}.")
    if run.config.data.spec.partition(":")[0] == "demo":
        st.sidebar.caption(
            "Numbers on this run are measured on **toy scenes**, drawings made by this project; "
            "they say nothing about photographs."
        )


def _name_run_in_link() -> None:
    st.query_params[state.RUN] = st.session_state[state.RUN]


def current_run() -> Run:
    """The chosen run; ends the page with what to do where there is none."""
    if not st.session_state.get(state.RUN_PATH):
        empty_state(
            "No run to look at yet",
            "A run labels the images of a folder and trains a classifier on them.",
            "train",
            "Start a run",
        )
        st.stop()
    run = open_run(Path(st.session_state[state.RUN_PATH]))
    say_labels_used(run)
    return run


def say_labels_used(run: Run) -> None:
    """A banner on top of the page of a run that was given labels; nothing for another run."""
    labels = labels_used(run.config)
    if labels:
        st.warning(
            f"**This run used labels**: {labels}. Its method is {literal(method_of(run.config).title)}, not "
            "CCD, and its scores do not compare with those of a run without labels.",
            icon=":material/sell:",
        )


# -- the class: `?class=` ----------------------------------------------------------------------------


def filter_changed() -> None:
    """For callbacks of filters: an image that does not fit them gives way to the first one that does."""
    st.session_state[state.NARROWED] = True


def pick_class(run: Run, label: str, otherwise: str, place: Any = st, **options: Any) -> str | None:
    """The class chosen on this page, on another page or in the link; None where nobody chose one.

    otherwise: what the field shows then. What a page falls back to is its own: in the link, it would narrow
    what the next page shows.
    """
    if st.session_state.get(state.CLASS) not in run.classes:
        st.session_state.pop(state.CLASS, None)  # another run's
    options = {"on_change": filter_changed} | options
    return place.selectbox(
        label, run.classes, None, key=state.CLASS, bind="query-params", placeholder=otherwise, **options
    )


# -- the image: `?image=` ----------------------------------------------------------------------------


def choose_image(image: str) -> None:
    """Make `image` the one that pages show, whatever their filters leave; for callbacks."""
    st.session_state[state.NARROWED] = False
    _remember(image)


def _remember(image: str) -> None:
    st.session_state[state.IMAGE] = image
    st.query_params[state.IMAGE] = image


def current_image(ids: Sequence[str], every: Container[str]) -> str | None:
    """The image that the link names, else the one last looked at, else the first of `ids`; None without any.

    ids: the images that the filters leave; every: all images. An image outside of the filters is shown only
    if it was chosen after them.
    """
    wanted = st.query_params.get(state.IMAGE) or st.session_state.get(state.IMAGE)
    image = ids[0] if ids else None
    if wanted in ids or (wanted in every and not st.session_state.get(state.NARROWED)):
        image = wanted
    remembered = st.session_state.get(state.IMAGE) == image == st.query_params.get(state.IMAGE)
    if image and not remembered:
        _remember(image)
    return image


def find_field(place: Any = st) -> str:
    """The field with which people find an image by its file name."""
    return place.text_input(
        "Find by file name",
        key=state.FIND,
        bind="query-params",
        placeholder="Find by file name",
        label_visibility="collapsed",
        on_change=filter_changed,
    )


def pick_image(ids: Sequence[str], every: Container[str]) -> str | None:
    """The chosen image, with previous and next (keys: left and right arrow) and a search that narrows `ids`.

    One of `every` that was asked for is shown also where it is not among `ids`. None where there are no `ids`
    and none was asked for.
    """
    bar = st.container(horizontal=True, vertical_alignment="center")  # breaks into rows where it is narrow
    back, forward, place = (bar.container(width=130) for _ in range(3))
    search = bar.container()
    wanted = find_field(search)
    if wanted:
        found = [name for name in ids if wanted.lower() in name.lower()]
        if not found:
            search.caption(f"No image is named like {literal(repr(wanted))}.")
        ids = found or ids
    image = current_image(ids, every)
    if image is None:
        return None
    inside = image in ids
    at = ids.index(image) if inside else 0
    before = after = ""
    if ids:
        before = ids[at - 1]
        after = ids[(at + 1) % len(ids)] if inside else ids[0]
    alone = len(ids) < (2 if inside else 1)
    back.button(
        "Previous",
        icon=":material/arrow_back:",
        shortcut="Left",
        on_click=choose_image,
        args=(before,),
        disabled=alone,
        width="stretch",
    )
    forward.button(
        "Next",
        icon=":material/arrow_forward:",
        shortcut="Right",
        on_click=choose_image,
        args=(after,),
        disabled=alone,
        width="stretch",
    )
    number = f"{at + 1:,}" if inside else "–"
    place.markdown(f"**{number}** of {len(ids):,}", text_alignment="center")
    if not inside:
        more = "Previous and Next lead to the images that fit." if ids else "No image fits."
        st.caption(f"{literal(image)} is outside of these filters. {more}")
    return image


# -- the comparison: `?comparison=` --------------------------------------------------------------------


def pick_comparison() -> Path:
    """The folder of the comparison that the link names or that was chosen; ends the page where there is none.

    As with the run, the link always names it, so that it opens the same one when there is a newer one.
    """
    found = known_comparisons()
    where = " and ".join(map(str, comparison_places()))
    if not found:
        empty_state(
            "No comparison to look at yet",
            literal(
                "`ccd table demo --out comparisons/demo` compares every method on the demo's images. This "
                f"page shows the comparisons in {where}.",
                keep_code=True,
            ),
        )
        st.stop()
    linked = st.query_params.get(state.COMPARISON)
    if linked and linked not in found:
        show_error(f"There is no comparison {linked!r} in {where}; showing another one.")
    before = st.session_state.get(state.COMPARISON)
    name = next((name for name in (linked, before) if name in found), None) or next(iter(found))
    if linked != name:
        st.query_params[state.COMPARISON] = name
    st.session_state[state.COMPARISON] = name
    st.selectbox(
        "Comparison",
        list(found),
        key=state.COMPARISON,
        on_change=_name_comparison_in_link,
        width=420,
        help=f"Folders with a table.json or sweep.json in {literal(where)}, and those that ship.",
    )
    return found[name]


def _name_comparison_in_link() -> None:
    st.query_params[state.COMPARISON] = st.session_state[state.COMPARISON]
