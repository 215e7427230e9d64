"""An image whose true classes are marked with the keyboard: a key for each class, next, back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from app.components.files import component

# Of the classes in order; n is next, u is back. A capital letter is a letter with Shift.
KEYS = "1234567890abcdefghijklmopqrstvwxyzABCDEFGHIJKLMOPQRSTVWXYZ,.;:-_+=*/!?()[]{}<>@#%&"

_component = component("mark_labels")


def mark_labels(
    image: str,
    image_url: str,
    classes: Sequence[str],
    marked: Sequence[int],
    place: str,
    next_url: str | None,
    *,
    can_go_back: bool,
    on_next: Callable[[str, list[int]], None],
    on_back: Callable[[str], None],
    key: str,
) -> None:
    """Show an image and a button for each class.

    marked: indices of the classes that are on at first. place: how far the person is, such as "8 of 100".
    next_url: an image to fetch ahead. on_next: called with the image and the indices of its classes.
    on_back: called with the image that is left. Both are called before the rerun.
    """
    data: dict[str, Any] = {
        "image": image,
        "url": image_url,
        "classes": [{"name": name, "key": KEYS[i : i + 1]} for i, name in enumerate(classes)],
        "marked": list(marked),
        "place": place,
        "next": next_url,
        "can_go_back": can_go_back,
    }

    def went_on() -> None:
        reported = st.session_state[key].done
        if chosen := _checked(reported, image, len(classes)):
            on_next(image, chosen[0])

    def went_back() -> None:
        if st.session_state[key].back == image:
            on_back(image)

    _component(data=data, key=key, on_done_change=went_on, on_back_change=went_back)


def _checked(reported: Any, image: str, classes: int) -> tuple[list[int]] | None:
    """The classes that the browser reported of `image`. None for anything else: it may report anything."""
    if not isinstance(reported, dict) or reported.get("image") != image:
        return None
    chosen = reported.get("classes")
    if not isinstance(chosen, list) or not all(type(one) is int and 0 <= one < classes for one in chosen):
        return None
    return (sorted(set(chosen)),)
