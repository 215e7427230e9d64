"""Figures of the page CLIP bias: from arrays to plotly figures (Figs. 2d, 9, 10). Classes run down the page, however many there are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from app.figures.theme import BLUE, GREEN, GREY, MARGIN, ORANGE, SKY, VERMILION, class_axis, layout, shown
from ccd_core.method.bias import Bias

ROW = 24  # pixels a class
COUNT_COLOURS = {"ground truth": GREY, "CLIP top-1": SKY, "pseudo-label > 0.5": GREEN}
NUMBERED = 40  # classes; the bars of more have their numbers under the pointer and in the table
LONGEST_NAME = 30  # letters; a longer name is cut beside its row and whole under the pointer


def rows_figure(
    traces: Sequence[dict],
    rows: Sequence[str],
    shows: str,
    each: int = ROW,
    xaxes: Sequence[dict] = ({},),
    marked: Sequence[str] = (),
    **own,
) -> go.Figure:
    """One row of the figure for each of `rows`, the first on top, with the value axes above them, where they are seen before scrolling.

    shows: as in `figures.layout`. xaxes: what each of the panels side by side has of its own; panels share the rows. marked: rows with a bold
    name and a dot.
    """
    names = [name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…" for name in rows]
    texts = [
        f"<b>{shown(name)}</b> ●" if row in marked else shown(name)
        for name, row in zip(names, rows, strict=True)
    ]
    axes = {
        f"xaxis{number if number > 1 else ''}": {
            "side": "top",
            "ticks": "outside",
            "title_standoff": 4,
            "tickangle": 0,
            "nticks": 4,
        }
        | axis
        for number, axis in enumerate(xaxes, 1)
    }
    beside = {
        "margin": MARGIN
        | {
            "l": 16
            + 7
            * max(
                (len(name) + 2 * (row in marked) for name, row in zip(names, rows, strict=True)), default=0
            ),
            "t": 102,
            "b": 10,
        },
        "legend": {"orientation": "h", "y": 1, "yanchor": "top", "yref": "container", "x": 0},
        "yaxis": class_axis(rows) | {"range": [len(rows) - 0.5, -0.5], "ticktext": texts},
    }
    return go.Figure(
        {"data": list(traces), "layout": layout(112 + each * len(rows), shows, **beside, **axes, **own)}
    )


def ticks(x: np.ndarray, y: np.ndarray, height: float) -> str:
    """The SVG path of upright ticks from (x, y) on: thousands of them for the browser's price of one."""
    return "".join(
        f"M{at:.3f},{row:.2f}V{row + height:.2f}" for at, row in zip(x.tolist(), y.tolist(), strict=True)
    )


def spans(x0: Sequence[float], x1: Sequence[float], y: Sequence[int]) -> str:
    """The SVG path of level lines from x0 to x1 in the rows `y`."""
    return "".join(f"M{a:.5g},{row}H{b:.5g}" for a, b, row in zip(x0, x1, y, strict=True))


def joined(before: np.ndarray, after: np.ndarray, truth: np.ndarray | None) -> tuple[list[dict], list[dict]]:
    """Legend keys and shapes beside two points a row: the line between them and, where it is known, a tick at the true value."""
    shapes = [
        _path(
            "x",
            spans(before.tolist(), after.tolist(), range(len(before))),
            line={"color": GREY, "width": 2},
            layer="below",
        )
    ]
    if truth is None:
        return [], shapes
    shapes.append(
        _path("x", ticks(truth, np.arange(len(truth)) - 0.3, 0.6), line={"color": VERMILION, "width": 3})
    )
    return [key("true rate", "line-ns-open", VERMILION, 15)], shapes


def sampled(rows: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the rows, evenly from first to last."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]


def boxes(x0: Sequence[float], x1: Sequence[float], y: Sequence[int], height: float) -> str:
    """The SVG path of rectangles from x0 to x1, in the middle of the rows `y`."""
    return "".join(
        f"M{a:.4f},{row - height / 2:.2f}H{b:.4f}V{row + height / 2:.2f}H{a:.4f}Z"
        for a, b, row in zip(x0, x1, y, strict=True)
    )


def diamonds(x: np.ndarray, y: np.ndarray) -> str:
    return "".join(
        f"M{at - 0.009:.4f},{row}L{at:.4f},{row - 0.26:.2f}L{at + 0.009:.4f},{row}L{at:.4f},{row + 0.26:.2f}Z"
        for at, row in zip(x, y, strict=True)
    )


def bias_by_class(
    classes: Sequence[str],
    bias: Bias,
    by_class: Sequence[np.ndarray],
    top_p: np.ndarray,
    chosen: int | None = None,
) -> go.Figure:
    """Bias, distribution of top-1 probabilities and number of images of each class, most favoured class first (Figs. 2d, 9).

    by_class: for each class the rows of the images where it is top-1, by rising probability; top_p [N]: that probability. Bars are hatched
    and diamonds hollow where no low-entropy image measured the class. Only what is pointed at is a mark of its own: a path of any length
    costs the browser as much as one bar.
    """
    order = np.argsort(-bias.value, kind="stable")
    names, members = [classes[i] for i in order], [by_class[i] for i in order]
    value, measured, estimated = bias.value[order], bias.count[order], bias.measured[order]
    total = np.array([len(rows) for rows in members])
    bars = {"type": "bar", "orientation": "h", "y": names, "showlegend": False, "constraintext": "none"}
    said = [
        f"{count:,} low-entropy images" if known else "fallback: no low-entropy image has it first"
        for count, known in zip(measured, estimated, strict=True)
    ]
    counted = [f"{used:,} of {every:,}" for used, every in zip(measured, total, strict=True)]
    numbers = len(names) <= NUMBERED
    traces = [
        bars | {
            "x": value, "name": "CLIP bias", "customdata": said, "hovertemplate": "%{y}: bias %{x:.3f}<br>%{customdata}<extra></extra>",
            "marker": {"color": [ORANGE if i == chosen else BLUE for i in order], "pattern": {"shape": ["" if known else "/" for known in estimated]}},
            "text": [f"{one:.2f}" for one in value] if numbers else None, "textposition": "inside", "insidetextanchor": "start", "textfont": {"color": ["black" if i == chosen else "white" for i in order], "size": 12},
        },
        bars | {
            "x": total, "xaxis": "x3", "name": "top-1 of", "marker": {"color": "rgba(86,180,233,.45)"},
            "customdata": counted, "text": counted if numbers else None, "textposition": "outside",
            "textfont": {"size": 11}, "cliponaxis": False, "hovertemplate": "%{y}: measured on %{customdata} images<extra></extra>",
        },
    ]  # fmt: skip
    keys, shapes = top_1_probabilities(bias, value, estimated, members, top_p)
    shapes.append(
        _path(
            "x3",
            boxes([0] * len(names), measured.tolist(), range(len(names)), 0.75),
            fillcolor=BLUE,
            line={"width": 0},
        )
    )
    panels = (
        {"domain": [0, 0.28], "title": {"text": "CLIP bias"}, "range": [0, 1.02], "tickvals": [0, 0.5, 1]},
        {"domain": [0.31, 0.73], "title": {"text": "top-1 probability"}, "range": [0, 1.02]},
        {
            "domain": [0.76, 1],
            "title": {"text": "images"},
            "nticks": 3,
            "range": [0, (1.6 if numbers else 1.02) * max(total.max(), 1)],
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


def top_1_probabilities(
    bias: Bias, value: np.ndarray, estimated: np.ndarray, members: Sequence[np.ndarray], top_p: np.ndarray
) -> tuple[list[dict], list[dict]]:
    """Legend keys and shapes of the distribution of each row's top-1 probabilities: ticks of its images, a box, and the bias (Fig. 9)."""
    rows_with_any = [row for row, of_class in enumerate(members) if len(of_class)]
    low, first, middle, third, high = (
        [float(top_p[members[row][round(q * (len(members[row]) - 1))]]) for row in rows_with_any]
        for q in (0.05, 0.25, 0.5, 0.75, 0.95)
    )
    whiskers = spans(low, first, rows_with_any) + spans(third, high, rows_with_any)
    medians = ticks(np.array(middle), np.array(rows_with_any) - 0.28, 0.56)
    outline = {"color": GREY, "width": 1.2}
    shapes = [
        _path(
            "x2",
            boxes(first, third, rows_with_any, 0.56) + whiskers + medians,
            line=outline,
            fillcolor="rgba(140,140,140,.16)",
        )
    ]
    keys = [key("5 to 95 %, quartiles", "square-open", GREY, 11, "x2")]
    most = max(10, 1600 // len(members))
    for kind, colour, keep, above in (
        ("other images", GREY, ~bias.used, 0.02),
        ("low-entropy images", BLUE, bias.used, -0.26),
    ):
        picked = [sampled(of_class[keep[of_class]], most) for of_class in members]
        at, row = (
            top_p[np.concatenate(picked)],
            np.repeat(np.arange(len(members)), [len(of_class) for of_class in picked]) + above,
        )
        shapes.append(_path("x2", ticks(at, row, 0.24), line={"color": colour, "width": 1.2}, opacity=0.6))
        keys.append(key(kind, "line-ns-open", colour, 9, "x2"))
    rows = np.arange(len(members))
    for known, fill in ((estimated, VERMILION), (~estimated, "rgba(0,0,0,0)")):
        if known.any():
            shapes.append(
                _path(
                    "x2",
                    diamonds(value[known], rows[known]),
                    fillcolor=fill,
                    line={"color": VERMILION, "width": 1.5},
                )
            )
    return [*keys, key("CLIP bias", "diamond", VERMILION, 11, "x2")], shapes


def _path(xref: str, path: str, **style) -> dict:
    return {"type": "path", "xref": xref, "path": path} | style


def key(name: str, symbol: str, colour: str, size: int, xaxis: str = "x") -> dict:
    """A legend entry for what is drawn as a path."""
    return {
        "type": "scatter", "mode": "markers", "xaxis": xaxis, "x": [None], "y": [None], "name": name, "hoverinfo": "skip",
        "marker": {"color": colour, "size": size, "symbol": symbol, "line": {"color": colour, "width": 2}},
    }  # fmt: skip


def count_bars(classes: Sequence[str], counts: dict[str, np.ndarray]) -> go.Figure:
    """How many images have each class, by source of the label, most frequent first (Fig. 10)."""
    order = np.argsort(-next(iter(counts.values())), kind="stable")
    names = [classes[i] for i in order]
    bars = [
        {
            "type": "bar", "orientation": "h", "name": kind, "y": names, "x": values[order], "marker": {"color": COUNT_COLOURS[kind]},
            "hovertemplate": f"%{{y}}: {kind} %{{x:,}} images<extra></extra>",
        }
        for kind, values in counts.items()
    ]  # fmt: skip
    return rows_figure(
        bars,
        names,
        "Bars: how many images have each class, by source of the label",
        each=10 + 8 * len(bars),
        xaxes=[{"title": {"text": "images"}}],
        barmode="group",
    )


def entropy_histogram(entropy: np.ndarray, threshold: float, of_run: float, most: float) -> go.Figure:
    """Entropies of the images, those that count towards the bias in colour, with the threshold of the slider and of the run."""
    counts, edges = np.histogram(entropy, bins=60, range=(0, most))
    middle = (edges[1:] + edges[:-1]) / 2
    colours = np.where(middle <= threshold, BLUE, GREY)
    bars = {
        "type": "bar", "x": middle, "y": counts, "width": edges[1], "marker": {"color": colours, "line": {"width": 0}},
        "hovertemplate": "%{x:.2f} nats: %{y:,} images<extra></extra>",
    }  # fmt: skip
    lines = [(threshold, {"color": VERMILION, "width": 2.5})]
    where = {"xanchor": "left", "xshift": 6} if threshold < 0.6 * most else {"xanchor": "right", "xshift": -6}
    share = float((entropy <= threshold).mean())
    notes = [
        {"x": threshold, "y": 1, "yanchor": "top", "text": f"<b>{share:.0%}</b> of the images count"} | where
    ]
    if abs(of_run - threshold) > 1e-6:
        lines.append((of_run, {"color": GREY, "width": 2, "dash": "dot"}))
        notes.append(
            {"x": of_run, "y": 0, "xanchor": "left", "yanchor": "bottom", "text": f"the run: {of_run:g}"}
        )
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
    return go.Figure(
        {
            "data": [bars],
            "layout": layout(230, "Histogram: how many images have which entropy, and the threshold", **own),
        }
    )


def before_and_after(
    classes: Sequence[str],
    before: np.ndarray,
    after: np.ndarray,
    truth: np.ndarray | None,
    names: tuple[str, str],
    title: str,
) -> go.Figure:
    """Two values of each class joined by a line and, where it is known, the true one; ordered by the true or else the second value."""
    order = np.argsort(-(after if truth is None else truth), kind="stable")
    rows = [classes[i] for i in order]
    keys, shapes = joined(before[order], after[order], None if truth is None else truth[order])
    known = "" if truth is None else "<br>true rate %{customdata:.3f}"
    traces = [
        {
            "type": "scatter", "mode": "markers", "x": values[order], "y": rows, "name": name, "marker": {"color": colour, "size": 10},
            "customdata": None if truth is None else truth[order], "hovertemplate": f"%{{y}}: {name} %{{x:.3f}}{known}<extra></extra>",
        }
        for name, values, colour in ((names[0], before, SKY), (names[1], after, BLUE))
    ]  # fmt: skip
    axis = {"title": {"text": title}, "rangemode": "tozero"}
    return rows_figure(
        traces + keys,
        rows,
        "Pairs of points: a value of each class before and after",
        xaxes=[axis],
        shapes=shapes,
    )
