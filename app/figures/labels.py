"""Figures of labels: those of one image, those of a data set, and what other settings would change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.figures.rows import rows_figure, two_points
from app.figures.theme import (
    BLUE,
    GREEN,
    GREY,
    KINDS,
    MARGIN,
    ORANGE,
    SKY,
    VALUES,
    VERMILION,
    layout,
    with_layout,
)

RUN = "this run"
SET = "as set"
GIVEN = 0.2  # a local label below this does not say that the class is there
COLOURS = {"CLIP, whole image": GREY, RUN: SKY, SET: BLUE}


def label_bars(
    classes: Sequence[str],
    kinds: dict[str, np.ndarray],
    shown: Sequence[int],
    best_view: np.ndarray | None = None,
) -> go.Figure:
    """One image's labels of the classes `shown`, in that order.

    kinds: kind of label -> [C]; "ground truth" is marked, not drawn. best_view: [C] int, the view that gave
    each class its local label.
    """
    truth = kinds.get("ground truth")
    names = [classes[i] for i in shown]
    there = [classes[i] for i in shown if truth is not None and truth[i] == 1]
    drawn = {kind: values for kind, values in kinds.items() if kind != "ground truth"}
    bars = []
    for kind, values in drawn.items():
        views = best_view if kind == "local" else None
        bars.append(
            VALUES
            | {
                "type": "bar",
                "orientation": "h",
                "name": kind,
                "y": names,
                "x": values[shown],
                "marker": {"color": KINDS[kind]},
                "text": [_label_text(values[i], None if views is None else int(views[i])) for i in shown],
                "textfont": {"size": 11},
                "hovertemplate": f"%{{y}}: {kind} %{{x:.3f}}<extra></extra>",
            }
        )
    axis = {"range": [0, 1.3], "title": {"text": "label"}, "tickvals": [0, 0.25, 0.5, 0.75, 1]}
    return rows_figure(
        bars,
        names,
        "Bars: this image's labels of each kind, by class",
        each=14 + 13 * len(bars),
        barmode="group",
        xaxes=[axis],
        marked=there,
    )


def _label_text(value: float, view: int | None) -> str:
    """A label's value, with the view that it comes from."""
    if not np.isfinite(value):
        return ""
    return f"{value:.2f}" if view is None or value < GIVEN else f"{value:.2f} · view {view + 1}"


def most_labelled(kinds: dict[str, np.ndarray], count: int) -> list[int]:
    """The `count` classes with the highest labels of any kind, among them those truly there.

    They are ordered by the last kind of `kinds`, the highest first.
    """
    values = np.nan_to_num(np.stack(list(kinds.values())))
    picked = np.argsort(-values.max(0), kind="stable")[:count]
    return sorted(picked.tolist(), key=lambda i: -values[-1, i])


def stage_measures(rows: dict[str, dict[str, float | None]]) -> go.Figure:
    """mAP, micro-AP and F1 (percent) of a run's labels, one group of bars for each kind of label."""
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
    return with_layout(
        go.Figure(bars),
        320,
        "Bars: mAP, micro-AP and F1 of the labels of each stage",
        barmode="group",
        yaxis={"range": [0, 105], "title": "percent"},
    )


def compared_measures(measures: dict[str, dict[str, float]]) -> go.Figure:
    """mAP, micro-AP and F1 of several labels, one group of bars for each measure.

    measures: name of the labels, one of `COLOURS` -> measure -> fraction.
    """
    names = {"mAP": "mAP", "micro_AP": "micro-AP", "F1": "F1 at 0.5"}
    bars = [
        VALUES
        | {
            "type": "bar",
            "name": labels,
            "x": list(names.values()),
            "y": [100 * row[name] for name in names],
            "marker": {"color": COLOURS[labels]},
            "texttemplate": "%{y:.1f}",
        }
        for labels, row in measures.items()
    ]
    own = {
        "barmode": "group",
        "yaxis": {"range": [0, 108], "title": {"text": "percent"}},
        "margin": MARGIN | {"b": 28},
    }
    shows = "Bars: mAP, micro-AP and F1 of each kind of label"
    return go.Figure({"data": bars, "layout": layout(330, shows, **own)})


def differences(
    classes: Sequence[str],
    run: np.ndarray,
    changed: np.ndarray,
    truth: np.ndarray | None,
    title: str,
    unit: float = 1.0,
    digits: int = 3,
) -> go.Figure:
    """A value of each class in this run, as set and in truth, and the difference as bars.

    run, changed, truth: [C]; truth is None if it is not known. A class whose difference is NaN is left out,
    the greatest gain is on top. title: of the value. unit: what values are multiplied by. digits: decimals.
    """
    gain = unit * (changed - run)
    order = [i for i in np.argsort(-gain, kind="stable") if np.isfinite(gain[i])]
    names = [classes[i] for i in order]
    ends = {RUN: unit * run[order], SET: unit * changed[order]}
    keys, shapes = two_points(ends[RUN], ends[SET], None if truth is None else unit * truth[order])
    points: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "markers",
            "x": values,
            "y": names,
            "name": name,
            "marker": {"color": COLOURS[name], "size": 10},
            "hovertemplate": f"%{{y}}: {name} %{{x:.{digits}f}}<extra></extra>",
        }
        for name, values in ends.items()
    ]
    bars = VALUES | {
        "type": "bar",
        "orientation": "h",
        "xaxis": "x2",
        "x": gain[order],
        "y": names,
        "showlegend": False,
        "marker": {"color": np.where(gain[order] >= 0, GREEN, VERMILION)},
        "text": [f"{value:+.{digits}f}" for value in gain[order]],
        "hovertemplate": f"%{{y}}: %{{x:+.{digits}f}}<extra></extra>",
    }
    reach = 1.6 * max(float(np.abs(gain[order]).max(initial=0)), 10.0**-digits)
    panels = (
        {"domain": [0, 0.56], "title": {"text": title}},
        {"domain": [0.59, 1], "title": {"text": "difference"}, "range": [-reach, reach]},
    )
    shows = "Pairs of points and bars: each class in this run and as set, and the difference"
    return rows_figure([*points, *keys, bars], names, shows, xaxes=panels, shapes=shapes)


def label_histogram(histograms: dict[str, np.ndarray]) -> go.Figure:
    """How many labels have each value from 0 to 1.

    histograms: name of the labels, one of `COLOURS` -> [BINS] counts.
    """
    edges = np.linspace(0, 1, len(next(iter(histograms.values()))) + 1)
    lines = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": labels,
            "x": (edges[1:] + edges[:-1]) / 2,
            "y": np.maximum(counts, 0.5),  # the axis is logarithmic
            "customdata": counts,
            "line": {"color": COLOURS[labels], "width": 2.5, "shape": "hvh"},
            "hovertemplate": f"{labels}: %{{customdata:,}} labels near %{{x:.2f}}<extra></extra>",
        }
        for labels, counts in histograms.items()
    ]
    own = {
        "margin": MARGIN,
        "xaxis": {"title": {"text": "final label"}, "range": [0, 1]},
        "yaxis": {"type": "log", "dtick": 1, "title": {"text": "labels (log scale)"}},
    }
    shows = "Lines: how many labels have each value from 0 to 1"
    return go.Figure({"data": lines, "layout": layout(330, shows, **own)})
