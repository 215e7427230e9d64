"""From data to plotly figures; nothing here knows of a browser or of files."""

from __future__ import annotations

import html
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

# Okabe and Ito's palette: told apart with any kind of colour vision, on light and on dark.
BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, GREY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#56B4E9",
    "#CC79A7",
    "#8C8C8C",
)
KINDS = {
    "ground truth": GREY,
    "global": SKY,
    "initial": BLUE,
    "local": ORANGE,
    "final": GREEN,
    "classifier": PURPLE,
}

VALUES = {
    "textposition": "outside",
    "textfont_size": 12,
    "cliponaxis": False,
    "constraintext": "none",
}  # numbers on bars, readable on any bar


MARGIN = {
    "l": 58,
    "r": 12,
    "t": 34,
    "b": 48,
    "autoexpand": False,
}  # plotly draws everything again where it has to find a margin out


def layout(height: int, shows: str, **own) -> dict:
    """`shows`: what the figure says, for people who hear it; the same however its data change, so that a zoom outlives an update."""
    return {
        "height": height,
        "margin": {"l": 10, "r": 10, "t": 30, "b": 10},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "uirevision": shows,
        "bargap": 0.25,
    } | own


def shown(name: str) -> str:
    """A name in a figure's text as it is: plotly takes `<b>` there for a mark."""
    return html.escape(name, quote=False)


def class_axis(names: Sequence[str]) -> dict:
    """An axis of classes in this order, each with its name, also where names look like numbers ("30", "50") or dates."""
    return {
        "type": "category",
        "categoryorder": "array",
        "categoryarray": list(names),
        "tickvals": list(names),
        "ticktext": [shown(name) for name in names],
    }


def _layout(figure: go.Figure, height: int, shows: str, **own) -> go.Figure:
    return figure.update_layout(layout(height, shows, **own))


def learning_curves(metrics: pd.DataFrame, kept: int | None, warm_up: int) -> go.Figure:
    """mAP on training labels and on validation, epoch by epoch; `warm_up` epochs are shaded, the kept one is marked."""
    figure = go.Figure()
    epochs = metrics["epoch"] + 1
    for column, name, colour in (
        ("train_map", "training labels", SKY),
        ("val_map", "validation (ground truth)", GREEN),
    ):
        if metrics[column].notna().any():
            figure.add_scatter(
                x=epochs,
                y=metrics[column],
                name=name,
                mode="lines+markers",
                line={"color": colour, "width": 3},
            )
    if warm_up:
        figure.add_vrect(
            x0=0.5,
            x1=warm_up + 0.5,
            fillcolor=ORANGE,
            opacity=0.12,
            line_width=0,
            annotation_text="warm-up",
            annotation_position="top left",
        )
    if kept is not None:
        figure.add_vline(
            x=kept + 1,
            line={"color": VERMILION, "dash": "dot"},
            annotation_text="kept",
            annotation_position="bottom left",
        )
    return _layout(
        figure,
        320,
        "Learning curves: mAP of every epoch, on the training labels and on validation",
        xaxis={"title": "epoch", "dtick": 1},
        yaxis={"title": "mAP (%)"},
    )


def measure_bars(rows: dict[str, dict[str, float | None]]) -> go.Figure:
    """mAP, micro-AP and F1 (percent) of each kind of label."""
    colours = {"mAP": GREEN, "micro_AP": SKY, "F1": ORANGE}
    bars = [
        go.Bar(
            name=name.replace("_", "-"),
            x=list(rows),
            y=[row[name] for row in rows.values()],
            marker_color=colour,
            texttemplate="%{y:.0f}",
            **VALUES,
        )
        for name, colour in colours.items()
    ]
    return _layout(
        go.Figure(bars),
        320,
        "Bars: mAP, micro-AP and F1 of the labels of each stage",
        barmode="group",
        yaxis={"range": [0, 105], "title": "percent"},
    )


def class_counts(counts: dict[str, dict[str, int]]) -> go.Figure:
    """How many images of each split show each class, the most frequent first."""
    first = next(iter(counts.values()))
    names = sorted(first, key=lambda name: -first[name])
    colours = {"train": BLUE, "val": ORANGE}
    bars = [
        go.Bar(
            name=split,
            x=names,
            y=[of[name] for name in names],
            marker_color=colours.get(split, GREY),
            hovertemplate="%{x}: %{y:,} images",
        )
        for split, of in counts.items()
    ]
    figure = _layout(
        go.Figure(bars),
        280,
        "Bars: how many images of each split show each class",
        barmode="overlay" if len(names) > 40 else "group",
        yaxis={"title": "images"},
    )
    return figure.update_xaxes(
        type="category", tickangle=-60, automargin=True, showticklabels=len(names) <= 40
    )
