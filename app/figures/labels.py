"""Figures of the page Labels: one image's labels, and a data set's labels as the run made them beside other settings'."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from app.figures.bias import joined, rows_figure
from app.figures.theme import BLUE, GREEN, GREY, KINDS, MARGIN, SKY, VALUES, VERMILION, layout

RUN, SET = "this run", "as set"
GIVEN = 0.2  # a local label below this is no claim that the class is there
COLOURS = {"CLIP, whole image": GREY, RUN: SKY, SET: BLUE}


def label_bars(
    classes: Sequence[str],
    kinds: dict[str, np.ndarray],
    shown: Sequence[int],
    best_view: np.ndarray | None = None,
) -> go.Figure:
    """One image's labels, [C] each, of the classes `shown`, in that order; best_view [C] int says which view gave the local label."""
    truth = kinds.get("ground truth")
    names = [classes[i] for i in shown]
    there = [classes[i] for i in shown if truth is not None and truth[i] == 1]
    bars = []
    for kind, values in kinds.items():
        if kind == "ground truth":
            continue
        from_view = [
            f" · view {best_view[i] + 1}"
            if kind == "local" and best_view is not None and values[i] >= GIVEN
            else ""
            for i in shown
        ]
        text = [
            f"{values[i]:.2f}{view}" if np.isfinite(values[i]) else ""
            for i, view in zip(shown, from_view, strict=True)
        ]
        bars.append(
            VALUES | {
                "type": "bar", "orientation": "h", "name": kind, "y": names, "x": values[shown], "marker": {"color": KINDS[kind]}, "text": text,
                "textfont": {"size": 11}, "hovertemplate": f"%{{y}}: {kind} %{{x:.3f}}<extra></extra>",
            }
        )  # fmt: skip
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


def most_labelled(kinds: dict[str, np.ndarray], count: int) -> list[int]:
    """The `count` classes of one image that matter: those truly there and those with the highest labels, highest final label first."""
    values = np.nan_to_num(np.stack(list(kinds.values())))
    picked = np.argsort(-values.max(0), kind="stable")[:count]
    return sorted(picked.tolist(), key=lambda i: -values[-1, i])


def measure_bars(measures: dict[str, dict[str, float]]) -> go.Figure:
    """mAP, micro-AP and F1 (fractions in, percent shown) of several kinds of label side by side."""
    names = {"mAP": "mAP", "micro_AP": "micro-AP", "F1": "F1 at 0.5"}
    bars = [
        VALUES | {"type": "bar", "name": kind, "x": list(names.values()), "y": [100 * row[name] for name in names], "marker": {"color": COLOURS[kind]},
                  "texttemplate": "%{y:.1f}"}
        for kind, row in measures.items()
    ]  # fmt: skip
    own = {
        "barmode": "group",
        "yaxis": {"range": [0, 108], "title": {"text": "percent"}},
        "margin": MARGIN | {"b": 28},
    }
    return go.Figure(
        {"data": bars, "layout": layout(330, "Bars: mAP, micro-AP and F1 of each kind of label", **own)}
    )


def differences(
    classes: Sequence[str],
    run: np.ndarray,
    changed: np.ndarray,
    truth: np.ndarray | None,
    title: str,
    unit: float = 1.0,
    digits: int = 3,
) -> go.Figure:
    """A value of each class in this run, as set and, where it is known, in truth, and the difference as bars; the greatest gain on top."""
    gain = unit * (changed - run)
    order = [i for i in np.argsort(-gain, kind="stable") if np.isfinite(gain[i])]
    names, values = [classes[i] for i in order], gain[order]
    ends = {name: unit * of_class[order] for name, of_class in ((RUN, run), (SET, changed))}
    keys, shapes = joined(ends[RUN], ends[SET], None if truth is None else unit * truth[order])
    traces: list[dict] = [
        {
            "type": "scatter", "mode": "markers", "x": end, "y": names, "name": name, "marker": {"color": COLOURS[name], "size": 10},
            "hovertemplate": f"%{{y}}: {name} %{{x:.{digits}f}}<extra></extra>",
        }
        for name, end in ends.items()
    ]  # fmt: skip
    traces += keys
    traces.append(
        VALUES | {
            "type": "bar", "orientation": "h", "xaxis": "x2", "x": values, "y": names, "showlegend": False, "marker": {"color": np.where(values >= 0, GREEN, VERMILION)},
            "text": [f"{value:+.{digits}f}" for value in values], "hovertemplate": f"%{{y}}: %{{x:+.{digits}f}}<extra></extra>",
        }
    )  # fmt: skip
    reach = 1.6 * max(float(np.abs(values).max(initial=0)), 10.0**-digits)
    panels = (
        {"domain": [0, 0.56], "title": {"text": title}},
        {"domain": [0.59, 1], "title": {"text": "difference"}, "range": [-reach, reach]},
    )
    shows = "Pairs of points and bars: each class in this run and as set, and the difference"
    return rows_figure(traces, names, shows, xaxes=panels, shapes=shapes)


def label_histogram(histograms: dict[str, np.ndarray]) -> go.Figure:
    """How many labels have each value from 0 to 1, [BINS] counts of each kind."""
    edges = np.linspace(0, 1, len(next(iter(histograms.values()))) + 1)
    lines = [
        {
            "type": "scatter", "mode": "lines", "name": kind, "x": (edges[1:] + edges[:-1]) / 2, "y": np.maximum(counts, 0.5), "customdata": counts,
            "line": {"color": COLOURS[kind], "width": 2.5, "shape": "hvh"}, "hovertemplate": f"{kind}: %{{customdata:,}} labels near %{{x:.2f}}<extra></extra>",
        }
        for kind, counts in histograms.items()
    ]  # fmt: skip
    axes = {
        "xaxis": {"title": {"text": "final label"}, "range": [0, 1]},
        "yaxis": {"type": "log", "dtick": 1, "title": {"text": "labels (log scale)"}},
    }
    return go.Figure(
        {
            "data": lines,
            "layout": layout(
                330, "Lines: how many labels have each value from 0 to 1", margin=MARGIN, **axes
            ),
        }
    )
