"""Figures of the page CLIP bias (Figs. 2d, 9, 10). Classes run down the page, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.figures.rows import (
    boxes,
    diamonds,
    legend_key,
    path_shape,
    rows_figure,
    spans,
    ticks,
    two_points,
)
from app.figures.theme import BLUE, GREEN, GREY, MARGIN, ORANGE, SKY, VERMILION, layout, translucent
from ccd_core.method.bias import Bias

COUNT_COLOURS = {"ground truth": GREY, "CLIP top-1": SKY, "pseudo-label > 0.5": GREEN}
NUMBERED = 40  # classes; bars of more have their numbers under the pointer and in the table
TICKS = 1600  # of images, about so many in all classes together
FEWEST_TICKS = 10  # of images, in each class
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)  # of the boxes and their whiskers


def bias_by_class(
    classes: Sequence[str],
    bias: Bias,
    by_class: Sequence[np.ndarray],
    top_p: np.ndarray,
    chosen: int | None = None,
) -> go.Figure:
    """Bias, top-1 probabilities and number of images of each class, most favoured first (Figs. 2d, 9).

    by_class: for each class the rows of the images where it is top-1, by rising probability.
    top_p: [N], that probability. chosen: index of the class with a bar of another colour.

    Bars are hatched and diamonds hollow for a class that no low-entropy image has measured.
    """
    order = np.argsort(-bias.value, kind="stable")
    names = [classes[i] for i in order]
    members = [by_class[i] for i in order]
    used = bias.count[order]
    total = np.array([len(rows) for rows in members])
    numbered = len(names) <= NUMBERED
    bars = {"type": "bar", "orientation": "h", "y": names, "showlegend": False, "constraintext": "none"}
    traces = [
        bars | _bias_bars(bias, order, chosen, numbered),
        bars | _image_bars(used, total, numbered),
    ]
    keys, shapes = top_1_probabilities(bias, order, members, top_p)
    used_bars = boxes([0] * len(names), used.tolist(), range(len(names)), 0.75)
    shapes.append(path_shape("x3", used_bars, fillcolor=BLUE, line={"width": 0}))
    room = 1.6 if numbered else 1.02  # right of the longest bar, for its number
    panels = (
        {"domain": [0, 0.28], "title": {"text": "CLIP bias"}, "range": [0, 1.02], "tickvals": [0, 0.5, 1]},
        {"domain": [0.31, 0.73], "title": {"text": "top-1 probability"}, "range": [0, 1.02]},
        {
            "domain": [0.76, 1],
            "title": {"text": "images"},
            "nticks": 3,
            "range": [0, room * max(total.max(), 1)],
        },
    )
    return rows_figure(
        traces + keys,
        names,
        "Bars and ticks: bias, top-1 probabilities and number of images of each class, most favoured first",
        xaxes=panels,
        barmode="overlay",
        shapes=shapes,
    )


def _bias_bars(bias: Bias, order: np.ndarray, chosen: int | None, numbered: bool) -> dict[str, Any]:
    """The left panel, without what all bars have."""
    measured = bias.measured[order]
    notes = [
        f"{count:,} low-entropy images" if known else "fallback: no low-entropy image has it first"
        for count, known in zip(bias.count[order], measured, strict=True)
    ]
    return {
        "x": bias.value[order],
        "name": "CLIP bias",
        "customdata": notes,
        "hovertemplate": "%{y}: bias %{x:.3f}<br>%{customdata}<extra></extra>",
        "marker": {
            "color": [ORANGE if i == chosen else BLUE for i in order],
            "pattern": {"shape": ["" if known else "/" for known in measured]},
        },
        "text": [f"{value:.2f}" for value in bias.value[order]] if numbered else None,
        "textposition": "inside",
        "insidetextanchor": "start",
        "textfont": {"color": ["black" if i == chosen else "white" for i in order], "size": 12},
    }


def _image_bars(used: np.ndarray, total: np.ndarray, numbered: bool) -> dict[str, Any]:
    """The right panel, without what all bars have: used [C] of total [C] images."""
    counts = [f"{few:,} of {every:,}" for few, every in zip(used, total, strict=True)]
    return {
        "x": total,
        "xaxis": "x3",
        "name": "top-1 of",
        "marker": {"color": translucent(SKY, 0.45)},
        "customdata": counts,
        "text": counts if numbered else None,
        "textposition": "outside",
        "textfont": {"size": 11},
        "cliponaxis": False,
        "hovertemplate": "%{y}: measured on %{customdata} images<extra></extra>",
    }


def top_1_probabilities(
    bias: Bias, order: np.ndarray, members: Sequence[np.ndarray], top_p: np.ndarray
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """How the top-1 probabilities of each class are spread, as a box and ticks, beside its bias (Fig. 9).

    order: [C], the class of each row. members: its images by rising probability. top_p: [N].
    Returns legend keys and shapes.
    """
    keys = [legend_key("5 to 95 %, quartiles", "square-open", GREY, 11, "x2")]
    shapes = [_quantile_boxes(members, top_p)]
    most = max(FEWEST_TICKS, TICKS // len(members))
    for name, colour, kept, top in (
        ("other images", GREY, ~bias.used, 0.02),
        ("low-entropy images", BLUE, bias.used, -0.26),
    ):
        picked = [_sampled(images[kept[images]], most) for images in members]
        at = top_p[np.concatenate(picked)]
        row = np.repeat(np.arange(len(members)), [len(images) for images in picked]) + top
        line = {"color": colour, "width": 1.2}
        shapes.append(path_shape("x2", ticks(at, row, 0.24), line=line, opacity=0.6))
        keys.append(legend_key(name, "line-ns-open", colour, 9, "x2"))
    value = bias.value[order]
    measured = bias.measured[order]
    rows = np.arange(len(members))
    for these, fill in ((measured, VERMILION), (~measured, translucent(VERMILION, 0))):
        if these.any():
            path = diamonds(value[these], rows[these])
            line = {"color": VERMILION, "width": 1.5}
            shapes.append(path_shape("x2", path, fillcolor=fill, line=line))
    return [*keys, legend_key("CLIP bias", "diamond", VERMILION, 11, "x2")], shapes


def _quantile_boxes(members: Sequence[np.ndarray], top_p: np.ndarray) -> dict[str, Any]:
    """Boxes with whiskers at `QUANTILES`, for the classes that have images."""
    filled = [row for row, images in enumerate(members) if len(images)]
    low, first, middle, third, high = (
        [float(top_p[members[row][round(share * (len(members[row]) - 1))]]) for row in filled]
        for share in QUANTILES
    )
    whiskers = spans(low, first, filled) + spans(third, high, filled)
    medians = ticks(np.array(middle), np.array(filled) - 0.28, 0.56)
    path = boxes(first, third, filled, 0.56) + whiskers + medians
    return path_shape("x2", path, line={"color": GREY, "width": 1.2}, fillcolor=translucent(GREY, 0.16))


def _sampled(rows: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the rows, evenly from first to last."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]


def count_bars(classes: Sequence[str], counts: dict[str, np.ndarray]) -> go.Figure:
    """How many images have each class, by source of the label, most frequent first (Fig. 10).

    counts: source -> [C]. The first source gives the order.
    """
    order = np.argsort(-next(iter(counts.values())), kind="stable")
    names = [classes[i] for i in order]
    bars = [
        {
            "type": "bar",
            "orientation": "h",
            "name": source,
            "y": names,
            "x": values[order],
            "marker": {"color": COUNT_COLOURS[source]},
            "hovertemplate": f"%{{y}}: {source} %{{x:,}} images<extra></extra>",
        }
        for source, values in counts.items()
    ]
    return rows_figure(
        bars,
        names,
        "Bars: how many images have each class, by source of the label",
        each=10 + 8 * len(bars),
        xaxes=[{"title": {"text": "images"}}],
        barmode="group",
    )


def entropy_histogram(entropy: np.ndarray, threshold: float, of_run: float, most: float) -> go.Figure:
    """Entropies of the images; those that count towards the bias are in colour.

    entropy: [N], nats. threshold: of the slider. of_run: the run's own, marked if it differs. most: the
    highest possible entropy.
    """
    counts, edges = np.histogram(entropy, bins=60, range=(0, most))
    middle = (edges[1:] + edges[:-1]) / 2
    bars = {
        "type": "bar",
        "x": middle,
        "y": counts,
        "width": edges[1],
        "marker": {"color": np.where(middle <= threshold, BLUE, GREY), "line": {"width": 0}},
        "hovertemplate": "%{x:.2f} nats: %{y:,} images<extra></extra>",
    }
    lines = [(threshold, {"color": VERMILION, "width": 2.5})]
    beside: dict[str, Any] = {"xanchor": "right", "xshift": -6}
    if threshold < 0.6 * most:
        beside = {"xanchor": "left", "xshift": 6}
    share = float((entropy <= threshold).mean())
    text = f"<b>{share:.0%}</b> of the images count"
    notes = [{"x": threshold, "y": 1, "yanchor": "top", "text": text} | beside]
    if abs(of_run - threshold) > 1e-6:
        lines.append((of_run, {"color": GREY, "width": 2, "dash": "dot"}))
        text = f"the run: {of_run:g}"
        notes.append({"x": of_run, "y": 0, "xanchor": "left", "yanchor": "bottom", "text": text})
    own = {
        "shapes": [
            {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper", "line": line}
            for x, line in lines
        ],
        "annotations": [{"yref": "paper", "showarrow": False} | note for note in notes],
        "xaxis": {"title": {"text": "entropy of CLIP's probabilities (nats)"}, "range": [0, most]},
        "yaxis": {"title": {"text": "images"}},
        "bargap": 0,
        "showlegend": False,
        "margin": MARGIN | {"t": 12},
    }
    shows = "Histogram: how many images have which entropy, and the threshold"
    return go.Figure({"data": [bars], "layout": layout(230, shows, **own)})


def before_and_after(
    classes: Sequence[str],
    before: np.ndarray,
    after: np.ndarray,
    truth: np.ndarray | None,
    names: tuple[str, str],
    title: str,
) -> go.Figure:
    """Two values of each class, joined by a line, and the true one if it is known; all are [C].

    Classes are ordered by the true value, else by `after`. names: of the two values. title: of the axis.
    """
    order = np.argsort(-(after if truth is None else truth), kind="stable")
    rows = [classes[i] for i in order]
    true_values = None if truth is None else truth[order]
    keys, shapes = two_points(before[order], after[order], true_values)
    known = "" if truth is None else "<br>true rate %{customdata:.3f}"
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "x": values[order],
            "y": rows,
            "name": name,
            "marker": {"color": colour, "size": 10},
            "customdata": true_values,
            "hovertemplate": f"%{{y}}: {name} %{{x:.3f}}{known}<extra></extra>",
        }
        for name, values, colour in ((names[0], before, SKY), (names[1], after, BLUE))
    ]
    return rows_figure(
        traces + keys,
        rows,
        "Pairs of points: a value of each class before and after",
        xaxes=[{"title": {"text": title}, "rangemode": "tozero"}],
        shapes=shapes,
    )
