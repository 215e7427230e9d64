"""Figures of the page CLIP bias: from arrays to plotly figures (Figs. 2d, 9, 10). Classes run down the page, however many there are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from app.figures import BLUE, GREEN, GREY, ORANGE, SKY, VERMILION, _layout
from ccd_core.bias import Bias

ROW = 24  # pixels a class
COUNT_COLOURS = {"ground truth": GREY, "CLIP top-1": SKY, "pseudo-label > 0.5": GREEN}


def rows_layout(figure: go.Figure, rows: int, revision: str, each: int = ROW, xaxes: Sequence[dict] = ({},), **layout) -> go.Figure:
    """One row a class, the first on top, with the value axes above them, where they are seen before scrolling.

    xaxes: what each of the panels side by side has of its own; panels share the rows. One update, as each costs more than it does.
    """
    axes = {
        f"xaxis{number if number > 1 else ''}": {"side": "top", "ticks": "outside", "title_standoff": 4} | own for number, own in enumerate(xaxes, 1)
    }
    return figure.update_layout(
        height=94 + each * rows,
        margin={"l": 10, "r": 10, "t": 84, "b": 10},
        legend={"orientation": "h", "y": 1, "yanchor": "top", "yref": "container", "x": 0},
        uirevision=revision,
        bargap=0.25,
        yaxis={"range": [rows - 0.5, -0.5], "automargin": True, "dtick": 1},
        **axes,
        **layout,
    )


def ticks(x: np.ndarray, y: np.ndarray, height: float) -> str:
    """The SVG path of upright ticks from (x, y) on: thousands of them for the browser's price of one."""
    return "".join(f"M{at:.3f},{row:.2f}V{row + height:.2f}" for at, row in zip(x.tolist(), y.tolist(), strict=True))


def sampled(rows: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the rows, evenly from first to last."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]


def bias_by_class(classes: Sequence[str], bias: Bias, by_class: Sequence[np.ndarray], top_p: np.ndarray, chosen: int | None = None) -> go.Figure:
    """Bias, distribution of top-1 probabilities and number of images of each class, most favoured class first (Figs. 2d, 9).

    by_class: for each class the rows of the images where it is top-1, by rising probability; top_p [N]: that probability. Bars are hatched and diamonds hollow where no low-entropy image
    measured the class.
    """
    order = np.argsort(-bias.value, kind="stable")
    names, members = [classes[i] for i in order], [by_class[i] for i in order]
    value, measured, estimated = bias.value[order], bias.count[order], bias.estimated[order].tolist()
    said = [
        f"{count:,} low-entropy images" if known else "fallback: no low-entropy image has it first"
        for count, known in zip(measured, estimated, strict=True)
    ]
    some = [(name, top_p[rows]) for name, rows in zip(names, members, strict=True) if len(rows)]
    low, first, middle, third, high = ([values[round(q * (len(values) - 1))] for _, values in some] for q in (0.05, 0.25, 0.5, 0.75, 0.95))
    total = np.array([len(rows) for rows in members])
    bar, hover = {"type": "bar", "orientation": "h", "y": names}, "%{y}: bias %{x:.3f}<br>%{customdata}<extra></extra>"
    traces: list[dict] = [
        bar | {
            "x": value, "name": "CLIP bias", "showlegend": False, "customdata": said, "hovertemplate": hover,
            "marker": {"color": [ORANGE if i == chosen else BLUE for i in order], "pattern": {"shape": ["" if known else "/" for known in estimated]}},
            "text": [f"{one:.2f}" for one in value], "textposition": "inside", "insidetextanchor": "start", "textfont": {"color": "white", "size": 12},
            "constraintext": "none",
        },
        {
            "type": "box", "orientation": "h", "xaxis": "x2", "y": [name for name, _ in some], "name": "5 to 95 %, quartiles", "q1": first, "median": middle,
            "q3": third, "lowerfence": low, "upperfence": high, "fillcolor": "rgba(140,140,140,.16)", "line": {"color": GREY, "width": 1.2}, "width": 0.55,
            "hoverinfo": "skip",
        },
    ]  # fmt: skip
    most, shapes = max(10, 1600 // len(classes)), []
    for kind, colour, keep, above in (("other images", GREY, ~bias.used, 0.02), ("low-entropy images", BLUE, bias.used, -0.26)):
        picked = [sampled(rows[keep[rows]], most) for rows in members]
        at, row = top_p[np.concatenate(picked)], np.repeat(np.arange(len(names)), [len(rows) for rows in picked]) + above
        shapes.append({"type": "path", "xref": "x2", "path": ticks(at, row, 0.24), "line": {"color": colour, "width": 1.2}, "opacity": 0.6})
        marker = {"color": colour, "size": 9, "symbol": "line-ns-open", "line": {"width": 2}}
        traces.append(
            {"type": "scatter", "mode": "markers", "xaxis": "x2", "x": [None], "y": names[:1], "name": kind, "marker": marker}
        )  # for the legend
    symbols = ["diamond" if known else "diamond-open" for known in estimated]
    traces.append(
        {
            "type": "scatter", "mode": "markers", "xaxis": "x2", "x": value, "y": names, "name": "CLIP bias: mean of the low-entropy ones", "customdata": said,
            "marker": {"color": VERMILION, "size": 11, "symbol": symbols, "line": {"width": 1.5}}, "hovertemplate": hover,
        }
    )  # fmt: skip
    labelled = [f"{used:,} of {every:,}" for used, every in zip(measured, total, strict=True)]
    for kind, values, colour, texts in (("top-1 of", total, "rgba(86,180,233,.45)", labelled), ("measured on", measured, BLUE, None)):
        traces.append(
            bar | {
                "x": values, "xaxis": "x3", "name": kind, "showlegend": False, "marker": {"color": colour}, "text": texts, "textposition": "outside",
                "textfont": {"size": 11}, "cliponaxis": False, "constraintext": "none", "hovertemplate": f"%{{y}}: {kind} %{{x:,}} images<extra></extra>",
            }
        )  # fmt: skip
    panels = (
        {"domain": [0, 0.28], "title": {"text": "CLIP bias"}, "range": [0, 1.02], "tickvals": [0, 0.25, 0.5, 0.75, 1]},
        {"domain": [0.31, 0.73], "title": {"text": "top-1 probability"}, "range": [0, 1.02]},
        {"domain": [0.76, 1], "title": {"text": "images measured, of top-1 ones"}, "range": [0, 1.6 * max(total.max(), 1)]},
    )
    return rows_layout(go.Figure({"data": traces}), len(names), "bias", xaxes=panels, barmode="overlay", shapes=shapes)


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
    return rows_layout(
        go.Figure({"data": bars}), len(order), "counts", each=10 + 8 * len(bars), xaxes=[{"title": {"text": "images"}}], barmode="group"
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
    notes = [{"x": threshold, "y": 1, "yanchor": "top", "text": f"<b>{share:.0%}</b> of the images count"} | where]
    if abs(of_run - threshold) > 1e-6:
        lines.append((of_run, {"color": GREY, "width": 2, "dash": "dot"}))
        notes.append({"x": of_run, "y": 0, "xanchor": "left", "yanchor": "bottom", "text": f"the run: {of_run:g}"})
    layout = {
        "shapes": [{"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper", "line": line} for x, line in lines],
        "annotations": [{"yref": "paper", "showarrow": False} | note for note in notes],
        "xaxis": {"title": {"text": "entropy of CLIP's probabilities (nats)"}, "range": [0, most]},
        "yaxis": {"title": {"text": "images"}},
    }
    return _layout(go.Figure({"data": [bars]}), 230, "entropy", **layout).update_layout(bargap=0, showlegend=False)


def before_and_after(
    classes: Sequence[str], before: np.ndarray, after: np.ndarray, truth: np.ndarray | None, names: tuple[str, str], title: str
) -> go.Figure:
    """Two values of each class joined by a line and, where it is known, the true one; ordered by the true or else the second value."""
    order = np.argsort(-(after if truth is None else truth), kind="stable")
    rows = [classes[i] for i in order]
    joined = "".join(f"M{x0:.5g},{row}H{x1:.5g}" for row, (x0, x1) in enumerate(zip(before[order].tolist(), after[order].tolist(), strict=True)))
    traces = [
        {
            "type": "scatter", "mode": "markers", "x": values[order], "y": rows, "name": name, "hovertemplate": f"%{{y}}: {name} %{{x:.3f}}<extra></extra>",
            "marker": {"color": colour, "size": size, "symbol": symbol, "line": {"width": line}},
        }
        for name, values, colour, size, symbol, line in (
            (names[0], before, SKY, 10, "circle", 0),
            (names[1], after, BLUE, 10, "circle", 0),
            ("true rate", truth, VERMILION, 15, "line-ns-open", 3),
        )
        if values is not None
    ]  # fmt: skip
    shapes = [{"type": "path", "path": joined, "line": {"color": GREY, "width": 2}, "layer": "below"}]
    axis = {"title": {"text": title}, "rangemode": "tozero"}
    return rows_layout(go.Figure({"data": traces}), len(rows), "dumbbell", xaxes=[axis], shapes=shapes)
