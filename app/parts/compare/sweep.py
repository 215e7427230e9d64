"""Page Compare: a sweep over the values of a setting (Figs. 6 and 7), or the ablation of Table 2."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from app.figures.compare import SweptPoint, sweep_curve, sweep_rows
from app.parts.compare.downloads import csv_and_latex
from app.parts.compare.table import MEASURES, measure_field, shown_name
from app.reading.comparing.comparisons import data_set_name, row_titles
from app.widgets import literal, show_figure
from ccd_core.baselines.tables import Measure, SweepFile, SweepPoint
from ccd_core.comparison import shown
from ccd_core.comparison.published import DATASETS


def sweep_part(sweep: SweepFile, folder: Path) -> None:
    """The curve or the rows, the table beside it, and downloads."""
    st.header(literal(sweep.title), anchor=False)
    measure = measure_field()
    points = [
        _point(title, point, MEASURES[measure])
        for title, point in zip(row_titles(sweep.points), sweep.points, strict=True)
    ]
    values = [point.value for point in points if point.value is not None and math.isfinite(point.value)]
    if sweep.setting is not None and len(values) > 1:
        show_figure(sweep_curve(points, sweep.setting, measure), key="sweep")
    else:
        show_figure(sweep_rows(points, measure), key="sweep")
    _say_what_is_shown(sweep, measure)
    _grid(sweep.points, MEASURES[measure])
    csv_and_latex(folder.name, "sweep", shown.sweep_csv(sweep), shown.sweep_latex(sweep))


def _point(title: str, point: SweepPoint, measure: Measure) -> SweptPoint:
    seeds = [value for run in point.runs if (value := getattr(run, measure)) is not None]
    published = point.published if measure == "mAP" else None
    score = point.over_seeds(measure)
    return SweptPoint(
        _named(title, point), point.value, score, tuple(seeds), published, point.is_control, point.is_base
    )


def _named(title: str, point: SweepPoint) -> str:
    """A point's title, which says of a control that it is one."""
    return f"{title} (control)" if point.is_control and not title.startswith("control") else title


def _say_what_is_shown(sweep: SweepFile, measure: str) -> None:
    seeds = "1 seed" if len(sweep.seeds) == 1 else f"{len(sweep.seeds)} seeds"
    text = (
        f"{measure} on {sweep.val_images:,} validation images of {literal(data_set_name(sweep))}, method "
        f"{literal(sweep.method)}, preset {literal(sweep.preset)}, {seeds}. "
        "★ or ● marks the base settings. Bars reach one standard deviation to each side; faint dots are "
        "seeds."
    )
    if sweep.dataset_kind not in DATASETS:
        text += " The paper has no numbers for this data set."
    elif not any(point.published is not None for point in sweep.points):
        text += " The paper's text gives no number for these values."
    elif measure == "mAP":
        text += " ◇: the paper's number."
    st.caption(text)
    if sweep.dataset_kind == "demo":
        st.caption("Numbers on **toy scenes**, drawings made by this project, say nothing about photographs.")


def _grid(points: Sequence[SweepPoint], measure: Measure) -> None:
    number = st.column_config.NumberColumn
    lines = []
    for point in points:
        found = point.over_seeds(measure)
        labels = [run.label_mAP for run in point.runs if run.label_mAP is not None]
        lines.append(
            {
                "value": _named(point.label, point),
                "mean": found.mean if found else None,
                "±": found.deviation if found else None,
                "paper": point.published if measure == "mAP" else None,
                "labels' mAP": sum(labels) / len(labels) if labels else None,
                "seeds": f"{sum(run.done for run in point.runs)} of {len(point.runs)}",
                "seconds": point.seconds,
                "taken from another point": ", ".join(point.shared),
                "settings": ", ".join(f"{name}={value}" for name, value in point.changes.items()),
            }
        )
    columns = {
        "mean": number(shown_name(measure), format="%.1f", help="Mean over the finished seeds, in percent."),
        "±": number(format="%.1f", help="Standard deviation over the seeds; empty for a single run."),
        "paper": number(format="%.1f", help="What the paper's text gives."),
        "labels' mAP": number(format="%.1f", help="mAP of the final training labels against ground truth."),
        "seconds": number(format="%.0f", help="Mean time of a run, without what it takes from others."),
    }
    shown_columns = [name for name in (lines[0] if lines else {})]
    for name in ("paper", "taken from another point"):
        if all(not line[name] for line in lines):
            shown_columns.remove(name)
    st.dataframe(
        lines,
        hide_index=True,
        column_order=shown_columns,
        column_config=columns,
        key="sweep_rows",
        placeholder="–",
    )
