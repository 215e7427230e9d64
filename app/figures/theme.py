"""What all figures share: the palette, layouts and axes of classes."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from ccd_core.predict.overlay import VERMILION

# Okabe and Ito's palette. Its colours are told apart with any kind of colour vision, on light and on dark.
BLUE = "#0072B2"
ORANGE = "#E69F00"
GREEN = "#009E73"
SKY = "#56B4E9"
PURPLE = "#CC79A7"
YELLOW = "#F0E442"
GREY = "#8C8C8C"  # not of the palette; for what stands back
PALETTE = {
    "blue": BLUE,
    "orange": ORANGE,
    "green": GREEN,
    "vermilion": VERMILION,
    "sky": SKY,
    "purple": PURPLE,
    "yellow": YELLOW,
    "grey": GREY,
}
SERIES = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, GREY)  # of curves and bars, from the first on
# Of boxes on one image; neighbours differ.
BOX_COLOURS = (
    ORANGE,
    SKY,
    GREEN,
    PURPLE,
    VERMILION,
    BLUE,
    YELLOW,
)
# Kind of label -> colour.
KINDS = {
    "ground truth": GREY,
    "global": SKY,
    "initial": BLUE,
    "local": ORANGE,
    "final": GREEN,
    "classifier": PURPLE,
}

# Plotly draws everything again if it has to find a margin out.
MARGIN = {"l": 58, "r": 12, "t": 34, "b": 48, "autoexpand": False}
# Numbers on bars that can be read on any bar.
VALUES = {
    "textposition": "outside",
    "textfont_size": 12,
    "cliponaxis": False,
    "constraintext": "none",
}


def box_colour(place: int) -> str:
    """The colour of a box on an image, by its place among the image's boxes."""
    return BOX_COLOURS[place % len(BOX_COLOURS)]


def text_colour(background: str) -> str:
    """Black or white, whichever has a contrast of at least 4.5 : 1 on a colour of the palette."""
    return "#fff" if background == BLUE else "#000"


def translucent(colour: str, opacity: float) -> str:
    """A colour "#rrggbb" that lets `1 - opacity` of its background through."""
    red, green, blue = (int(colour[begin : begin + 2], 16) for begin in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity:g})"


def layout(height: int, shows: str, **own: Any) -> dict[str, Any]:
    """A layout, `height` pixels high, with `own` properties.

    shows: what the figure says, for people who hear it. It must not depend on the data, so that a zoom
    outlives an update.
    """
    return {
        "height": height,
        "margin": {"l": 10, "r": 10, "t": 30, "b": 10},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "uirevision": shows,
        "bargap": 0.25,
    } | own


def with_layout(figure: go.Figure, height: int, shows: str, **own: Any) -> go.Figure:
    """The figure itself, with `layout`."""
    return figure.update_layout(layout(height, shows, **own))


def escaped(name: str) -> str:
    """A name as text of a figure. Plotly would take `<b>` in it for a mark."""
    return html.escape(name, quote=False)


def class_axis(names: Sequence[str]) -> dict[str, Any]:
    """An axis of classes in this order, each with its name.

    Also names that look like numbers ("30", "50") or dates are categories.
    """
    return {
        "type": "category",
        "categoryorder": "array",
        "categoryarray": list(names),
        "tickvals": list(names),
        "ticktext": [escaped(name) for name in names],
    }
