"""From data to plotly figures; nothing here knows of a browser or of files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

# Okabe and Ito's palette: told apart with any kind of colour vision, on light and on dark.
BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#8C8C8C"
KINDS = {"ground truth": GREY, "global": SKY, "initial": BLUE, "local": ORANGE, "final": GREEN, "classifier": PURPLE}

VALUES = {"textposition": "outside", "textfont_size": 12, "cliponaxis": False, "constraintext": "none"}  # numbers on bars, readable on any bar


def _layout(figure: go.Figure, height: int, revision: str, **axes) -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 10, "t": 30, "b": 10},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        uirevision=revision,
        bargap=0.25,
        **axes,
    )
    return figure


def bias_bars(classes: Sequence[str], bias: np.ndarray, count: np.ndarray, estimated: np.ndarray) -> go.Figure:
    """CLIP bias of every class, most favoured first; hatched where no low-entropy image measured it."""
    order = np.argsort(-bias)
    names = [classes[i] for i in order]
    figure = go.Figure(
        go.Bar(
            x=names,
            y=bias[order],
            marker={"color": BLUE, "pattern": {"shape": ["" if estimated[i] else "/" for i in order]}},
            text=[f"{bias[i]:.2f}" for i in order],
            **VALUES,
            customdata=[[int(count[i]), "measured" if estimated[i] else "fallback: never top-1 of a low-entropy image"] for i in order],
            hovertemplate="%{x}: bias %{y:.3f}<br>%{customdata[0]} images (%{customdata[1]})<extra></extra>",
        )
    )
    return _layout(figure, 340, "bias", yaxis={"range": [0, 1.08], "title": "mean top-1 probability"})


def count_bars(classes: Sequence[str], counts: dict[str, np.ndarray]) -> go.Figure:
    """How many images have each class, by source of the label."""
    colours = {"ground truth": GREY, "CLIP top-1": SKY, "final label > 0.5": GREEN}
    order = np.argsort(-next(iter(counts.values())))
    bars = [go.Bar(name=kind, x=[classes[i] for i in order], y=values[order], marker_color=colours[kind]) for kind, values in counts.items()]
    return _layout(go.Figure(bars), 360, "counts", barmode="group", yaxis={"title": "images"})


def entropy_histogram(entropy: np.ndarray, threshold: float) -> go.Figure:
    figure = go.Figure(go.Histogram(x=entropy, nbinsx=50, marker_color=SKY, hovertemplate="%{x}: %{y} images<extra></extra>"))
    figure.add_vline(x=threshold, line={"color": VERMILION, "width": 2}, annotation_text="threshold", annotation_position="top right")
    return _layout(figure, 230, "entropy", xaxis={"title": "entropy of CLIP's probabilities (nats)"}, yaxis={"title": "images"})


def label_bars(classes: Sequence[str], kinds: dict[str, np.ndarray]) -> go.Figure:
    """One image's labels side by side, [C] each."""
    bars = [go.Bar(name=kind, x=list(classes), y=values, marker_color=KINDS[kind]) for kind, values in kinds.items()]
    return _layout(go.Figure(bars), 340, "labels", barmode="group", yaxis={"range": [0, 1.02], "title": "label"})


def ap_bars(columns: dict[str, dict[str, float | None]]) -> go.Figure:
    """AP in percent of each class, sorted by the first column; missing values are left out."""
    first = next(iter(columns.values()))
    names = sorted((name for name, value in first.items() if value is not None), key=lambda name: first[name] or 0)
    colours = (GREEN, SKY, ORANGE, PURPLE)
    bars = [
        go.Bar(
            name=kind,
            y=names,
            x=[values.get(name) for name in names],
            orientation="h",
            marker_color=colours[i % 4],
            texttemplate="%{x:.1f}",
            **VALUES,
        )
        for i, (kind, values) in enumerate(columns.items())
    ]
    return _layout(
        go.Figure(bars), max(300, len(names) * (10 + 16 * len(bars)) + 120), "ap", barmode="group", xaxis={"range": [0, 108], "title": "AP (%)"}
    )


def learning_curves(metrics: pd.DataFrame, kept: int | None) -> go.Figure:
    """mAP on training labels and on validation, epoch by epoch; warm-up shaded, the kept epoch marked."""
    figure = go.Figure()
    epochs = metrics["epoch"] + 1
    for column, name, colour in (("train_map", "training labels", SKY), ("val_map", "validation (ground truth)", GREEN)):
        if metrics[column].notna().any():
            figure.add_scatter(x=epochs, y=metrics[column], name=name, mode="lines+markers", line={"color": colour, "width": 3})
    warm_up = int((metrics["phase"] == "warm-up").sum())
    if 0 < warm_up < len(metrics):
        figure.add_vrect(
            x0=0.5, x1=warm_up + 0.5, fillcolor=ORANGE, opacity=0.12, line_width=0, annotation_text="warm-up", annotation_position="top left"
        )
    if kept is not None:
        figure.add_vline(x=kept + 1, line={"color": VERMILION, "dash": "dot"}, annotation_text="kept", annotation_position="bottom left")
    return _layout(figure, 320, "curves", xaxis={"title": "epoch", "dtick": 1}, yaxis={"title": "mAP (%)"})


def measure_bars(rows: dict[str, dict[str, float | None]]) -> go.Figure:
    """mAP, micro-AP and F1 (percent) of each kind of label."""
    colours = {"mAP": GREEN, "micro_AP": SKY, "F1": ORANGE}
    bars = [
        go.Bar(
            name=name.replace("_", "-"), x=list(rows), y=[row[name] for row in rows.values()], marker_color=colour, texttemplate="%{y:.0f}", **VALUES
        )
        for name, colour in colours.items()
    ]
    return _layout(go.Figure(bars), 320, "measures", barmode="group", yaxis={"range": [0, 105], "title": "percent"})
