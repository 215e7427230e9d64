"""An image with numbered boxes."""

from __future__ import annotations

import html
from collections.abc import Sequence

import streamlit as st

from app.components.files import text_of
from app.figures.theme import box_colour, text_colour

STYLE = f"<style>{text_of('marked_image', 'css')}</style>"
TAG = 0.07  # corners nearer than this share of the image's side would let their numbers hide each other


def marked_image(url: str, alt: str, boxes: Sequence[Sequence[float]]) -> None:
    """An image with numbered boxes (x0, y0, x1, y1 as fractions of it).

    A number stands in a corner of its box that is free of other numbers, else at a free place of its upper or
    lower edge, else at the top left.
    """
    marks: list[str] = []
    taken: list[tuple[float, float]] = []
    for place, (x0, y0, x1, y1) in enumerate(boxes):
        places = _places(x0, y0, x1, y1)
        free = [name for name, point in places.items() if all(_is_apart(point, other) for other in taken)]
        corner = free[0] if free else "left:0;top:0"
        taken.append(places[corner])
        colour = box_colour(place)
        tag = f"{corner};background:{colour};color:{text_colour(colour)}"
        where = f"left:{100 * x0:.2f}%;top:{100 * y0:.2f}%"
        size = f"width:{100 * (x1 - x0):.2f}%;height:{100 * (y1 - y0):.2f}%"
        marks.append(f'<b style="{where};{size};border-color:{colour}"><i style="{tag}">{place + 1}</i></b>')
    image = f'<img src="{html.escape(url)}" alt="{html.escape(alt)}">'
    st.html(f'{STYLE}<div class="ccd-marked">{image}{"".join(marks)}</div>')


def _places(x0: float, y0: float, x1: float, y1: float) -> dict[str, tuple[float, float]]:
    """Style -> point of each place where the number of a box may stand, the corners first."""
    places = {
        "left:0;top:0": (x0, y0),
        "right:0;top:0": (x1, y0),
        "left:0;bottom:0": (x0, y1),
        "right:0;bottom:0": (x1, y1),
    }
    step = 1.01 * TAG
    for number in range(1, int((x1 - x0) / step)):
        share = 100 * number * step / (x1 - x0)  # percent of the box's width
        places[f"left:{share:.1f}%;top:0"] = (x0 + number * step, y0)
        places[f"left:{share:.1f}%;bottom:0"] = (x0 + number * step, y1)
    return places


def _is_apart(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return max(abs(one[0] - other[0]), abs(one[1] - other[1])) > TAG
