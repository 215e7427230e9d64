"""Figures of the page Results: AP side by side, curves with their thresholds, confusion."""

from __future__ import annotations

from collections.abc import Sequence

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
    SKY,
    VALUES,
    VERMILION,
    _layout,
    class_axis,
    shown,
)

COLOURS = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, GREY)
AT = "threshold %{customdata:.3f}<br>precision %{y:.1%}<br>recall %{x:.1%}<extra>%{fullData.name}</extra>"
FRACTION = {"range": [0, 1.02], "tickformat": ".0%"}


def ap_points(columns: dict[str, dict[str, float | None]], names: Sequence[str]) -> go.Figure:
    """AP in percent of the classes `names`, a row each; a line joins the runs, so that its length is their difference."""
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
    for (kind, column), colour in zip(columns.items(), COLOURS * len(columns), strict=False):
        figure.add_scatter(
            x=[column.get(name) for name in rows], y=rows, name=kind, mode="markers", marker={"color": colour, "size": 11},
            hovertemplate="%{y}: %{x:.1f} %<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    return _layout(
        figure,
        110 + 21 * len(rows),
        "Rows, one a class: AP of each run, joined by a line",
        xaxis={"title": "AP (%)"},
        yaxis=class_axis(rows),
    )


def ap_bars(column: dict[str, float | None], names: Sequence[str], positives: dict[str, int]) -> go.Figure:
    """One run: AP in percent of the classes `names`, a bar each with its value, the mean as a line, and how many images have the class."""
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
    written = ["no image has it" if value is None else f"{value:.1f}" for value in values]
    figure.add_bar(
        x=[value or 0 for value in values], y=rows, orientation="h", marker_color=BLUE, text=written, hovertemplate="%{y}: %{text} %<extra></extra>", **VALUES,
        row=1, col=1,
    )  # fmt: skip
    if known:
        mean = sum(known) / len(known)
        line = {"color": VERMILION, "width": 2, "dash": "dot"}
        figure.add_vline(
            x=mean, line=line, annotation_text=f"mAP {mean:.1f}", annotation_position="top", row=1, col=1
        )
    if positives:
        counts = [positives.get(name, 0) for name in rows]
        figure.add_bar(
            x=counts, y=rows, orientation="h", marker_color=GREY, text=[f"{count:,}" for count in counts],
            hovertemplate="%{y}: %{text} images have it<extra></extra>", **VALUES, row=1, col=2,
        )  # fmt: skip
        figure.update_xaxes(title="images", range=[0, 1.25 * max(1, *counts)], nticks=4, row=1, col=2)
    figure.update_xaxes(title="AP (%)", range=[0, 108], tickvals=list(range(0, 101, 20)), row=1, col=1)
    figure.update_yaxes(**class_axis(rows))
    return _layout(
        figure, 90 + 22 * len(rows), "Bars: AP of each class, and how many images have it", showlegend=False
    )


def opinion_bars(
    classes: Sequence[str], scores: Sequence[float], limits: Sequence[float], clip: Sequence[float] | None
) -> go.Figure:
    """One image: the classifier's score of each class with its threshold as a tick, CLIP's probability under it; labels bold with a check mark."""
    names = list(classes)[::-1]
    texts = [
        f"<b>{shown(name)} ✓</b>" if score >= limit else shown(name)
        for name, score, limit in zip(classes, scores, limits, strict=True)
    ][::-1]
    figure = go.Figure()
    for kind, values, colour in (("CLIP, whole image", clip, SKY), ("classifier", scores, PURPLE)):
        if values is not None:
            bars = list(values)[::-1]
            figure.add_bar(
                x=bars, y=names, name=kind, orientation="h", marker_color=colour, text=[f"{value:.2f}" for value in bars],
                hovertemplate="%{y}: %{x:.3f}<extra>%{fullData.name}</extra>", **VALUES,
            )  # fmt: skip
    figure.add_scatter(
        x=list(limits)[::-1], y=names, name="threshold", mode="markers", hovertemplate="%{y}: from %{x:.3f} on<extra>threshold</extra>",
        marker={"symbol": "line-ns", "size": 22, "line": {"color": VERMILION, "width": 2.5}},
    )  # fmt: skip
    height = 80 + (42 if clip is not None else 26) * len(names)
    axes = {
        "xaxis": {"range": [0, 1.12], "tickvals": [0, 0.25, 0.5, 0.75, 1]},
        "yaxis": class_axis(names) | {"ticktext": texts},
    }
    return _layout(
        figure,
        height,
        "Bars: the classifier's score of each class with its threshold, and CLIP's probability",
        barmode="group",
        legend_traceorder="reversed",
        **axes,
    )


def runs_learning(runs: dict[str, tuple[pd.DataFrame, int | None]]) -> go.Figure:
    """Learning curves of several runs: validation mAP solid, training-label mAP dotted, a star at each kept epoch; a run's curves come and go together."""
    figure = go.Figure()
    for (name, (metrics, kept)), colour in zip(runs.items(), COLOURS * len(runs), strict=False):
        known = [
            (column, *how)
            for column, *how in (("val_map", "solid", "validation"), ("train_map", "dot", "training labels"))
            if metrics[column].notna().any()
        ]
        for place, (column, dash, what) in enumerate(known):
            figure.add_scatter(
                x=metrics["epoch"] + 1, y=metrics[column], name=name, legendgroup=name, showlegend=place == 0, mode="lines+markers",
                line={"color": colour, "dash": dash, "width": 2.5 if place == 0 else 1.5}, marker={"size": 5},
                hovertemplate=f"%{{y:.1f}} %<extra>{name}, {what}</extra>",
            )  # fmt: skip
        at = metrics["epoch"] == kept
        if known and kept is not None and at.any():
            figure.add_scatter(
                x=[kept + 1], y=metrics[known[0][0]][at], legendgroup=name, showlegend=False, mode="markers",
                marker={"symbol": "star", "size": 14, "color": colour}, hovertemplate=f"{name}: epoch {kept + 1} is kept, %{{y:.1f}} %<extra></extra>",
            )  # fmt: skip
    return _layout(
        figure,
        360,
        "Learning curves of the runs: mAP of every epoch, a star at the kept one",
        xaxis={"title": "epoch", "dtick": 1},
        yaxis={"title": "mAP (%)"},
    )


def pr_curves(curves: dict[str, dict[str, np.ndarray]], marks: dict[str, float] | None = None) -> go.Figure:
    """Precision over recall of some classes; hovering says the threshold. `marks`: the threshold of each class, as a dot."""
    figure = go.Figure()
    for (name, curve), colour in zip(curves.items(), COLOURS * len(curves), strict=False):
        figure.add_scatter(
            x=curve["recall"], y=curve["precision"], customdata=curve["threshold"], name=shown(name), mode="lines", hovertemplate=AT,
            line={"color": colour, "width": 2.5, "shape": "hv"},
        )  # fmt: skip
        if marks and name in marks and (at := _at(curve, marks[name])) is not None:
            figure.add_scatter(
                x=[curve["recall"][at]], y=[curve["precision"][at]], customdata=[marks[name]], name=shown(name), mode="markers", showlegend=False,
                hovertemplate=AT, marker={"color": colour, "size": 13, "line": {"color": "white", "width": 2}},
            )  # fmt: skip
    return _layout(
        figure,
        420,
        "Curves: precision over recall",
        xaxis={"title": "recall", **FRACTION},
        yaxis={"title": "precision", **FRACTION},
        hovermode="closest",
    )


def _at(curve: dict[str, np.ndarray], threshold: float) -> int | None:
    """The last point of the curve that is labelled at the threshold; None where nothing is."""
    count = int((curve["threshold"] >= np.float32(threshold)).sum())
    return count - 1 if count else None


def pr_grid(curves: dict[str, dict[str, np.ndarray]], ap: dict[str, float], across: int = 6) -> go.Figure:
    """All classes' curves as small multiples, in the order given."""
    down = -(-len(curves) // across)
    titles = [f"{shown(name)} <b>{100 * ap[name]:.0f}</b>" for name in curves]
    figure = make_subplots(
        down,
        across,
        shared_xaxes=True,
        shared_yaxes=True,
        subplot_titles=titles,
        vertical_spacing=min(0.08, 0.4 / down),
    )
    for place, (name, curve) in enumerate(curves.items()):
        figure.add_scatter(
            x=curve["recall"], y=curve["precision"], customdata=curve["threshold"], name=shown(name), mode="lines", fill="tozeroy", hovertemplate=AT,
            line={"color": BLUE, "width": 1.8, "shape": "hv"}, row=place // across + 1, col=place % across + 1,
        )  # fmt: skip
    figure.update_xaxes(range=[0, 1.03], tickvals=[0, 0.5, 1], tickformat=".0%")
    figure.update_yaxes(range=[0, 1.05], tickvals=[0, 0.5, 1], tickformat=".0%")
    figure.update_annotations(font_size=12)
    return _layout(
        figure, 60 + 135 * down, "Small curves: precision over recall of every class", showlegend=False
    )


def over_threshold(curve: dict[str, np.ndarray], threshold: float) -> go.Figure:
    """Precision, recall and F1 against the threshold, which is the vertical line."""
    figure = go.Figure()
    for name, colour in (("precision", BLUE), ("recall", ORANGE), ("f1", GREEN)):
        figure.add_scatter(
            x=curve["threshold"], y=curve[name], name={"f1": "F1"}.get(name, name), mode="lines", line={"color": colour, "width": 2.5},
            hovertemplate="%{y:.1%}<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    figure.add_vline(x=threshold, line={"color": VERMILION, "width": 2})
    axis = {"title": "threshold", "range": [0, 1]}
    return _layout(
        figure,
        320,
        "Curves: precision, recall and F1 over the threshold",
        xaxis=axis,
        yaxis=FRACTION,
        hovermode="x unified",
    )


def score_histogram(scores: np.ndarray, threshold: float, name: str) -> go.Figure:
    """How the scores of one class, or of all entries, are spread; log counts, since most entries are low."""
    counts, edges = np.histogram(scores, bins=50, range=(0, 1))
    middle = (edges[1:] + edges[:-1]) / 2
    colours = [GREEN if value >= threshold else GREY for value in middle]
    figure = go.Figure(
        go.Bar(
            x=middle,
            y=counts,
            marker_color=colours,
            name=name,
            hovertemplate="score %{x:.2f}: %{y:,}<extra></extra>",
        )
    )
    figure.add_vline(x=threshold, line={"color": VERMILION, "width": 2})
    return _layout(
        figure,
        320,
        "Histogram: how many scores have each value, those above the threshold in colour",
        xaxis={"title": "score", "range": [0, 1]},
        yaxis={"title": "labels, log scale", "type": "log", "dtick": 1},
    )


def confusion_matrix(rate: np.ndarray, baseline: np.ndarray, classes: Sequence[str]) -> go.Figure:
    """[C, C]: how often the row's class is wrongly predicted where the column's is present."""
    cells = 100 * rate
    figure = go.Figure(
        go.Heatmap(
            z=cells, x=list(classes), y=list(classes), customdata=100 * baseline, colorscale=[[0, "rgba(213, 94, 0, 0.04)"], [1, "rgba(213, 94, 0, 0.75)"]], zmin=0, colorbar={"title": "%"}, hoverongaps=False,
            xgap=1, ygap=1,
            hovertemplate="%{y} wrongly predicted in %{z:.1f} % of images with %{x}<br>(in %{customdata:.1f} % of those without)<extra></extra>",
        )
    )  # fmt: skip
    down, across = np.nonzero(
        np.nan_to_num(cells) >= 0.5
    )  # as marks of their own: a cell's own text is dark on dark in the dark theme
    figure.add_scatter(
        x=[classes[c] for c in across.tolist()], y=[classes[c] for c in down.tolist()], text=[f"{value:.0f}" for value in cells[down, across]], mode="text",
        hoverinfo="skip", showlegend=False,
    )  # fmt: skip
    axes = {
        "xaxis": class_axis(classes) | {"title": "truly there", "showgrid": False},
        "yaxis": class_axis(classes)
        | {"title": "wrongly predicted", "autorange": "reversed", "showgrid": False},
    }
    return _layout(
        figure,
        max(380, 140 + 24 * len(classes)),
        "Matrix: how often the row's class is wrongly predicted where the column's is",
        **axes,
    )


def confusion_pairs(pairs: Sequence[tuple[str, str, float, float]]) -> go.Figure:
    """(wrongly predicted, truly there, share with it, share without it), the strongest first."""
    rows = [f"{shown(wrong)} where {shown(there)} is" for wrong, there, _, _ in pairs][::-1]
    figure = go.Figure()
    for name, place, colour in (
        ("other class absent", 3, GREY),
        ("other class present", 2, VERMILION),
    ):  # bars of a row go upwards
        values = [100 * pair[place] for pair in pairs][::-1]
        figure.add_bar(
            y=rows,
            x=values,
            name=name,
            orientation="h",
            marker_color=colour,
            hovertemplate="%{y}: %{x:.1f} %<extra>%{fullData.name}</extra>",
        )
    return _layout(
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
    """Images that the final labels, the classifier, or both give each class; most images first."""
    order = np.argsort(-(only_labels + both + only_classifier))
    figure = go.Figure()
    for name, values, colour in (
        ("both", both, GREEN),
        ("final label only", only_labels, ORANGE),
        ("classifier only", only_classifier, PURPLE),
    ):
        figure.add_bar(x=[classes[i] for i in order], y=values[order], name=name, marker_color=colour)
    return _layout(
        figure,
        380,
        "Bars: images that the final labels, the classifier or both give each class",
        barmode="stack",
        xaxis={"type": "category"},
        yaxis={"title": "images"},
    )
