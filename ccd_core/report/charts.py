"""Charts as SVG, in colours of the page's style sheet, so that they follow light, dark and print.

A chart is at most `WIDTH` units wide and is scaled to the page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ccd_core.report.markup import text

WIDTH = 640
HEIGHT = 260  # of a line chart, and its margins
LEFT = 48
RIGHT = 12
TOP = 12
BOTTOM = 40
MOST_NUMBERS = 12  # below a line chart
ROW = 20  # height of a row of bars
LONGEST = 26  # letters of a name beside a bar; the whole name is under the pointer
LETTER = 7.4  # width, rather too much than too little: the reader's fonts are not known
SERIES = ("blue", "orange", "green", "vermilion", "purple", "sky")  # classes of the style sheet


@dataclass(frozen=True)
class Line:
    """One curve, in a colour of the style sheet. kept: x of the point with a ring."""

    name: str
    colour: str
    points: Sequence[tuple[float, float]]
    kept: float | None = None


def colour_of(place: int) -> str:
    return SERIES[place % len(SERIES)]


@dataclass(frozen=True)
class _Axes:
    """The frame of a line chart: `ticks` of the upright axis, and the first and the last x."""

    first: float
    last: float
    ticks: Sequence[float]

    def x(self, value: float) -> float:
        return LEFT + (value - self.first) / (self.last - self.first) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def lines(curves: Sequence[Line], x_title: str, y_title: str, shows: str) -> str:
    """Curves over whole numbers x, with a legend. shows: what somebody hears who does not see it."""
    xs = [x for curve in curves for x, _ in curve.points]
    ys = [y for curve in curves for _, y in curve.points]
    axes = _Axes(min(xs), max(max(xs), min(xs) + 1), _ticks(min(ys), max(ys)))
    parts = _frame(axes, x_title, y_title)
    for curve in curves:
        parts += _curve(curve, axes, x_title)
    return _legend([(curve.name, curve.colour) for curve in curves]) + _svg(HEIGHT, shows, parts)


def _frame(axes: _Axes, x_title: str, y_title: str) -> list[str]:
    parts = []
    for tick in axes.ticks:
        y = axes.y(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    step = max(1, math.ceil((axes.last - axes.first) / MOST_NUMBERS))
    for x in range(int(axes.first), int(axes.last) + 1, step):
        parts.append(f'<text x="{axes.x(x):.1f}" y="{HEIGHT - 22}" text-anchor="middle">{x}</text>')
    upright = f"translate(12 {HEIGHT / 2}) rotate(-90)"
    parts.append(f'<text transform="{upright}" text-anchor="middle">{text(y_title)}</text>')
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 4}" text-anchor="middle">{text(x_title)}</text>')
    return parts


def _curve(curve: Line, axes: _Axes, x_title: str) -> list[str]:
    path = " ".join(f"{axes.x(x):.1f},{axes.y(y):.1f}" for x, y in curve.points)
    parts = [f'<polyline class="line {curve.colour}" points="{path}"/>']
    for x, y in curve.points:
        place = f'cx="{axes.x(x):.1f}" cy="{axes.y(y):.1f}"'
        said = f"<title>{text(curve.name)}, {text(x_title)} {x:g}: {y:.1f}</title>"
        parts.append(f'<circle class="{curve.colour}" {place} r="3">{said}</circle>')
        if x == curve.kept:
            parts.append(f'<circle class="ring" {place} r="7"/>')
    return parts


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers from at or below `low` to at or above `high`."""
    span = max(high - low, 1e-9)
    size = 10 ** math.floor(math.log10(span / 4))
    step = min((size * factor for factor in (1, 2, 5, 10)), key=lambda one: abs(span / one - 4))
    first = math.floor(low / step)
    last = max(math.ceil(high / step), first + 1)
    return [round(number * step, 10) for number in range(first, last + 1)]


def bars(
    rows: Sequence[tuple[str, float | None, str]],
    most: float,
    shows: str,
    mark: tuple[float, str] | None = None,
) -> str:
    """One bar a row. rows: name, value or None, and the words beside the bar. most: where the axis ends.

    mark: a value that gets an upright line, and its words.
    """
    left = _room([name for name, _, _ in rows])
    top = 18 if mark else 4
    room = WIDTH - left - round(12 + LETTER * max((len(words) for *_, words in rows), default=0))
    parts = []
    for place, (name, value, words) in enumerate(rows):
        y = top + place * ROW
        length = 0.0 if value is None else max(0.0, min(1.0, value / most)) * room
        parts.append(_name(name, left, y))
        parts.append(
            f'<rect class="blue" x="{left}" y="{y + 3}" width="{length:.1f}" height="{ROW - 6}">'
            f"<title>{text(name)}: {text(words)}</title></rect>"
        )
        parts.append(f'<text x="{left + length + 5:.1f}" y="{y + 14}">{text(words)}</text>')
    height = top + ROW * len(rows) + 4
    if mark:
        x = left + mark[0] / most * room
        parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{height}"/>')
        parts.append(f'<text x="{x:.1f}" y="12" text-anchor="middle">{text(mark[1])}</text>')
    return _svg(height, shows, parts)


def points(names: Sequence[str], columns: Sequence[tuple[str, Sequence[float | None]]], shows: str) -> str:
    """One row a name with a point for each column, joined by a line; values are percent."""
    left = _room(names)
    room = WIDTH - left - 24
    parts = []
    for place, name in enumerate(names):
        middle = 4 + place * ROW + ROW / 2
        parts.append(_name(name, left, middle - ROW / 2))
        parts.append(f'<line class="grid" x1="{left}" x2="{left + room}" y1="{middle}" y2="{middle}"/>')
        known = [value for _, values in columns if (value := values[place]) is not None]
        if len(known) > 1:
            first, last = (left + limit(known) / 100 * room for limit in (min, max))
            parts.append(f'<line class="span" x1="{first:.1f}" x2="{last:.1f}" y1="{middle}" y2="{middle}"/>')
        for number, (title, values) in enumerate(columns):
            value = values[place]
            if value is not None:
                said = f"<title>{text(name)}, {text(title)}: {value:.1f} %</title>"
                parts.append(
                    f'<circle class="{colour_of(number)}" cx="{left + value / 100 * room:.1f}" '
                    f'cy="{middle}" r="5">{said}</circle>'
                )
    height = 4 + ROW * len(names) + 20
    for tick in range(0, 101, 20):
        x = left + tick / 100 * room
        parts.append(f'<text x="{x:.1f}" y="{height - 4}" text-anchor="middle">{tick}</text>')
    return _legend([(title, colour_of(number)) for number, (title, _) in enumerate(columns)]) + _svg(
        height, shows, parts
    )


def _room(names: Sequence[str]) -> int:
    """Width of the column of names."""
    longest = max((min(len(name), LONGEST) for name in names), default=0)
    return round(14 + LETTER * longest)


def _name(name: str, left: int, y: float) -> str:
    short = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
    return (
        f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{text(short)}<title>{text(name)}</title></text>'
    )


def _legend(entries: Sequence[tuple[str, str]]) -> str:
    keys = "".join(f'<span><i class="{colour}"></i>{text(name)}</span>' for name, colour in entries)
    return f'<p class="legend">{keys}</p>'


def _svg(height: float, shows: str, parts: Sequence[str]) -> str:
    drawn = "".join(parts)
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{text(shows)}">{drawn}</svg>'
