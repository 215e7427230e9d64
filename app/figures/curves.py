"""Figures of the page Results: learning curves, precision and recall, scores over a threshold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.figures.theme import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    SERIES,
    VERMILION,
    escaped,
    with_layout,
)

AT_THRESHOLD = (
    "threshold %{customdata:.3f}<br>precision %{y:.1%}<br>recall %{x:.1%}<extra>%{fullData.name}</extra>"
)
FRACTION = {"range": [0, 1.02], "tickformat": ".0%"}

# A curve holds precision, recall, f1 and threshold, [K] each, by falling threshold.
Curve = dict[str, np.ndarray]


def runs_learning(runs: dict[str, tuple[pd.DataFrame, int | None]]) -> go.Figure:
    """Learning curves of several runs, with a star at each kept epoch.

    Solid is mAP on validation, or on the training labels if there is no other; dotted is mAP on the training
    labels beside it. A run's curves come and go together.

    runs: name -> (table with the columns epoch, train_map and val_map, kept epoch from 0 on or None).
    """
    figure = go.Figure()
    for (name, (metrics, kept)), colour in zip(runs.items(), SERIES * len(runs), strict=False):
        curves = [
            (column, dash, split)
            for column, dash, split in (
                ("val_map", "solid", "validation"),
                ("train_map", "dot", "training labels"),
            )
            if metrics[column].notna().any()
        ]
        for place, (column, dash, split) in enumerate(curves):
            figure.add_scatter(
                x=metrics["epoch"] + 1,
                y=metrics[column],
                name=name,
                legendgroup=name,
                showlegend=place == 0,
                mode="lines+markers",
                line={"color": colour, "dash": dash, "width": 2.5 if place == 0 else 1.5},
                marker={"size": 5},
                hovertemplate=f"%{{y:.1f}} %<extra>{name}, {split}</extra>",
            )
        is_kept = metrics["epoch"] == kept
        if curves and kept is not None and is_kept.any():
            figure.add_scatter(
                x=[kept + 1],
                y=metrics[curves[0][0]][is_kept],
                legendgroup=name,
                showlegend=False,
                mode="markers",
                marker={"symbol": "star", "size": 14, "color": colour},
                hovertemplate=f"{name}: epoch {kept + 1} is kept, %{{y:.1f}} %<extra></extra>",
            )
    return with_layout(
        figure,
        360,
        "Learning curves of the runs: mAP of every epoch, a star at the kept one",
        xaxis={"title": "epoch", "dtick": 1},
        yaxis={"title": "mAP (%)"},
    )


def pr_curves(curves: dict[str, Curve], marks: dict[str, float] | None = None) -> go.Figure:
    """Precision over recall of some classes; the threshold is under the pointer.

    marks: class -> a threshold, which is marked on its curve.
    """
    figure = go.Figure()
    for (name, curve), colour in zip(curves.items(), SERIES * len(curves), strict=False):
        figure.add_scatter(
            x=curve["recall"],
            y=curve["precision"],
            customdata=curve["threshold"],
            name=escaped(name),
            mode="lines",
            hovertemplate=AT_THRESHOLD,
            line={"color": colour, "width": 2.5, "shape": "hv"},
        )
        if marks and name in marks and (at := _last_labelled(curve, marks[name])) is not None:
            figure.add_scatter(
                x=[curve["recall"][at]],
                y=[curve["precision"][at]],
                customdata=[marks[name]],
                name=escaped(name),
                mode="markers",
                showlegend=False,
                hovertemplate=AT_THRESHOLD,
                marker={"color": colour, "size": 13, "line": {"color": "white", "width": 2}},
            )
    return with_layout(
        figure,
        420,
        "Curves: precision over recall",
        xaxis={"title": "recall", **FRACTION},
        yaxis={"title": "precision", **FRACTION},
        hovermode="closest",
    )


def _last_labelled(curve: Curve, threshold: float) -> int | None:
    """Index of the last point of the curve whose score is not below the threshold; None if there is none."""
    count = int((curve["threshold"] >= np.float32(threshold)).sum())
    return count - 1 if count else None


def pr_grid(curves: dict[str, Curve], ap: dict[str, float], across: int = 6) -> go.Figure:
    """A small precision-recall curve of each class, in the order given, `across` of them side by side.

    ap: class -> AP as a fraction, for the titles.
    """
    down = -(-len(curves) // across)
    figure = make_subplots(
        down,
        across,
        shared_xaxes=True,
        shared_yaxes=True,
        subplot_titles=[f"{escaped(name)} <b>{100 * ap[name]:.0f}</b>" for name in curves],
        vertical_spacing=min(0.08, 0.4 / down),
    )
    for place, (name, curve) in enumerate(curves.items()):
        figure.add_scatter(
            x=curve["recall"],
            y=curve["precision"],
            customdata=curve["threshold"],
            name=escaped(name),
            mode="lines",
            fill="tozeroy",
            hovertemplate=AT_THRESHOLD,
            line={"color": BLUE, "width": 1.8, "shape": "hv"},
            row=place // across + 1,
            col=place % across + 1,
        )
    figure.update_xaxes(range=[0, 1.03], tickvals=[0, 0.5, 1], tickformat=".0%")
    figure.update_yaxes(range=[0, 1.05], tickvals=[0, 0.5, 1], tickformat=".0%")
    figure.update_annotations(font_size=12)
    shows = "Small curves: precision over recall of every class"
    return with_layout(figure, 60 + 135 * down, shows, showlegend=False)


def over_threshold(curve: Curve, threshold: float) -> go.Figure:
    """Precision, recall and F1 over the threshold; a vertical line marks the threshold set."""
    figure = go.Figure()
    for measure, name, colour in (
        ("precision", "precision", BLUE),
        ("recall", "recall", ORANGE),
        ("f1", "F1", GREEN),
    ):
        figure.add_scatter(
            x=curve["threshold"],
            y=curve[measure],
            name=name,
            mode="lines",
            line={"color": colour, "width": 2.5},
            hovertemplate="%{y:.1%}<extra>%{fullData.name}</extra>",
        )
    figure.add_vline(x=threshold, line={"color": VERMILION, "width": 2})
    return with_layout(
        figure,
        320,
        "Curves: precision, recall and F1 over the threshold",
        xaxis={"title": "threshold", "range": [0, 1]},
        yaxis=FRACTION,
        hovermode="x unified",
    )


def score_histogram(scores: np.ndarray, threshold: float, name: str) -> go.Figure:
    """How many scores [N] of one class, or of all, have each value. The counts are logarithmic: most are low.

    name: of the scores.
    """
    counts, edges = np.histogram(scores, bins=50, range=(0, 1))
    middle = (edges[1:] + edges[:-1]) / 2
    bars = go.Bar(
        x=middle,
        y=counts,
        marker_color=[GREEN if value >= threshold else GREY for value in middle],
        name=name,
        hovertemplate="score %{x:.2f}: %{y:,}<extra></extra>",
    )
    figure = go.Figure(bars)
    figure.add_vline(x=threshold, line={"color": VERMILION, "width": 2})
    return with_layout(
        figure,
        320,
        "Histogram: how many scores have each value, those above the threshold in colour",
        xaxis={"title": "score", "range": [0, 1]},
        yaxis={"title": "labels, log scale", "type": "log", "dtick": 1},
    )
