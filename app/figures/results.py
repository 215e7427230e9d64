"""Figures of the page Results: AP side by side, curves with their thresholds, confusion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.figures.theme import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SERIES,
    SKY,
    VALUES,
    VERMILION,
    class_axis,
    escaped,
    translucent,
    with_layout,
)

AT_THRESHOLD = (
    "threshold %{customdata:.3f}<br>precision %{y:.1%}<br>recall %{x:.1%}<extra>%{fullData.name}</extra>"
)
FRACTION = {"range": [0, 1.02], "tickformat": ".0%"}

# A curve holds precision, recall, f1 and threshold, [K] each, by falling threshold.
Curve = dict[str, np.ndarray]


# -- AP ----------------------------------------------------------------------------------------------------


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


# -- scores of one image -----------------------------------------------------------------------------------


def score_bars(
    classes: Sequence[str], scores: Sequence[float], limits: Sequence[float], clip: Sequence[float] | None
) -> go.Figure:
    """One image's scores, first class on top; a class at or over its threshold is bold with a check mark.

    scores, limits, clip: [C], of the classifier, its thresholds (drawn as ticks), and CLIP's probabilities of
    the whole image, or None.
    """
    names = list(classes)[::-1]
    texts = [
        f"<b>{escaped(name)} ✓</b>" if score >= limit else escaped(name)
        for name, score, limit in zip(classes, scores, limits, strict=True)
    ][::-1]
    figure = go.Figure()
    for source, values, colour in (("CLIP, whole image", clip, SKY), ("classifier", scores, PURPLE)):
        if values is None:
            continue
        bars = list(values)[::-1]
        figure.add_bar(
            x=bars,
            y=names,
            name=source,
            orientation="h",
            marker_color=colour,
            text=[f"{value:.2f}" for value in bars],
            hovertemplate="%{y}: %{x:.3f}<extra>%{fullData.name}</extra>",
            **VALUES,
        )
    figure.add_scatter(
        x=list(limits)[::-1],
        y=names,
        name="threshold",
        mode="markers",
        hovertemplate="%{y}: from %{x:.3f} on<extra>threshold</extra>",
        marker={"symbol": "line-ns", "size": 22, "line": {"color": VERMILION, "width": 2.5}},
    )
    return with_layout(
        figure,
        80 + (26 if clip is None else 42) * len(names),
        "Bars: the classifier's score of each class with its threshold, and CLIP's probability",
        barmode="group",
        legend_traceorder="reversed",
        xaxis={"range": [0, 1.12], "tickvals": [0, 0.25, 0.5, 0.75, 1]},
        yaxis=class_axis(names) | {"ticktext": texts},
    )


# -- curves ------------------------------------------------------------------------------------------------


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


# -- confusion ---------------------------------------------------------------------------------------------


def confusion_matrix(rate: np.ndarray, baseline: np.ndarray, classes: Sequence[str]) -> go.Figure:
    """How often the row's class is wrongly predicted where the column's class is present.

    rate: [C, C] fractions, NaN where there is nothing to count. baseline: [C, C], the same where the column's
    class is absent.
    """
    cells = 100 * rate
    heatmap = go.Heatmap(
        z=cells,
        x=list(classes),
        y=list(classes),
        customdata=100 * baseline,
        colorscale=[[0, translucent(VERMILION, 0.04)], [1, translucent(VERMILION, 0.75)]],
        zmin=0,
        colorbar={"title": "%"},
        hoverongaps=False,
        xgap=1,
        ygap=1,
        hovertemplate="%{y} wrongly predicted in %{z:.1f} % of images with %{x}<br>"
        "(in %{customdata:.1f} % of those without)<extra></extra>",
    )
    figure = go.Figure(heatmap)
    # Numbers are marks of their own, because a cell's own text is dark on dark in the dark theme.
    down, across = np.nonzero(np.nan_to_num(cells) >= 0.5)
    figure.add_scatter(
        x=[classes[c] for c in across.tolist()],
        y=[classes[c] for c in down.tolist()],
        text=[f"{value:.0f}" for value in cells[down, across]],
        mode="text",
        hoverinfo="skip",
        showlegend=False,
    )
    axis = class_axis(classes)
    axes: dict[str, Any] = {
        "xaxis": axis | {"title": "truly there", "showgrid": False},
        "yaxis": axis | {"title": "wrongly predicted", "autorange": "reversed", "showgrid": False},
    }
    shows = "Matrix: how often the row's class is wrongly predicted where the column's is"
    return with_layout(figure, max(380, 140 + 24 * len(classes)), shows, **axes)


def confusion_pairs(pairs: Sequence[tuple[str, str, float, float]]) -> go.Figure:
    """Pairs of classes that are confused, the strongest first.

    pairs: (class wrongly predicted, class truly there, how often in images with it, and without it).
    """
    rows = [f"{escaped(wrong)} where {escaped(there)} is" for wrong, there, _, _ in pairs][::-1]
    figure = go.Figure()
    # From the bottom up, as plotly draws the bars of a row.
    for name, place, colour in (("other class absent", 3, GREY), ("other class present", 2, VERMILION)):
        figure.add_bar(
            y=rows,
            x=[100 * pair[place] for pair in pairs][::-1],
            name=name,
            orientation="h",
            marker_color=colour,
            hovertemplate="%{y}: %{x:.1f} %<extra>%{fullData.name}</extra>",
        )
    return with_layout(
        figure,
        110 + 34 * len(rows),
        "Bars: how often a class is wrongly predicted where another one is, and where it is not",
        barmode="group",
        legend_traceorder="reversed",
        xaxis={"title": "images with the wrong label (%)"},
    )


def agreement_bars(
    classes: Sequence[str], only_labels: np.ndarray, both: np.ndarray, only_classifier: np.ndarray
) -> go.Figure:
    """Number of images that the final labels, the classifier or both give each class; most images first.

    only_labels, both, only_classifier: [C] counts.
    """
    order = np.argsort(-(only_labels + both + only_classifier))
    figure = go.Figure()
    for name, counts, colour in (
        ("both", both, GREEN),
        ("final label only", only_labels, ORANGE),
        ("classifier only", only_classifier, PURPLE),
    ):
        figure.add_bar(x=[classes[i] for i in order], y=counts[order], name=name, marker_color=colour)
    return with_layout(
        figure,
        380,
        "Bars: images that the final labels, the classifier or both give each class",
        barmode="stack",
        xaxis={"type": "category"},
        yaxis={"title": "images"},
    )
