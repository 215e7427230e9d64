"""Pieces that several pages share: the chosen run, errors as sentences, explanations, the image picker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from app import loaders
from ccd_core.errors import UserError
from ccd_core.runs import Run


@contextmanager
def friendly_errors() -> Iterator[None]:
    """A user's mistake is a sentence in a box, and the rest of the page goes on."""
    try:
        yield
    except UserError as error:
        st.error(str(error))


def pick_run() -> None:
    """The run picker in the sidebar; its choice is `?run=` of every page's link."""
    runs = loaders.known_runs()
    if not runs:
        st.sidebar.info("There are no runs yet. Start one on the page Train.")
        st.session_state["run_path"] = None
        return
    asked = st.query_params.get("run")
    if asked and asked not in runs:
        st.error(f"There is no run {asked!r} in {loaders.workspace()}; showing another one. Choose a run on the left.")
    names = list(runs)
    default = names.index(loaders.default_run(runs))
    name = st.sidebar.selectbox("Run", names, index=default, key="run", bind="query-params", help=f"Runs in {loaders.workspace()}, and the demo.")
    st.session_state["run_path"] = str(runs[name])
    run = Run.open(runs[name])
    st.sidebar.caption(f"{run.status} · {run.config.data.spec} · {len(run.classes)} classes")
    if run.config.data.spec.partition(":")[0] == "demo":
        st.sidebar.caption("Numbers on this run are measured on **toy scenes**, drawings made by this project; they say nothing about photographs.")


def current_run() -> Run:
    """The chosen run; ends the page with a hint where there is none."""
    if not st.session_state.get("run_path"):
        st.info("There is no run to look at yet. Start one on the page **Train**.")
        st.stop()
    return Run.open(st.session_state["run_path"])


def require(run: Run, file: str, what: str) -> None:
    """End the page with what to do when the run has not come far enough."""
    if not run.has(*file.split("/")):
        st.info(f"This run has no {what} yet: it is {run.status}, in stage {run.state.get('stage', 'created')}. This page fills when it gets there.")
        st.stop()


def page_header(title: str, lead: str, text: str, equation: str) -> None:
    """A page's title, the question it answers in one sentence, and the explanation with its equation one click away."""
    left, right = st.columns([6, 1], vertical_alignment="bottom")
    left.title(title)
    left.caption(lead)
    with right.popover("Explain", icon=":material/help:", width="stretch"):
        st.write(text)
        st.latex(equation)


def show_figure(figure: go.Figure, key: str, **options: Any) -> Any:
    """A plotly figure that can be downloaded under the name `key`; returns what `st.plotly_chart` returns."""
    config = {"displaylogo": False, "toImageButtonOptions": {"format": "svg", "filename": key}}
    return st.plotly_chart(figure, key=key, config=config, **options)


def _step(count: int, by: int) -> None:
    st.session_state["n"] = (st.session_state.get("n", 1) - 1 + by) % count + 1


def pick_image(ids: Sequence[str]) -> str:
    """Number of the image, with previous and next (keys: left and right arrow); `?n=` in the link."""
    back, number, forward, search = st.columns([1.4, 1.6, 1.2, 4], vertical_alignment="bottom")
    back.button("Previous", icon=":material/arrow_back:", shortcut="Left", on_click=_step, args=(len(ids), -1), width="stretch")
    if st.session_state.get("n", 1) > len(ids):
        st.session_state["n"] = 1
    place = number.number_input(f"Image (1 to {len(ids)})", 1, len(ids), key="n", bind="query-params")
    forward.button("Next", icon=":material/arrow_forward:", shortcut="Right", on_click=_step, args=(len(ids), 1), width="stretch")
    wanted = search.text_input("Find by file name", key="find", placeholder="part of the name")
    if wanted:
        matches = [name for name in ids if wanted.lower() in name.lower()]
        if matches:
            return matches[0]
        search.caption(f"No image is named like {wanted!r}.")
    return ids[int(place) - 1]
