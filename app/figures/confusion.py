"""Figures of the page Results: which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.figures.theme import (
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    VERMILION,
    class_axis,
    escaped,
    translucent,
    with_layout,
)


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
