"""Page Compare: AP of every class under every method, as a heat map (Tables 3 to 5)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import streamlit as st

from app import state
from app.figures.compare import class_heat
from app.parts.compare.downloads import RUN_LINES, csv_and_latex
from app.reading.comparing.comparisons import row_titles
from app.widgets import SCROLLS_FROM, literal, show_figure
from ccd_core.baselines.tables import TableFile
from ccd_core.comparison import shown

ORDERS = ("by mean AP", "by spread", "as listed")
MOST = 300  # classes in the heat map; the files to download have all


def classes_part(table: TableFile, folder: Path) -> None:
    """The heat map, what it is compared with, and downloads."""
    titled = zip(row_titles(table.rows), table.rows, strict=True)
    finished = [(title, row) for title, row in titled if row.over_seeds() is not None]
    if not finished:
        st.info("No run of this comparison has finished yet, so there is no AP to show.")
        return
    titles = [title for title, _ in finished]
    values = np.full((len(table.classes), len(finished)), np.nan)
    for column, (_, row) in enumerate(finished):
        for number, name in enumerate(table.classes):
            if (found := row.class_ap(name)) is not None:
                values[number, column] = found.mean
    against, order = _fields(titles)
    rows = _order(values, order)[:MOST]
    shown_values = values if against is None else values - values[:, [titles.index(against)]]
    figure = class_heat(shown_values[rows], [table.classes[row] for row in rows], titles, against)
    with st.container(height=SCROLLS_FROM if figure.layout.height > SCROLLS_FROM else "content"):
        show_figure(figure, key="class_heat")
    text = "Mean AP over the finished seeds, in percent."
    if against is not None:
        text = f"Mean AP less that of {literal(against)}, in points."
    if np.isnan(values[rows]).all(1).any():
        text += " An empty row is a class that no validation image has."
    if len(values) > MOST:
        text += f" The first {MOST} of {len(values):,} classes in this order; the files have all."
    st.caption(text)
    csv_and_latex(
        f"{folder.name}-classes",
        "classes",
        shown.table_csv(table),
        shown.classes_latex(table),
        RUN_LINES,
        "A row a class and a column a method, as in Tables 3 to 5.",
    )


def _fields(titles: list[str]) -> tuple[str | None, str]:
    """The method that is subtracted, or None, and the order of the classes."""
    if st.session_state.get(state.AGAINST) not in titles:
        st.session_state.pop(state.AGAINST, None)  # another comparison's
    with st.container(horizontal=True, vertical_alignment="bottom"):
        against = st.selectbox(
            "Against",
            titles,
            None,
            key=state.AGAINST,
            bind="query-params",
            placeholder="no method: AP as it is",
            width=300,
            help="Its AP is taken from that of all others, so that gains and losses are seen.",
        )
        order = st.segmented_control(
            "Order of the classes",
            ORDERS,
            default=ORDERS[0],
            required=True,
            key=state.CLASS_ORDER,
            bind="query-params",
        )
    return against, order


def _order(values: np.ndarray, order: str) -> list[int]:
    """The rows of `values`, the highest mean or the widest spread first; classes without AP are last."""
    if order == ORDERS[2]:
        return list(range(len(values)))
    known = np.isfinite(values)
    filled = np.where(known, values, 0)
    means = filled.sum(1) / np.maximum(known.sum(1), 1)
    spread = np.where(known, values, -np.inf).max(1) - np.where(known, values, np.inf).min(1)
    keys = means if order == ORDERS[0] else spread
    return np.argsort(-np.where(known.any(1), keys, -np.inf), kind="stable").tolist()
