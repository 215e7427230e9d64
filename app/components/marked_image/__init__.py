"""An image with its local views marked and numbered, and the views as cards with what CLIP said of each."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from typing import Any

import streamlit as st

from app.figures.theme import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION
from ccd_core.data.images import read_image

COLOURS = (VERMILION, BLUE, ORANGE, GREEN, PURPLE, SKY)
TAG = 0.07  # how near two boxes' corners are for their numbers to hide each other, as a fraction of the image
SIDE = 220  # longer side of a card's picture, pixels

STYLE = """
<style>
.ccd-stage { position: relative; line-height: 0; }
.ccd-stage img { width: 100%; border-radius: 8px; }
.ccd-stage b { position: absolute; box-sizing: border-box; border: 2px solid; border-radius: 3px; }
.ccd-stage b i { font: 700 11px/1 sans-serif; padding: 2px 4px; position: absolute; border-radius: 3px; }
.ccd-strip div { display: flex; gap: 2%; justify-content: center; max-height: 75%; } .ccd-strip img { min-width: 0; flex: 0 1 auto; object-fit: contain; opacity: .55; }
.ccd-strip p { text-align: center; opacity: .6; font-size: .85rem; margin: 1rem 0; }
.ccd-views { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .75rem; }
.ccd-view { border: 1px solid #8884; border-radius: 8px; overflow: hidden; font-size: .82rem; line-height: 1.35; }
.ccd-view .picture { height: 8.5rem; display: flex; align-items: center; justify-content: center; background: #8881; }
.ccd-view img { max-width: 100%; max-height: 100%; }
.ccd-view .words { padding: .45rem .6rem .6rem; border-top: 4px solid; }
.ccd-view .row { display: flex; align-items: center; gap: .4rem; }
.ccd-view .bar { flex: 1; height: .45rem; background: #8882; border-radius: 3px; overflow: hidden; }
.ccd-view .bar i { display: block; height: 100%; }
.ccd-view .name { width: 5.4rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.ccd-view .gives { font-weight: 600; }
</style>
"""


@st.cache_data(max_entries=64, show_spinner=False)
def crops(path: str, boxes: tuple[tuple[float, float, float, float], ...], changed: int) -> tuple[str, ...]:
    """Parts of an image (boxes in fractions of it) as data URLs of JPEGs; `changed` only tells versions of the file apart."""
    from PIL import Image

    picture = Image.fromarray(read_image(path, at_least=2 * SIDE))
    urls = []
    for x0, y0, x1, y1 in boxes:
        sides = [
            round(x0 * picture.width),
            round(y0 * picture.height),
            round(x1 * picture.width),
            round(y1 * picture.height),
        ]
        crop = picture.crop((sides[0], sides[1], max(sides[2], sides[0] + 1), max(sides[3], sides[1] + 1)))
        crop.thumbnail((SIDE, SIDE))
        buffer = io.BytesIO()
        crop.save(buffer, "JPEG", quality=85)
        urls.append("data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode())
    return tuple(urls)


def _apart(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return max(abs(one[0] - other[0]), abs(one[1] - other[1])) > TAG


def picture_strip(pictures: Sequence[str], height: int) -> None:
    """What stands, `height` pixels high, in a figure's place until CLIP has said something about the pictures that it will be about."""
    shown = "".join(f'<img src="{url}" alt="">' for url in pictures)
    st.html(
        f'{STYLE}<div class="ccd-strip" style="height:{height}px"><div>{shown}</div><p>CLIP is being asked …</p></div>'
    )


def marked_image(url: str, alt: str, boxes: Sequence[Sequence[float]]) -> None:
    """An image with numbered boxes, in fractions of it."""
    marks: list[str] = []
    taken: list[tuple[float, float]] = []
    for number, (x0, y0, x1, y1) in enumerate(boxes):
        colour = COLOURS[number % len(COLOURS)]
        text = "#fff" if colour == BLUE else "#000"  # 4.5 : 1 at least
        corners = {
            "left:0;top:0": (x0, y0),
            "right:0;top:0": (x1, y0),
            "left:0;bottom:0": (x0, y1),
            "right:0;bottom:0": (x1, y1),
        }
        corner = next(
            (name for name, at in corners.items() if all(_apart(at, other) for other in taken)),
            "left:0;top:0",
        )
        taken.append(corners[corner])
        place = f"left:{100 * x0:.2f}%;top:{100 * y0:.2f}%;width:{100 * (x1 - x0):.2f}%;height:{100 * (y1 - y0):.2f}%"
        marks.append(
            f'<b style="{place};border-color:{colour}"><i style="{corner};background:{colour};color:{text}">{number + 1}</i></b>'
        )
    st.html(
        f'{STYLE}<div class="ccd-stage"><img src="{html.escape(url)}" alt="{html.escape(alt)}">{"".join(marks)}</div>'
    )


def view_cards(pictures: Sequence[str], views: Sequence[dict[str, Any]]) -> None:
    """Local views side by side; each view: title, sees [(class, probability), ...], gives [class, ...] (those whose local label is its)."""
    cards = []
    for number, (picture, view) in enumerate(zip(pictures, views, strict=True)):
        colour = COLOURS[number % len(COLOURS)]
        rows = "".join(
            f'<div class="row"><span class="name" title="{html.escape(name)}">{html.escape(name)}</span>'
            f'<span class="bar"><i style="width:{100 * p:.0f}%;background:{colour}"></i></span>{p:.2f}</div>'
            for name, p in view["sees"]
        )
        gives = (
            f'<div class="gives">gives the local label of {html.escape(", ".join(view["gives"]))}</div>'
            if view["gives"]
            else ""
        )
        cards.append(
            f'<div class="ccd-view"><div class="picture"><img src="{picture}" alt="view {number + 1}"></div>'
            f'<div class="words" style="border-color:{colour}"><b>{number + 1}</b> · {html.escape(view["title"])}{rows}{gives}</div></div>'
        )
    st.html(f'{STYLE}<div class="ccd-views">{"".join(cards)}</div>')
