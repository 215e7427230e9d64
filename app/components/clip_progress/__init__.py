"""How far CLIP has been asked about an image, as a bar that the browser keeps up by itself.

The browser asks the server over HTTP. The server asks CLIP on meanwhile. The page's fragment runs again only
when there is more to show. If the fragment ran every tenth of a second instead, each run would send the state
of every widget, also of one that the server had just changed. That sometimes undid a press of Next or a moved
crop.
"""

from __future__ import annotations

from typing import Any

from app.components.files import component

_component = component("clip_progress")


def clip_progress(url: str, drawn: dict[str, Any], redraw: float) -> None:
    """Show the bar, and run the fragment around it again when there is more to see.

    url: where the browser asks (`app.routes.asked_url`). drawn: the `Coverage` that the page shows now. The
    fragment runs again when more stages are complete, or after `redraw` seconds when more is known.
    """
    data = drawn | {"url": url, "redraw": 1000 * redraw, "seconds": 1}
    _component(data=data, key="clip_progress", on_more_change=lambda: None)
