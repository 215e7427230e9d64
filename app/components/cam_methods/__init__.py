"""One image under several CAM methods, side by side."""

from __future__ import annotations

from typing import Any

from app.components.files import HEAT_DATA, component

_component = component("cam_methods")


def cam_methods_view(image_url: str, frame: int, panels: list[dict[str, Any]], key: str) -> None:
    """Show the image under each method.

    panels: {"name": of the method, "map": [h][w] in [0, 1], "box": pixels of the frame, or None}.
    frame: side of the frame, pixels.
    """
    _component(data={"image": image_url, "frame": frame, "panels": panels, "heat": HEAT_DATA}, key=key)
