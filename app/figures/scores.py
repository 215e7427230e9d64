"""Figure of one image's scores beside CLIP's."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from app.figures.theme import (
    PURPLE,
    SKY,
    VALUES,
    VERMILION,
    class_axis,
    escaped,
    with_layout,
)


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
