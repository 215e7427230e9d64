"""Figures with one row a class, down the page, and the paths that they are drawn with.

A path of any length costs the browser as much as one bar. So thousands of ticks are one path, and only what
can be pointed at is a mark of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.figures.theme import GREY, MARGIN, VERMILION, class_axis, escaped, layout

ROW = 24  # pixels
LONGEST_NAME = 30  # letters; a longer name is cut beside its row, and whole under the pointer
LETTER = 7  # pixels


def rows_figure(
    traces: Sequence[dict[str, Any]],
    rows: Sequence[str],
    shows: str,
    each: int = ROW,
    xaxes: Sequence[dict[str, Any]] = ({},),
    marked: Sequence[str] = (),
    **own: Any,
) -> go.Figure:
    """A figure with a row for each of the classes `rows`, the first on top.

    The value axes stand above the rows, where they are seen before scrolling.

    shows: as in `theme.layout`. each: pixels a row. xaxes: properties of the value axis of each panel; panels
    stand side by side and share the rows. marked: classes with a bold name and a dot. own: other properties
    of the layout.
    """
    names = [name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…" for name in rows]
    is_marked = [row in marked for row in rows]
    texts = [
        f"<b>{escaped(name)}</b> ●" if mark else escaped(name)
        for name, mark in zip(names, is_marked, strict=True)
    ]
    longest = max((len(name) + 2 * mark for name, mark in zip(names, is_marked, strict=True)), default=0)
    axes = {
        "xaxis" if number == 1 else f"xaxis{number}": _value_axis(axis)
        for number, axis in enumerate(xaxes, 1)
    }
    around = {
        "margin": MARGIN | {"l": 16 + LETTER * longest, "t": 102, "b": 10},
        "legend": {"orientation": "h", "y": 1, "yanchor": "top", "yref": "container", "x": 0},
        "yaxis": class_axis(rows) | {"range": [len(rows) - 0.5, -0.5], "ticktext": texts},
    }
    height = 112 + each * len(rows)
    return go.Figure({"data": list(traces), "layout": layout(height, shows, **around, **axes, **own)})


def _value_axis(axis: dict[str, Any]) -> dict[str, Any]:
    common = {"side": "top", "ticks": "outside", "title_standoff": 4, "tickangle": 0, "nticks": 4}
    return common | axis


def two_points(
    before: np.ndarray, after: np.ndarray, truth: np.ndarray | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What stands beside two points a row: a line between them and, if known, a tick at the true value.

    Returns legend keys and shapes.
    """
    level = spans(before.tolist(), after.tolist(), range(len(before)))
    shapes = [path_shape("x", level, line={"color": GREY, "width": 2}, layer="below")]
    if truth is None:
        return [], shapes
    upright = ticks(truth, np.arange(len(truth)) - 0.3, 0.6)
    shapes.append(path_shape("x", upright, line={"color": VERMILION, "width": 3}))
    return [legend_key("true rate", "line-ns-open", VERMILION, 15)], shapes


def legend_key(name: str, symbol: str, colour: str, size: int, xaxis: str = "x") -> dict[str, Any]:
    """A legend entry for what is drawn as a path."""
    return {
        "type": "scatter",
        "mode": "markers",
        "xaxis": xaxis,
        "x": [None],
        "y": [None],
        "name": name,
        "hoverinfo": "skip",
        "marker": {"color": colour, "size": size, "symbol": symbol, "line": {"color": colour, "width": 2}},
    }


# -- paths: x in the unit of the value axis, y in rows ----------------------------------------------------


def path_shape(xref: str, path: str, **style: Any) -> dict[str, Any]:
    """A path as a shape of the panel with the axis `xref`."""
    return {"type": "path", "xref": xref, "path": path} | style


def ticks(x: np.ndarray, y: np.ndarray, height: float) -> str:
    """Upright ticks from (x, y) down."""
    return "".join(
        f"M{at:.3f},{row:.2f}V{row + height:.2f}" for at, row in zip(x.tolist(), y.tolist(), strict=True)
    )


def spans(x0: Sequence[float], x1: Sequence[float], y: Iterable[int]) -> str:
    """Level lines from x0 to x1 in the rows y."""
    return "".join(f"M{left:.5g},{row}H{right:.5g}" for left, right, row in zip(x0, x1, y, strict=True))


def boxes(x0: Sequence[float], x1: Sequence[float], y: Iterable[int], height: float) -> str:
    """Rectangles from x0 to x1, in the middle of the rows y."""
    half = height / 2
    return "".join(
        f"M{left:.4f},{row - half:.2f}H{right:.4f}V{row + half:.2f}H{left:.4f}Z"
        for left, right, row in zip(x0, x1, y, strict=True)
    )


def diamonds(x: np.ndarray, y: np.ndarray) -> str:
    """Diamonds around (x, y)."""
    return "".join(
        f"M{at - 0.009:.4f},{row}L{at:.4f},{row - 0.26:.2f}L{at + 0.009:.4f},{row}L{at:.4f},{row + 0.26:.2f}Z"
        for at, row in zip(x, y, strict=True)
    )
