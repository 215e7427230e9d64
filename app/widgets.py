"""Pieces that several pages share: names and errors in Markdown, titles, empty states, figures, sliders."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from app import state
from ccd_core.baselines.registry import method_of
from ccd_core.errors import UserError
from ccd_core.method.bias import entropy_limit
from ccd_core.runs.run import Run

SCROLLS_FROM = 700  # pixels; a taller figure is shown in a box of this height

# -- names and errors --------------------------------------------------------------------------------

# What means something in Streamlit's Markdown. An underscore within a word marks nothing, nor does a colon
# before a space.
MARKS = re.compile(r"[\\`*\[\]<>$~#|&]|:(?!\s)|(?<!\w)_|_(?!\w)")
CODE = re.compile(r"(?<!`)`[^`\n]+`(?!`)")


def literal(text: str, keep_code: bool = False) -> str:
    """A name as Markdown that shows it as it is: no formula, no image, no end of a badge.

    keep_code: for sentences, in which `code` stays code.
    """
    line = " ".join(text.splitlines())
    parts: list[str] = []
    begin = 0
    for code in CODE.finditer(line) if keep_code else ():
        parts += [MARKS.sub(r"\\\g<0>", line[begin : code.start()]), code.group()]
        begin = code.end()
    return "".join([*parts, MARKS.sub(r"\\\g<0>", line[begin:])])


def short_name(name: str, most: int = 14) -> str:
    """The end of a name, in `most` characters: names of one data set begin alike, and a tile has little room.

    >>> short_name("2012_000039.jpg")
    '..._000039.jpg'
    """
    return name if len(name) <= most else f"...{name[3 - most :]}"


def show_error(error: UserError | str) -> None:
    """A user's mistake as a sentence in a box, whatever names are in it."""
    st.error(literal(str(error), keep_code=True))


@contextmanager
def friendly_errors() -> Iterator[None]:
    """A user's mistake, or a file that is gone, is a sentence in a box, and the rest of the page goes on.

    A fragment and a dialog need it as a decorator of their own, below Streamlit's: what they raise does not
    reach the page around them.
    """
    try:
        yield
    except UserError as error:
        show_error(error)
    except OSError as error:
        if error.filename is None:
            raise
        show_error(
            f"{error.filename} cannot be used: {error.strerror}. "
            "If it was deleted or moved while this page was open, reload the page."
        )


# -- titles, empty states, numbers, figures ------------------------------------------------------------


def page_header(title: str, lead: str, text: str, equation: str | None = None) -> None:
    """A page's title, the question it answers in one sentence, and the explanation one click away."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.title(title, anchor=False, width="content")
        with st.popover("Explain", icon=":material/help:", width="content"):
            st.write(text)
            if equation:
                st.latex(equation)
    st.caption(lead)


def empty_state(
    title: str, text: str, page: str | None = None, label: str = "", icon: str = ":material/hourglass_empty:"
) -> None:
    """What stands where there is nothing to show: why, and a link to the page that changes this.

    page: the name of its file in pages/, without .py.
    """
    with st.container(border=True, horizontal_alignment="center"):
        st.header(f"{icon} {title}", anchor=False, text_alignment="center")
        st.markdown(text, text_alignment="center")
        if page:
            run = st.session_state.get(state.RUN)
            st.page_link(
                f"../pages/{page}.py",
                label=label,
                icon=":material/arrow_forward:",
                query_params={state.RUN: run} if run else None,
                width="content",
            )


def require(run: Run, file: str, what: str) -> None:
    """End the page with a reason and a way on where the run has no `file`."""
    if run.has(*file.split("/")):
        return
    if run.status != "finished":
        stage = run.state.get("stage", "created")
        text = f"It is {run.status}, in stage {stage}. This page fills when it gets there."
        empty_state(f"This run has no {what} yet", text, "train", "Watch, resume or start a run")
    elif not run.config.method.is_ccd:
        title = literal(method_of(run.config).title)
        text = f"It is finished. Its method, {title}, makes none; a run of CCD has them."
        empty_state(f"This run has no {what}", text, "train", "Start such a run", icon=":material/block:")
    elif file == "views.parquet" and not run.config.labels.update:
        text = (
            "It is finished and took none: its setting `labels.update` is off, so it trained on CLIP's "
            "initial labels alone. A run with it on has them."
        )
        empty_state(f"This run has no {what}", text, "train", "Start such a run", icon=":material/block:")
    else:
        command = shlex.join(["ccd", "run", "--resume", "--out", str(run.path)])
        text = f"It is finished, but `{file}` is not in its folder any more; `{command}` makes it again."
        empty_state(f"This run has no {what}", literal(text, keep_code=True), icon=":material/block:")
    st.stop()


Metric = tuple[str, str] | tuple[str, str, str]  # (what, value) or (what, value, what it means)


def metric_row(metrics: Sequence[Metric]) -> None:
    """Numbers side by side, as wide as their words; those without room go to the next line."""
    with st.container(horizontal=True):
        for label, value, *meaning in metrics:
            st.metric(label, value, border=True, width="content", help=meaning[0] if meaning else None)


def show_figure(figure: go.Figure, key: str, **options: Any) -> Any:
    """A plotly figure that can be downloaded under the name `key` and says what it shows.

    Returns what `st.plotly_chart` returns.
    """
    config = {"displaylogo": False, "toImageButtonOptions": {"format": "svg", "filename": key}}
    return st.plotly_chart(figure, key=key, config=config, alt=figure.layout.uirevision, **options)


def class_figure(figure: go.Figure, key: str, part: tuple[str, str] | None = None) -> None:
    """A figure with one row a class, which scrolls where it is tall.

    part: key and value of the widget that chooses a part of the page. With it, a click on a row chooses the
    class and goes to that part.
    """
    box = st.container(height=SCROLLS_FROM) if figure.layout.height > SCROLLS_FROM else st.container()
    clicks: dict[str, Any] = {}
    if part:
        clicks = {"on_select": partial(_choose_class, key, *part), "selection_mode": "points"}
    with box:
        show_figure(figure, key, **clicks)


def _choose_class(figure: str, part_key: str, part: str) -> None:
    points = st.session_state[figure]["selection"]["points"]
    if not points:
        return
    name = points[0]["y"]
    if st.session_state[part_key] != part:
        st.query_params[state.CLASS] = name  # the field that would name it in the link is on the other part
    st.session_state[state.CLASS] = name
    st.session_state[part_key] = part


@contextmanager
def folded(title: str, key: str, expanded: bool = False) -> Iterator[bool]:
    """A part of the page behind its title, and whether it is open: what nobody sees is not sent.

    expanded: whether it is open at first, and again when this changes.
    """
    part = st.expander(title, expanded=expanded, key=f"{key}_{expanded}", on_change="rerun")
    with part:
        yield bool(part.open)


# -- widgets -------------------------------------------------------------------------------------------


def pick_part(parts: list[str], key: str) -> str:
    """The part of the page to show, `?KEY=`: only its figures are computed and drawn when a slider moves."""
    if st.session_state.get(key) not in parts:
        st.session_state.pop(key, None)
    return st.segmented_control(
        "Part",
        parts,
        default=parts[0],
        required=True,
        key=key,
        bind="query-params",
        label_visibility="collapsed",
    )


def pick_page(count: int, key: str) -> int:
    """The chosen one of `count` pages of a list, `?KEY=`, counted from 1."""
    return min(st.pagination(count, key=key, bind="query-params"), count) if count > 1 else 1


def follow_run(run: Run, settings: dict[str, Any]) -> None:
    """Put sliders back to the run's own values (key -> value) where another run was chosen meanwhile.

    A link that names both a run and a value opens as written.
    """
    shown = st.session_state.setdefault(state.SLIDERS_OF, {})
    for key, value in settings.items():
        if shown.setdefault(key, str(run.path)) != str(run.path):
            st.session_state[key] = value
            shown[key] = str(run.path)


def entropy_slider(run: Run) -> tuple[float, float]:
    """The entropy threshold chosen, and the highest one: the entropy of C equal probabilities."""
    used = float(entropy_limit(run.config.bias, len(run.classes)))
    most = max(float(np.ceil(20 * np.log(len(run.classes))) / 20), used)
    follow_run(run, {state.ENTROPY: used})
    chosen = st.slider(
        "Entropy threshold (nats)",
        0.05,
        most,
        used,
        0.05,
        key=state.ENTROPY,
        bind="query-params",
        help=f"Only images with less entropy count towards the bias. The run used {used:g}.",
    )
    return chosen, most
