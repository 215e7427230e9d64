"""Start a run in a process of its own, watch it, stop it, go on with it."""

from __future__ import annotations

import streamlit as st

from app.parts.train.form import start_form
from app.parts.train.jobs import announce, jobs_part
from app.widgets import literal, page_header

page_header(
    "Train",
    "Start a run, watch it, stop it, go on with it.",
    "A run is a process of its own: closing this page, or stopping the app, stops nothing. Runs on the same "
    "device wait for each other, in the order in which they were started. Everything here is read from the "
    "runs' folders, and `ccd jobs` does the same in a terminal.",
    r"\mathcal{L}_{total} = L_{ce} + \beta L_{consist}",
)
at_work = st.container()  # has its place also when it is empty, so that the form keeps what is being typed
with st.container(border=True):
    st.header("New run", anchor=False)
    start_form()
active = announce()
if active:
    names = ", ".join(literal(name) for name in active)
    verb = "is" if len(active) == 1 else "are"
    at_work.markdown(f"**{names}** {verb} at work: [watch below](#jobs).")
jobs_part(active=bool(active))
