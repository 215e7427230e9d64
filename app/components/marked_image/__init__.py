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

    A number stands in a corner of its box that is free of other numbers, else at the top left.
    """
    marks: list[str] = []
    taken: list[tuple[float, float]] = []
    for place, (x0, y0, x1, y1) in enumerate(boxes):
        corners = {
            "left:0;top:0": (x0, y0),
            "right:0;top:0": (x1, y0),
            "left:0;bottom:0": (x0, y1),
            "right:0;bottom:0": (x1, y1),
        }
        free = [name for name, corner in corners.items() if all(_is_apart(corner, other) for other in taken)]
        corner = free[0] if free else "left:0;top:0"
        taken.append(corners[corner])
        colour = box_colour(place)
        tag = f"{corner};background:{colour};color:{text_colour(colour)}"
        where = f"left:{100 * x0:.2f}%;top:{100 * y0:.2f}%"
        size = f"width:{100 * (x1 - x0):.2f}%;height:{100 * (y1 - y0):.2f}%"
        marks.append(f'<b style="{where};{size};border-color:{colour}"><i style="{tag}">{place + 1}</i></b>')
    image = f'<img src="{html.escape(url)}" alt="{html.escape(alt)}">'
    st.html(f'{STYLE}<div class="ccd-marked">{image}{"".join(marks)}</div>')


def _is_apart(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return max(abs(one[0] - other[0]), abs(one[1] - other[1])) > TAG
