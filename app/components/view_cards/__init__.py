"""Parts of an image as cards, each beside what CLIP says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from app.components.files import component
from app.figures.theme import box_colour, text_colour

_component = component("view_cards")


@dataclass(frozen=True)
class CardRow:
    """What CLIP says of one class: its probability p, and the debiased one where the card shows that too."""

    name: str
    p: float
    debiased: float | None = None


@dataclass(frozen=True)
class ViewCard:
    """One part of the image.

    box: x0, y0, x1, y1 in the unit of the size given to `view_cards`. detail: written small after the title.
    own: the class that the view was taken for, whose row is bold. number: that of the view's mark on the
    image, from 1 on, or 0 for none. gives: a sentence below the rows. whole: whether it is the whole image.
    """

    title: str
    box: Sequence[float]
    rows: Sequence[CardRow]
    detail: str = ""
    own: str | None = None
    number: int = 0
    gives: str = ""
    whole: bool = False


def view_cards(image_url: str, size: tuple[float, float], cards: Sequence[ViewCard], key: str) -> None:
    """Show the cards. size: width and height of the image in the unit of their boxes."""
    shown = []
    for card in cards:
        colour = box_colour(card.number - 1)
        shown.append(asdict(card) | {"colour": colour, "text_colour": text_colour(colour)})
    _component(data={"image": image_url, "size": size, "cards": shown}, key=key)
