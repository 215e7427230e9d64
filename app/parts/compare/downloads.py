"""Page Compare: a table as CSV for programs and as LaTeX for papers."""

from __future__ import annotations

import streamlit as st

RUN_LINES = "One line a run, with the AP of every class."  # what the CSV file of a table has


def csv_and_latex(
    name: str, key: str, csv: str, latex: str, csv_help: str | None = None, latex_help: str | None = None
) -> None:
    """Two buttons that download `name`.csv and `name`.tex."""
    with st.container(horizontal=True):
        for label, text, suffix, kind, about in (
            ("CSV", csv, "csv", "text/csv", csv_help),
            ("LaTeX", latex, "tex", "text/x-tex", latex_help),
        ):
            st.download_button(
                label,
                text,
                f"{name}.{suffix}",
                kind,
                icon=":material/download:",
                on_click="ignore",
                help=about,
                key=f"download_{key}_{suffix}",
            )
