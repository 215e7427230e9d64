"""Page Compare: Table 1 as a chart and as a table, by what the methods are told of the training images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from app import state
from app.figures.compare import MethodPoint, method_points
from app.parts.compare.downloads import RUN_LINES, csv_and_latex
from app.reading.comparing.comparisons import data_set_name, row_titles
from app.widgets import SCROLLS_FROM, literal, show_figure
from ccd_core.baselines.tables import GROUPS, Measure, TableFile, TableRow
from ccd_core.comparison import shown
from ccd_core.comparison.published import DATASETS

MEASURES: dict[str, Measure] = {"mAP": "mAP", "micro-AP": "micro_AP", "F1 at 0.5": "F1"}
ORDERS = ("as in the paper", "by score")


def table_part(table: TableFile, folder: Path) -> None:
    """Chart, banner of the rows that used labels, sortable table, downloads."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        measure = measure_field()
        order = st.segmented_control(
            "Order",
            ORDERS,
            default=ORDERS[0],
            required=True,
            key=state.ROW_ORDER,
            bind="query-params",
            help="Of the methods within a group. A click on a column of the table sorts the table.",
        )
    rows = list(zip(row_titles(table.rows), table.rows, strict=True))
    if order == ORDERS[1]:
        groups = list(GROUPS)
        rows.sort(key=lambda at: (groups.index(at[1].group), -_score(at[1], MEASURES[measure])))
    points = [_point(title, row, MEASURES[measure]) for title, row in rows]
    figure = method_points(points, measure)
    with st.container(height=SCROLLS_FROM if figure.layout.height > SCROLLS_FROM else "content"):
        show_figure(figure, key="methods")
    _say_what_is_shown(table, measure)
    _say_labels(table)
    with st.expander("Table, sorted by a click on a column", icon=":material/table:"):
        _grid(rows, MEASURES[measure])
    _notes(rows)
    csv_and_latex(
        folder.name,
        "table",
        shown.table_csv(table),
        shown.table_latex(table),
        RUN_LINES,
        "Table 1 as a tabular, for booktabs.",
    )


def measure_field() -> str:
    """The measure that is shown, one of `MEASURES`."""
    return st.segmented_control(
        "Measure", list(MEASURES), default="mAP", required=True, key=state.MEASURE, bind="query-params"
    )


def _score(row: TableRow, measure: Measure) -> float:
    found = row.over_seeds(measure)
    return found.mean if found else -1.0


def _point(title: str, row: TableRow, measure: Measure) -> MethodPoint:
    seeds = [value for run in row.runs if (value := getattr(run, measure)) is not None]
    published = row.published if measure == "mAP" else None
    return MethodPoint(title, row.group, row.over_seeds(measure), tuple(seeds), published)


def _say_what_is_shown(table: TableFile, measure: str) -> None:
    seeds = "1 seed" if len(table.seeds) == 1 else f"{len(table.seeds)} seeds"
    text = (
        f"{measure} of the kept model on {table.val_images:,} validation images of "
        f"{literal(data_set_name(table))}; trained on {table.train_images:,} images with recipe "
        f"{table.recipe}, {seeds}. Bars reach one standard deviation to each side; faint dots are seeds. "
        "Squares are methods that use labels."
    )
    if table.dataset_kind not in DATASETS:
        text += " The paper has no numbers for this data set."
    elif measure == "mAP":
        text += " ◇: the paper's number."
    elif measure != "mAP":
        text += " The paper gives mAP only."
    st.caption(text)
    if table.dataset_kind == "demo":
        st.caption("Numbers on **toy scenes**, drawings made by this project, say nothing about photographs.")


def _say_labels(table: TableFile) -> None:
    """Which rows used labels of the training images."""
    told = [title for title, row in zip(row_titles(table.rows), table.rows, strict=True) if row.uses_labels]
    if told:
        st.warning(
            f"**These methods were given labels of the training images:** {literal(', '.join(told))}. "
            "All others were given none, CCD among them.",
            icon=":material/label_important:",
        )


def _grid(rows: Sequence[tuple[str, TableRow]], measure: Measure) -> None:
    """The table, which a click on a column's head sorts."""
    lines = [_line(title, row, measure) for title, row in rows]
    number = st.column_config.NumberColumn
    columns = {
        "supervision": st.column_config.TextColumn(
            help="What the method is told of the training images. ⚠ marks methods that use labels."
        ),
        "mean": number(shown_name(measure), format="%.1f", help="Mean over the finished seeds, in percent."),
        "±": number(format="%.1f", help="Standard deviation over the seeds; empty for a single run."),
        "paper": number(format="%.1f", help="mAP in the paper's Table 1."),
        "against paper": number(format="%+.1f", help="This mean less the paper's number, in points."),
        "labels' mAP": number(
            format="%.1f", help="mAP of the training labels at the end of training, against ground truth."
        ),
        "seconds": number(format="%.0f", help="Mean time of a run, without what it shares with others."),
    }
    empty = [name for name in ("paper", "against paper") if all(line[name] is None for line in lines)]
    shown_columns = [name for name in (lines[0] if lines else {}) if name not in empty]
    st.dataframe(
        lines,
        hide_index=True,
        column_order=shown_columns,
        column_config=columns,
        height=min(720, 38 + 35 * len(lines)),
        key="table_rows",
        placeholder="–",
    )


def shown_name(measure: Measure) -> str:
    return next(name for name, value in MEASURES.items() if value == measure)


def _line(title: str, row: TableRow, measure: Measure) -> dict[str, object]:
    found = row.over_seeds(measure)
    labels = [run.label_mAP for run in row.runs if run.label_mAP is not None]
    against = None
    if found and row.published is not None and measure == "mAP":
        against = found.mean - row.published
    return {
        "supervision": ("⚠ " if row.uses_labels else "") + GROUPS[row.group],
        "method": title,
        "mean": found.mean if found else None,
        "±": found.deviation if found else None,
        "paper": row.published if measure == "mAP" else None,
        "against paper": against,
        "labels' mAP": sum(labels) / len(labels) if labels else None,
        "seeds": f"{sum(run.done for run in row.runs)} of {len(row.runs)}",
        "kept epoch": shown.kept_epochs(row),
        "seconds": row.seconds,
        "training labels": row.labels,
        "epoch chosen by": row.epoch_choice,
        "recipe": row.recipe,
    }


def _notes(rows: Sequence[tuple[str, TableRow]]) -> None:
    notes = [f"- **{literal(title)}**: {literal(row.note)}" for title, row in rows if row.note]
    if notes:
        with st.expander("Notes on the rows"):
            st.markdown("\n".join(notes))
