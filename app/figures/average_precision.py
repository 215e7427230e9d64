"""Figures of AP: of several runs side by side, and of one run with its classes' counts."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.figures.theme import (
    BLUE,
    GREY,
    SERIES,
    VALUES,
    VERMILION,
    class_axis,
    with_layout,
)


def ap_points(columns: dict[str, dict[str, float | None]], names: Sequence[str]) -> go.Figure:
    """AP of the classes `names`, a row each, with a point for each run.

    A line joins the runs, so its length is their difference. columns: run -> class -> AP in percent.
    """
    figure = go.Figure()
    rows = list(reversed(names))
    for name in rows if len(columns) > 1 else ():
        values = [value for column in columns.values() if (value := column.get(name)) is not None]
        if values:
            figure.add_scatter(
                x=[min(values), max(values)],
                y=[name, name],
                mode="lines",
                line={"color": GREY, "width": 3},
                showlegend=False,
                hoverinfo="skip",
            )
    for (run, column), colour in zip(columns.items(), SERIES * len(columns), strict=False):
        figure.add_scatter(
            x=[column.get(name) for name in rows],
            y=rows,
            name=run,
            mode="markers",
            marker={"color": colour, "size": 11},
            hovertemplate="%{y}: %{x:.1f} %<extra>%{fullData.name}</extra>",
        )
    return with_layout(
        figure,
        110 + 21 * len(rows),
        "Rows, one a class: AP of each run, joined by a line",
        xaxis={"title": "AP (%)"},
        yaxis=class_axis(rows),
    )


def ap_bars(column: dict[str, float | None], names: Sequence[str], positives: dict[str, int]) -> go.Figure:
    """AP of the classes `names` in one run, a bar each, with the mean as a line.

    column: class -> AP in percent. positives: class -> number of images that have it, shown beside the AP; {}
    if that is not known.
    """
    rows = list(reversed(names))
    values = [column.get(name) for name in rows]
    known = [value for value in values if value is not None]
    figure = make_subplots(
        1,
        2 if positives else 1,
        shared_yaxes=True,
        column_widths=[0.74, 0.26] if positives else None,
        horizontal_spacing=0.04,
    )
    figure.add_bar(
        x=[value or 0 for value in values],
        y=rows,
        orientation="h",
        marker_color=BLUE,
        text=["no image has it" if value is None else f"{value:.1f}" for value in values],
        hovertemplate="%{y}: %{text} %<extra></extra>",
        **VALUES,
        row=1,
        col=1,
    )
    if known:
        mean = sum(known) / len(known)
        figure.add_vline(
            x=mean,
            line={"color": VERMILION, "width": 2, "dash": "dot"},
            annotation_text=f"mAP {mean:.1f}",
            annotation_position="top",
            row=1,
            col=1,
        )
    if positives:
        counts = [positives.get(name, 0) for name in rows]
        figure.add_bar(
            x=counts,
            y=rows,
            orientation="h",
            marker_color=GREY,
            text=[f"{count:,}" for count in counts],
            hovertemplate="%{y}: %{text} images have it<extra></extra>",
            **VALUES,
            row=1,
            col=2,
        )
        figure.update_xaxes(title="images", range=[0, 1.25 * max(1, *counts)], nticks=4, row=1, col=2)
    figure.update_xaxes(title="AP (%)", range=[0, 108], tickvals=list(range(0, 101, 20)), row=1, col=1)
    figure.update_yaxes(**class_axis(rows))
    shows = "Bars: AP of each class, and how many images have it"
    return with_layout(figure, 90 + 22 * len(rows), shows, showlegend=False)
