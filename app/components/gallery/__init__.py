"""Images to choose from, as a grid. The browser fetches an image when it comes into sight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from app.components.files import component
from app.routes import image_url
from app.widgets import pick_page
from ccd_core.runs.run import Run

PAGE = 24  # images

_component = component("gallery")


def gallery(
    run: Run,
    items: Sequence[dict[str, Any]],
    key: str,
    *,
    selected: str | None = None,
    on_pick: Callable[[str], None] | None = None,
    tile: str = "9.5rem",
) -> str | None:
    """A grid of images of `run`. Returns the id of the image just chosen, else None.

    An image is chosen by click, Enter or Space; arrow keys go from one to the next.

    items: {"id": ..., "caption": ..., "badges": [...], "tone": "good" | "bad" | "note" | ""}. Only the id is
    needed. selected: the id of the image that is marked.
    on_pick: called with the id before the rerun. There it can still change what other widgets show.
    tile: the smallest width of an image, as a CSS length.
    """
    tiles = [
        {
            "id": item["id"],
            "src": image_url(run.name, item["id"]),
            "caption": item.get("caption", item["id"]),
            "badges": list(item.get("badges", ())),
            "tone": item.get("tone", ""),
        }
        for item in items
    ]

    def picked() -> None:
        if on_pick and st.session_state[key].picked:
            on_pick(st.session_state[key].picked)

    data = {"items": tiles, "selected": selected, "tile": tile}
    return _component(data=data, key=key, on_picked_change=picked).picked


def gallery_pages(
    run: Run,
    ids: Sequence[str],
    describe: Callable[[str], dict[str, Any]],
    key: str,
    *,
    selected: str | None = None,
    on_pick: Callable[[str], None] | None = None,
) -> str | None:
    """`gallery` of any number of images, a page at a time, `?KEY_page=` in the link.

    describe: called with the ids on the page only; returns the other entries of an item.
    """
    page = pick_page(max(1, -(-len(ids) // PAGE)), f"{key}_page")
    shown = ids[PAGE * (page - 1) : PAGE * page]
    items = [describe(image) | {"id": image} for image in shown]
    return gallery(run, items, key, selected=selected, on_pick=on_pick)
