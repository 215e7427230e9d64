"""Pieces that several pages share: the chosen run and image, errors as sentences, explanations, empty states."""

from __future__ import annotations

import re
import shlex
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from app.reading import runs as loaders
from ccd_core.errors import UserError
from ccd_core.runs.run import Run


@contextmanager
def friendly_errors() -> Iterator[None]:
    """A user's mistake, or a file that is gone, is a sentence in a box, and the rest of the page goes on.

    A fragment and a dialog need it as a decorator of their own, below Streamlit's: what they raise does not reach the page around them.
    """
    try:
        yield
    except UserError as error:
        st.error(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        st.error(
            f"{error.filename} cannot be used: {error.strerror}. If it was deleted or moved while this page was open, reload the page."
        )


def pick_run() -> None:
    """The run picker in the sidebar; `?run=` of the link decides, and every page's link has it.

    Not bound to the link by Streamlit: that leaves the default out, so that a copied link would open another run once there is a newer one,
    and forbids to name the run where a page sends people on to another.
    """
    runs = loaders.known_runs()
    if not runs:
        st.sidebar.info("There are no runs yet. Start one on the page Train.")
        st.session_state["run_path"] = None
        return
    asked = st.query_params.get("run")
    if asked and asked not in runs:
        st.error(
            f"There is no run {asked!r} in {loaders.workspace()}; showing another one. Choose a run on the left."
        )
    before = Path(st.session_state.get("run_path") or "").name  # the sidebar's links to pages name no run
    name = next((name for name in (asked, before) if name in runs), None) or loaders.default_run(runs)
    if not asked:
        st.query_params["run"] = name
    st.session_state["run"] = name
    st.sidebar.selectbox(
        "Run",
        list(runs),
        key="run",
        on_change=_name_run_in_link,
        help=f"Runs in {loaders.workspace()}, and the demo.",
    )
    st.session_state["run_path"] = str(runs[name])
    run = loaders.open_run(runs[name])
    st.sidebar.caption(f"{run.status} · {run.config.data.spec} · {len(run.classes)} classes")
    if run.config.data.spec.partition(":")[0] == "demo":
        st.sidebar.caption(
            "Numbers on this run are measured on **toy scenes**, drawings made by this project; they say nothing about photographs."
        )


def _name_run_in_link() -> None:
    st.query_params["run"] = st.session_state["run"]


def current_run() -> Run:
    """The chosen run; ends the page with what to do where there is none."""
    if not st.session_state.get("run_path"):
        empty_state(
            "No run to look at yet",
            "A run labels the images of a folder and trains a classifier on them.",
            "train",
            "Start a run",
        )
        st.stop()
    return loaders.open_run(Path(st.session_state["run_path"]))


def require(run: Run, file: str, what: str) -> None:
    """End the page with why and what to do when the run has not come far enough, or was set to make none."""
    if run.has(*file.split("/")):
        return
    if run.status != "finished":
        text = f"It is {run.status}, in stage {run.state.get('stage', 'created')}. This page fills when it gets there."
        empty_state(f"This run has no {what} yet", text, "train", "Watch, resume or start a run")
    elif file == "views.parquet" and not run.config.labels.update:
        text = "It is finished and took none: its setting `labels.update` is off, so it trained on CLIP's initial labels alone. A run with it on has them."
        empty_state(f"This run has no {what}", text, "train", "Start such a run", icon=":material/block:")
    else:
        text = f"It is finished, but `{file}` is not in its folder any more; `{shlex.join(['ccd', 'run', '--resume', '--out', str(run.path)])}` makes it again."
        empty_state(f"This run has no {what}", text, icon=":material/block:")
    st.stop()


def empty_state(
    title: str, text: str, page: str | None = None, label: str = "", icon: str = ":material/hourglass_empty:"
) -> None:
    """What stands where there is nothing to show: why, and a link to the page (its file's name) where that changes."""
    with st.container(border=True, horizontal_alignment="center"):
        st.header(f"{icon} {title}", anchor=False, text_alignment="center")
        st.markdown(text, text_alignment="center")
        if page:
            query = {"run": st.session_state["run"]} if st.session_state.get("run") else None
            st.page_link(
                f"../pages/{page}.py",
                label=label,
                icon=":material/arrow_forward:",
                query_params=query,
                width="content",
            )


def page_header(title: str, lead: str, text: str, equation: str | None = None) -> None:
    """A page's title, the question it answers in one sentence, and the explanation with its equation one click away."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.title(title, anchor=False, width="content")
        with st.popover("Explain", icon=":material/help:", width="content"):
            st.write(text)
            if equation:
                st.latex(equation)
    st.caption(lead)


Metric = tuple[str, str] | tuple[str, str, str]  # (what, value) or (what, value, what it means)


def metric_row(metrics: Sequence[Metric]) -> None:
    """Numbers side by side."""
    for column, (label, value, *meaning) in zip(st.columns(len(metrics)), metrics, strict=True):
        column.metric(label, value, border=True, help=meaning[0] if meaning else None)


def show_figure(figure: go.Figure, key: str, **options: Any) -> Any:
    """A plotly figure that can be downloaded under the name `key` and says what it shows; returns what `st.plotly_chart` returns."""
    config = {"displaylogo": False, "toImageButtonOptions": {"format": "svg", "filename": key}}
    return st.plotly_chart(figure, key=key, config=config, alt=figure.layout.uirevision, **options)


# -- names ------------------------------------------------------------------------------------------

MARKS = re.compile(r"([\\`*\[\]<>$~:#|&]|(?<!\w)_|_(?!\w))")  # an underscore within a word marks nothing


def literal(name: str) -> str:
    """A name of a class or file as Markdown that shows it as it is: `$a$` is no formula, `]` ends no badge."""
    return MARKS.sub(r"\\\1", name)


# -- the chosen class: `?class=` of every page's link -------------------------------------------------


def filter_changed() -> None:
    """For callbacks of what narrows the images shown: one that does not fit gives way to the first that does."""
    st.session_state["narrowed"] = True


def pick_class(run: Run, label: str, otherwise: str, place: Any = st, **options: Any) -> str | None:
    """The class that somebody chose on this page, another one or in the link; None where nobody did, which the field shows as `otherwise`.

    What a page falls back to is its own: in the link, it would narrow what the next page shows.
    """
    if st.session_state.get("class") not in run.classes:
        st.session_state.pop("class", None)  # another run's
    options = {"on_change": filter_changed} | options
    return place.selectbox(
        label, run.classes, None, key="class", bind="query-params", placeholder=otherwise, **options
    )


# -- the chosen image: `?image=` of every page's link ----------------------------------------------


def choose_image(image: str) -> None:
    """Make `image` the one that pages show, whatever their filters leave; for callbacks."""
    st.session_state["narrowed"] = False
    _remember(image)


def _remember(image: str) -> None:
    st.session_state["image"] = image
    st.query_params["image"] = image


def current_image(ids: Sequence[str], every: Container[str]) -> str | None:
    """The image that the link names, else the one last looked at, where it is among `every`; else the first of `ids`, if there is any.

    It is one of `ids`, which filters leave, unless it was chosen after them.
    """
    asked = st.query_params.get("image") or st.session_state.get("image")
    if asked in ids or (asked in every and not st.session_state.get("narrowed")):
        image = asked
    else:
        image = ids[0] if ids else None
    if image and (st.session_state.get("image") != image or st.query_params.get("image") != image):
        _remember(image)
    return image


def pick_image(ids: Sequence[str], every: Container[str]) -> str | None:
    """The chosen image, with previous and next (keys: left and right arrow) among `ids` and a search that narrows them.

    One of `every` that was asked for is shown also where it is not among them. None where there are no `ids` and none was asked for.
    """
    bar = st.container(horizontal=True, vertical_alignment="center")  # breaks into rows where it is narrow
    back, forward, place, search = (
        bar.container(width=130),
        bar.container(width=130),
        bar.container(width=130),
        bar.container(),
    )
    wanted = search.text_input(
        "Find by file name",
        key="find",
        bind="query-params",
        placeholder="Find by file name",
        label_visibility="collapsed",
        on_change=filter_changed,
    )
    if wanted:
        found = [name for name in ids if wanted.lower() in name.lower()]
        if not found:
            search.caption(f"No image is named like {literal(wanted)!r}.")
        ids = found or ids
    image = current_image(ids, every)
    if image is None:
        return None
    inside = image in ids
    at = ids.index(image) if inside else 0
    before, after = (ids[at - 1], ids[(at + 1) % len(ids) if inside else 0]) if ids else ("", "")
    still = len(ids) < (2 if inside else 1)
    back.button(
        "Previous",
        icon=":material/arrow_back:",
        shortcut="Left",
        on_click=choose_image,
        args=(before,),
        disabled=still,
        width="stretch",
    )
    forward.button(
        "Next",
        icon=":material/arrow_forward:",
        shortcut="Right",
        on_click=choose_image,
        args=(after,),
        disabled=still,
        width="stretch",
    )
    place.markdown(f"**{f'{at + 1:,}' if inside else '–'}** of {len(ids):,}", text_alignment="center")
    if not inside:
        st.caption(
            f"{literal(image)} is outside of these filters. "
            + ("Previous and Next lead to the images that fit." if ids else "No image fits.")
        )
    return image
