"""Figures of the page Compare: methods by what they are told, classes by method, and sweeps of a setting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from app.figures.rows import path_shape
from app.figures.theme import (
    BLUE,
    GREEN,
    GREY,
    MARGIN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    class_axis,
    escaped,
    translucent,
    with_layout,
)
from ccd_core.baselines.tables import GROUPS, USES_LABELS, Group, MeanAndDeviation

# Group -> colour and mark. A square is a method that uses labels.
LOOKS: dict[Group, tuple[str, str]] = {
    "full": (VERMILION, "square"),
    "partial": (ORANGE, "square"),
    "single": (PURPLE, "square"),
    "label_free": (BLUE, "circle"),
    "training_free": (GREY, "triangle-up"),
}
PUBLISHED = "the paper"
HEADING = "\u200b"  # begins the row of a group's heading; it has no width
MOST_NUMBERS = 900  # cells of a heat map; with more, none has its number in it
NUMBERS = 92  # pixels right of the rows, for their numbers
TITLE_LETTERS = 24  # of a method's title above its column
ROW_LETTERS = 32  # of a title before its row


class MethodPoint(NamedTuple):
    """A method in the figure: its scores in percent, None before a run of it has finished."""

    title: str
    group: Group
    score: MeanAndDeviation | None
    seeds: tuple[float, ...]
    published: float | None


class SweptPoint(NamedTuple):
    """A value of a swept setting, or a row of the ablation."""

    label: str
    value: float | None
    score: MeanAndDeviation | None
    seeds: tuple[float, ...]
    published: float | None
    is_control: bool
    is_base: bool


# -- Table 1 -----------------------------------------------------------------------------------------------


def method_points(methods: Sequence[MethodPoint], measure: str) -> go.Figure:
    """A row for each method: the mean over its seeds, the deviation as a bar, each seed as a faint dot.

    The rows stand in groups by what the methods are told of the training images, in the order of `GROUPS`,
    each below its heading. measure: what the axis shows.
    """
    rows: list[str] = []
    headings: list[tuple[str, str]] = []  # (row, text)
    traces = [_seed_dots([(seed, m.title) for m in methods if len(m.seeds) > 1 for seed in m.seeds])]
    for group, (colour, mark) in LOOKS.items():
        of_group = [method for method in methods if method.group == group]
        if of_group:
            name = GROUPS[group] + (" (uses labels)" if group in USES_LABELS else "")
            headings.append((f"{HEADING}{group}", name))
            rows += [f"{HEADING}{group}", *(method.title for method in of_group)]
            traces.append(_means(of_group, name, colour, mark))
    traces.append(_paper([(m.published, m.title) for m in methods if m.published is not None]))
    shows = (
        "Rows, one a method, in groups by its labels: mean score, deviation over seeds, the paper's number"
    )
    figure = _rows(traces, rows, shows, measure, _reach(methods))
    for row, text in headings:
        figure.add_annotation(
            x=0,
            xref="paper",
            xanchor="left",
            y=row,
            text=f"<b>{text}</b>",
            showarrow=False,
            font={"size": 13},
        )
    _numbers(figure, [(method.title, method.score) for method in methods])
    return figure


def _numbers(figure: go.Figure, scores: Sequence[tuple[str, MeanAndDeviation | None]]) -> None:
    """Mean and deviation of each row, right of it, so that they are read without pointing at the row."""
    for row, score in scores:
        text = "–"
        if score:
            text = f"{score.mean:.1f}" + (f" ± {score.deviation:.1f}" if score.deviation is not None else "")
        figure.add_annotation(x=1, xref="paper", xanchor="left", xshift=8, y=row, text=text, showarrow=False)


def _rows(
    traces: Sequence[dict[str, Any]],
    rows: Sequence[str],
    shows: str,
    measure: str,
    reach: dict[str, Any],
    marked: Sequence[str] = (),
) -> go.Figure:
    """Rows from the top down, with the axis of the scores below them.

    marked: rows with a bold name and a dot.
    """
    figure = go.Figure([trace for trace in traces if trace["x"]])
    names = {row: "" if row.startswith(HEADING) else escaped(_cut(row, ROW_LETTERS)) for row in rows}
    names |= {row: f"<b>{names[row]}</b> ●" for row in marked}
    left = 20 + 6 * max((min(len(row), ROW_LETTERS) + 2 * (row in marked) for row in rows), default=4)
    axis = class_axis(rows) | {"ticktext": list(names.values()), "range": [len(rows) - 0.5, -0.5]}
    # Lines of their own, because a heading must not be crossed out by its row's.
    lines = "".join(f"M0,{number}H1" for number, row in enumerate(rows) if not row.startswith(HEADING))
    line = {"color": translucent(GREY, 0.4), "width": 1}
    return with_layout(
        figure,
        76 + 26 * len(rows),
        shows,
        showlegend=False,
        margin=MARGIN | {"l": left, "r": NUMBERS, "t": 12, "b": 52},
        xaxis={"title": {"text": f"{measure}, validation (%)"}, "nticks": 8} | reach,
        yaxis=axis | {"showgrid": False},
        shapes=[path_shape("paper", lines, line=line, layer="below")],
    )


def _paper(points: Sequence[tuple[float | None, str]], mode: str = "markers") -> dict[str, Any]:
    """Diamonds at published numbers. points: (score, row)."""
    return {
        "type": "scatter",
        "mode": mode,
        "name": PUBLISHED,
        "x": [score for score, _ in points],
        "y": [row for _, row in points],
        "line": {"color": GREEN, "dash": "dot", "width": 1.5},
        "marker": {"symbol": "diamond-open", "size": 11, "color": GREEN, "line": {"width": 2}},
        "hovertemplate": "%{y}: %{x:.1f} % in the paper<extra></extra>",
    }


def _means(methods: Sequence[MethodPoint], name: str, colour: str, mark: str) -> dict[str, Any]:
    """Points at the means of one group, with bars of one deviation to each side."""
    scores = [method.score for method in methods]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [score.mean if score else None for score in scores],
        "y": [method.title for method in methods],
        "error_x": {
            "type": "data",
            "array": _deviations(scores),
            "color": colour,
            "thickness": 2,
            "width": 5,
        },
        "marker": {"color": colour, "size": 11, "symbol": mark},
        "text": [_with_deviation(score) for score in scores],
        "hovertemplate": "%{y}: %{text}<extra>%{fullData.name}</extra>",
    }


def _seed_dots(points: Sequence[tuple[Any, Any]]) -> dict[str, Any]:
    """Faint dots at (x, y)."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "each seed",
        "x": [x for x, _ in points],
        "y": [y for _, y in points],
        "marker": {"color": translucent(GREY, 0.55), "size": 6},
        "hoverinfo": "skip",
    }


def _deviations(scores: Sequence[MeanAndDeviation | None]) -> list[float]:
    return [score.deviation or 0.0 if score else 0.0 for score in scores]


def _with_deviation(score: MeanAndDeviation | None) -> str:
    if score is None:
        return "no run has finished"
    if score.deviation is None:
        return f"{score.mean:.1f} %, one run"
    return f"{score.mean:.1f} ± {score.deviation:.1f} %, {score.runs} runs"


def _reach(points: Sequence[MethodPoint | SweptPoint]) -> dict[str, Any]:
    """The range of an axis that shows all points and bars, with some room."""
    ends: list[float] = []
    for point in points:
        ends += [*point.seeds, *([] if point.published is None else [point.published])]
        if point.score:
            spread = point.score.deviation or 0.0
            ends += [point.score.mean - spread, point.score.mean + spread]
    if not ends:
        return {"range": [0, 100]}
    room = 0.06 * max(max(ends) - min(ends), 2.0)
    return {"range": [min(ends) - room, max(ends) + room]}


# -- classes -----------------------------------------------------------------------------------------------


def class_heat(
    values: np.ndarray, classes: Sequence[str], titles: Sequence[str], against: str | None = None
) -> go.Figure:
    """AP of every class under every method, a row a class and a column a method.

    values: [C, K] percent, NaN where a class has no positive. against: the title of the method that was
    subtracted; the cells are then differences, vermilion below zero and green above.
    """
    if against is None:
        colours = [[0, translucent(BLUE, 0.0)], [1, translucent(BLUE, 0.65)]]
        scale: dict[str, Any] = {"zmin": 0, "zmax": 100, "colorscale": colours}
        hover = "%{y}, %{x}: AP %{z:.1f} %<extra></extra>"
        digits = ".0f"
    else:
        most = float(np.nanmax(np.abs(values), initial=1.0))
        colours = [
            [0, translucent(VERMILION, 0.8)],
            [0.5, translucent(GREY, 0.0)],
            [1, translucent(GREEN, 0.8)],
        ]
        scale = {"zmin": -most, "zmax": most, "colorscale": colours}
        hover = f"%{{y}}, %{{x}}: %{{z:+.1f}} points against {escaped(against)}<extra></extra>"
        digits = "+.0f"
    shows = "Heat map: AP of each class, one a row, under each method, one a column"
    return _heat(values, classes, titles, shows, scale, hover, digits)


def label_heat(
    values: np.ndarray, classes: Sequence[str], titles: Sequence[str], there: Sequence[str]
) -> go.Figure:
    """What every method says of one image, a row a class and a column a method.

    values: [C, K] in [0, 1], NaN for what is unknown. there: the classes that are truly in the image.
    """
    colours = [[0, translucent(SKY, 0.0)], [1, translucent(BLUE, 0.75)]]
    scale = {"zmin": 0, "zmax": 1, "colorscale": colours}
    shows = "Heat map: what each method, one a column, says of each class of the image, one a row"
    hover = "%{y}, %{x}: %{z:.3f}<extra></extra>"
    return _heat(values, classes, titles, shows, scale, hover, ".2f", there)


def _heat(
    values: np.ndarray,
    classes: Sequence[str],
    titles: Sequence[str],
    shows: str,
    scale: dict[str, Any],
    hover: str,
    digits: str,
    marked: Sequence[str] = (),
) -> go.Figure:
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=list(titles),
            y=list(classes),
            hoverongaps=False,
            xgap=1,
            ygap=1,
            showscale=False,
            hovertemplate=hover,
            **scale,
        )
    )
    down, across = np.nonzero(np.isfinite(values))
    if len(down) <= MOST_NUMBERS:
        # Numbers are marks of their own, because a cell's own text is dark on dark in the dark theme.
        figure.add_scatter(
            x=[titles[column] for column in across.tolist()],
            y=[classes[row] for row in down.tolist()],
            text=[format(value, digits) for value in values[down, across].tolist()],
            mode="text",
            textfont={"size": 11},
            hoverinfo="skip",
            showlegend=False,
        )
    rows = class_axis(classes)
    rows["ticktext"] = [f"<b>{escaped(name)}</b> ●" if name in marked else escaped(name) for name in classes]
    columns = class_axis(titles)
    columns["ticktext"] = [escaped(_cut(title)) for title in titles]
    left = 24 + 7 * min(30, max((len(name) for name in classes), default=4) + 2)
    right = 14 + 3.6 * len(_cut(titles[-1])) if titles else 12  # the last title leans to the right
    top = 24 + 6 * min(TITLE_LETTERS, max((len(title) for title in titles), default=4))
    return with_layout(
        figure,
        top + 20 + 24 * len(classes),
        shows,
        margin=MARGIN | {"l": left, "r": right, "t": top, "b": 12},
        xaxis=columns | {"side": "top", "tickangle": -60, "showgrid": False},
        yaxis=rows | {"autorange": "reversed", "showgrid": False},
    )


def _cut(title: str, most: int = TITLE_LETTERS) -> str:
    return title if len(title) <= most else title[: most - 1] + "…"


# -- sweeps ------------------------------------------------------------------------------------------------


def sweep_curve(points: Sequence[SweptPoint], setting: str, measure: str) -> go.Figure:
    """The score over the values of a setting, with deviations; controls as level lines.

    points: those with a value are on the curve; the others stand as level lines, such as random boxes. The
    paper's points are dotted.
    """
    on_curve = sorted((point for point in points if _is_on_axis(point)), key=lambda point: point.value or 0)
    figure = go.Figure()
    dots = [(point.value, seed) for point in on_curve if len(point.seeds) > 1 for seed in point.seeds]
    if dots:
        figure.add_trace(_seed_dots(dots))
    scores = [point.score for point in on_curve]
    figure.add_scatter(
        x=[point.value for point in on_curve],
        y=[score.mean if score else None for score in scores],
        error_y={"type": "data", "array": _deviations(scores), "color": BLUE, "thickness": 2, "width": 5},
        name="measured",
        mode="lines+markers",
        line={"color": BLUE, "width": 2.5},
        marker={
            "size": [16 if point.is_base else 9 for point in on_curve],
            "symbol": ["star" if point.is_base else "circle" for point in on_curve],
        },
        text=[f"{escaped(point.label)}: {_with_deviation(point.score)}" for point in on_curve],
        hovertemplate="%{text}<extra></extra>",
    )
    paper = [point for point in on_curve if point.published is not None]
    if paper:
        figure.add_scatter(
            x=[point.value for point in paper],
            y=[point.published for point in paper],
            name=PUBLISHED,
            mode="lines+markers",
            line={"color": GREEN, "dash": "dot", "width": 2},
            marker={"symbol": "diamond-open", "size": 12, "line": {"width": 2}},
            hovertemplate="%{x}: %{y:.1f} % in the paper<extra></extra>",
        )
    _level_lines(figure, [point for point in points if not _is_on_axis(point)], on_curve)
    return with_layout(
        figure,
        420,
        "Curve: score over the values of the setting with its deviation over seeds, and the paper's points",
        margin=MARGIN | {"t": 44, "b": 56},
        xaxis={"title": {"text": escaped(setting)}},
        yaxis={"title": {"text": f"{measure}, validation (%)"}} | _reach(points),
    )


def _is_on_axis(point: SweptPoint) -> bool:
    return point.value is not None and math.isfinite(point.value)


def _level_lines(figure: go.Figure, points: Sequence[SweptPoint], on_curve: Sequence[SweptPoint]) -> None:
    """Points without a value, each as a dashed line across the curve."""
    ends = [point.value for point in on_curve if point.value is not None] or [0.0, 1.0]
    for point, colour in zip(points, (VERMILION, ORANGE, PURPLE, GREY) * len(points), strict=False):
        if point.score is not None:
            figure.add_scatter(
                x=[min(ends), max(ends)],
                y=[point.score.mean] * 2,
                name=escaped(point.label),
                mode="lines",
                line={"color": colour, "dash": "dash", "width": 2},
                text=[f"{escaped(point.label)}: {_with_deviation(point.score)}"] * 2,
                hovertemplate="%{text}<extra></extra>",
            )


def sweep_rows(points: Sequence[SweptPoint], measure: str) -> go.Figure:
    """Rows of the ablation, or values that are no numbers; controls are grey."""
    traces = [_seed_dots([(seed, p.label) for p in points if len(p.seeds) > 1 for seed in p.seeds])]
    for name, colour, is_control in (("measured", BLUE, False), ("control", GREY, True)):
        chosen = [point for point in points if point.is_control == is_control]
        as_methods = [MethodPoint(p.label, "label_free", p.score, p.seeds, None) for p in chosen]
        traces.append(_means(as_methods, name, colour, "square" if is_control else "circle"))
    paper = [(point.published, point.label) for point in points if point.published is not None]
    traces.append(_paper(paper, "lines+markers"))
    shows = "Rows: mean score with its deviation over seeds, and the paper's number"
    base = [point.label for point in points if point.is_base]
    figure = _rows(traces, [point.label for point in points], shows, measure, _reach(points), base)
    _numbers(figure, [(point.label, point.score) for point in points])
    return figure
