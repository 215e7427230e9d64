"""The pipeline as a strip of cards, each with a picture or a number and a way to the page that shows more."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import streamlit as st

from app import state
from app.components.files import component
from ccd_core.data.types import UnitBox

_component = component("pipeline_strip")


@dataclass(frozen=True)
class Step:
    """One card.

    title, value, text: the step, a number, and what it counts. page: the page that a click opens.
    pictures: their addresses. bars: heights, of which only the ratios are shown. boxes: drawn over a picture.
    """

    title: str
    value: str
    text: str
    page: str
    pictures: tuple[str, ...] = ()
    bars: tuple[float, ...] = ()
    boxes: tuple[UnitBox, ...] = ()


def pipeline_strip(steps: list[Step], key: str) -> None:
    """Show the steps. A click on one goes to its page."""
    data = {"steps": [asdict(step) for step in steps]}
    opened = _component(data=data, key=key, on_opened_change=lambda: None).opened
    if opened in {step.page for step in steps}:
        st.switch_page(f"../pages/{opened}.py", query_params={state.RUN: st.session_state[state.RUN]})
