"""Figures about a training: its learning curves, and the classes of its data set."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from app.figures.theme import BLUE, GREEN, GREY, ORANGE, SKY, VERMILION, with_layout

NAMED = 40  # classes; of more, only the bars are shown


def learning_curves(metrics: pd.DataFrame, kept: int | None, warm_up: int) -> go.Figure:
    """mAP on the training labels and on validation, epoch by epoch.

    metrics: columns epoch, train_map and val_map (percent, NaN where it is not measured). kept: the epoch,
    from 0 on, of the kept classifier, which is marked. warm_up: number of warm-up epochs, which are shaded.
    """
    figure = go.Figure()
    for column, name, colour in (
        ("train_map", "training labels", SKY),
        ("val_map", "validation (ground truth)", GREEN),
    ):
        if metrics[column].notna().any():
            figure.add_scatter(
                x=metrics["epoch"] + 1,
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
    return with_layout(
        figure,
        320,
        "Learning curves: mAP of every epoch, on the training labels and on validation",
        xaxis={"title": "epoch", "dtick": 1},
        yaxis={"title": "mAP (%)"},
    )


def class_counts(counts: dict[str, dict[str, int]]) -> go.Figure:
    """How many images of each split have each class, the most frequent class first.

    counts: split -> class -> number of images.
    """
    first = next(iter(counts.values()))
    names = sorted(first, key=lambda name: -first[name])
    colours = {"train": BLUE, "val": ORANGE}
    bars = [
        go.Bar(
            name=split,
            x=names,
            y=[of_class[name] for name in names],
            marker_color=colours.get(split, GREY),
            hovertemplate="%{x}: %{y:,} images",
        )
        for split, of_class in counts.items()
    ]
    many = len(names) > NAMED
    figure = with_layout(
        go.Figure(bars),
        280,
        "Bars: how many images of each split show each class",
        barmode="overlay" if many else "group",
        yaxis={"title": "images"},
    )
    return figure.update_xaxes(type="category", tickangle=-60, automargin=True, showticklabels=not many)
