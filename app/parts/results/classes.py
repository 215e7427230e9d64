"""Page Results: AP of one run or several, class by class."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import streamlit as st

from app import state
from app.figures.average_precision import ap_bars, ap_points
from app.reading.runs import known_runs, open_run
from app.reading.scores import SPLITS, scored
from app.widgets import SCROLLS_FROM, literal, show_figure
from ccd_core.config import differences
from ccd_core.predict.tables import spreadsheet_text
from ccd_core.runs.run import Run

MOST_COMPARED = 6  # runs beside the chosen one
FINAL_LABELS = "final labels (training images)"

AP = dict[str, float | None]  # class -> AP in percent


def compared_runs(run: Run) -> dict[str, Run]:
    """The chosen run and those picked to stand beside it."""
    paths = known_runs()
    others = [name for name, path in paths.items() if path != run.path]
    if not others:
        return {run.name: run}
    beside = st.multiselect(
        "Compare with other runs",
        others,
        key=state.BESIDE,
        bind="query-params",
        placeholder="one run or more",
        max_selections=MOST_COMPARED,
    )
    return {run.name: run} | {name: open_run(paths[name]) for name in beside if name in paths}


def classes_part(run: Run, split: str) -> None:
    """AP of every class, of one run as bars or of several as points; and the settings that differ."""
    bar = st.container(horizontal=True, vertical_alignment="bottom")  # breaks into rows where it is narrow
    with bar:
        runs = compared_runs(run)
    told = [name for name, one in runs.items() if one is not run and one.config.method.supervision != "none"]
    if told:
        st.warning(f"Used labels of the training images: {literal(', '.join(told))}.", icon=":material/sell:")
    columns: dict[str, AP] = {}
    for name, one in runs.items():
        report = one.load_scores_of(split)
        if report:
            columns[name] = report["AP"]
        else:
            st.info(f"Run {literal(name)} has no scores against ground truth for {SPLITS[split]}.")
    final = (run.load_ap().get("labels") or {}).get("final")
    with bar:
        if final and st.toggle(
            "with the final labels' AP",
            key=state.WITH_LABELS,
            bind="query-params",
            help="Of the pseudo-labels, on the training images.",
        ):
            columns[FINAL_LABELS] = final["AP"]
        order = _order_field(len(columns) > 1)
    if not columns:
        return
    names = _sorted_classes(columns, order)
    first = next(iter(columns.values()))
    if len(columns) == 1:
        figure = ap_bars(first, names, _positives(run, split))
    else:
        figure = ap_points(columns, names)
    with st.container(height=SCROLLS_FROM if figure.layout.height > SCROLLS_FROM else "content"):
        show_figure(figure, key="ap")
    with st.expander("Table", expanded=len(columns) > 1):
        _table(run, columns, names)
    if len(runs) > 1:
        _settings_that_differ(runs)


def _order_field(several: bool) -> str:
    choices = ["AP", "name", "difference"] if several else ["AP", "name"]
    return st.segmented_control(
        "Sort by",
        choices,
        default="difference" if several else "AP",
        required=True,
        key=state.SORT,
        bind="query-params",
    )


def _sorted_classes(columns: dict[str, AP], order: str) -> list[str]:
    """The classes by AP of the first column, by name, or by how far the columns lie apart."""
    first = next(iter(columns.values()))

    def ap(name: str) -> float:
        value = first[name]
        return -1.0 if value is None else value

    def spread(name: str) -> float:
        values = [value for column in columns.values() if (value := column.get(name)) is not None]
        return max(values) - min(values) if len(values) > 1 else 0.0

    keys: dict[str, Callable[[str], str | float]] = {
        "AP": lambda name: -ap(name),
        "name": str,
        "difference": lambda name: -spread(name),
    }
    return sorted(first, key=keys[order])


def _positives(run: Run, split: str) -> dict[str, int]:
    """How many images of the split have each class; empty where the ground truth is not on this machine."""
    targets = scored(run, split).targets
    return {} if targets is None else dict(zip(run.classes, targets.sum(0).tolist(), strict=True))


def _table(run: Run, columns: dict[str, AP], names: list[str]) -> None:
    table = pd.DataFrame(
        {"class": names} | {title: [column.get(name) for name in names] for title, column in columns.items()}
    )
    values = list(columns)
    if len(values) == 2:
        table["difference"] = table[values[1]].astype(float) - table[values[0]].astype(float)
    means = {title: table[title].astype(float).mean() for title in table.columns[1:]}
    shown = pd.concat([pd.DataFrame([{"class": "mean"} | means]), table], ignore_index=True)
    styled = shown.style.format(precision=1, na_rep="-").map(_heat, subset=values)
    if "difference" in table:
        most = max(1.0, float(table["difference"].abs().max()))
        styled = styled.map(lambda value: _difference(value, most), subset=["difference"])
    st.dataframe(styled, hide_index=True, height=min(520, 36 * (len(names) + 2)))
    safe = table.assign(**{"class": table["class"].map(spreadsheet_text)})
    st.download_button(
        "Download the table as CSV",
        safe.rename(columns=spreadsheet_text).to_csv(index=False),
        f"{run.name}-ap.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
    )


def _heat(value: float | None) -> str:
    """A cell's background by its AP in percent; half transparent, so that it fits light and dark."""
    if value is None or np.isnan(value):
        return ""
    return f"background-color: rgba(0, 114, 178, {0.65 * (value / 100) ** 2:.2f})"


def _difference(value: float | None, most: float) -> str:
    """The same for a difference: green for a gain, vermilion for a loss."""
    if value is None or np.isnan(value):
        return ""
    colour = "0, 158, 115" if value > 0 else "213, 94, 0"
    return f"background-color: rgba({colour}, {0.65 * min(1, abs(value) / most):.2f})"


def _settings_that_differ(runs: dict[str, Run]) -> None:
    st.header("Settings that differ", anchor=False)
    first, *others = runs.values()
    keys = list(dict.fromkeys(key for other in others for key in differences(first.config, other.config)))
    if not keys:
        st.caption("None: the runs have the same settings.")
        return
    rows = []
    for key in keys:
        row = {"setting": key}
        for name, one in runs.items():
            value: object = one.config.model_dump(mode="json")
            for part in key.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            row[name] = "-" if value is None else str(value)
        rows.append(row)
    st.dataframe(rows, hide_index=True)
