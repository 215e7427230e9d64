"""The image with its CAM, its boxes and sliders. The boxes move while a slider is dragged.

Python computes everything. The component gets the maps and each class's CAM box at every CAM threshold that
can be set. It looks the boxes up and adds the offset. When a slider is let go, it reports its state.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import streamlit as st

from app.components.files import HEAT_DATA, component
from app.figures.theme import BOX_COLOURS

# Letter in the link, and key on the keyboard -> what it shows.
SHOW = {
    "h": "heatmap",
    "b": "CAM box",
    "v": "view",
    "g": "ground truth",
    "a": "all classes",
}
KEYS = (("1", ""), ("…", ""), ("9", "class"), ("[", ""), ("]", "class before, after"))

_component = component("cam_boxes")


@dataclass(frozen=True)
class BoxState:
    """What the component shows.

    cls: index of the class. step: index of the CAM threshold. view: index of the view threshold.
    offset: pixels of the frame. show: letters of `SHOW`.
    """

    cls: int
    step: int
    view: int
    offset: int
    show: str = "hbv"


@dataclass(frozen=True)
class Sliders:
    """What the sliders can be set to.

    cam_thresholds: steps of the CAM threshold. view_thresholds: steps of the view threshold, each with the
    mean number of views that an image has at it, or None where that is not known. most_offset: pixels of the
    frame.
    """

    cam_thresholds: Sequence[float]
    view_thresholds: Sequence[tuple[float, float | None]]
    most_offset: int

    def state(
        self, cls: int, cam_threshold: float, view_threshold: float, offset: int, show: str
    ) -> BoxState:
        """The state whose steps are nearest to these values."""
        return BoxState(
            cls,
            _nearest(self.cam_thresholds, cam_threshold),
            _nearest([threshold for threshold, _ in self.view_thresholds], max(0.0, view_threshold)),
            min(max(0, offset), self.most_offset),
            show,
        )


def _nearest(values: Sequence[float], value: float) -> int:
    """Index of the value closest to `value`."""
    return int(np.argmin(np.abs(np.array(values) - value)))


def cam_box_view(
    image_url: str,
    label: str,
    classes: list[str],
    answer: dict[str, Any],
    sliders: Sliders,
    state: BoxState,
    *,
    truth: list[dict[str, Any]] | None,
    keys: Sequence[tuple[str, str]],
    on_change: Callable[[BoxState], None],
    key: str,
) -> None:
    """Show the image with the boxes of the class of `state`, or of all classes.

    label: what the image is, for people who hear the page. answer: what `Predictor.explain` says of the
    image. truth: {"cls": index, "box": pixels of the frame} of what is truly there, None if that is unknown.
    keys: (key, what it does) of the keys that the page itself listens to, to be named with the component's.
    on_change: called with the new state before the rerun that follows when a slider is let go.
    """
    maps = np.asarray(answer["cam"], np.float32)
    packed = base64.b64encode((255 * maps).astype(np.uint8).tobytes()).decode()
    data = {
        "image": image_url,
        "label": label,
        "classes": classes,
        "scores": answer["scores"],
        "boxes": answer["boxes"],
        "frame": answer["frame"],
        "cam": {"bytes": packed, "height": maps.shape[1], "width": maps.shape[2]},
        "truth": truth,
        "state": asdict(state),
        "show": SHOW,
        "keys": [*keys, *KEYS],
        "colours": BOX_COLOURS,
        "heat": HEAT_DATA,
    }

    def changed() -> None:
        if reported := st.session_state[key].state:
            on_change(_checked(reported, state, len(classes), sliders))

    _component(data=data | asdict(sliders), key=key, on_state_change=changed)


def _checked(reported: dict[str, Any], before: BoxState, classes: int, sliders: Sliders) -> BoxState:
    """What the browser reported, or `before` where that cannot be. A browser may report anything."""
    try:
        cls, step, view, offset = (int(reported[name]) for name in ("cls", "step", "view", "offset"))
    except (KeyError, TypeError, ValueError):
        return before
    can_be = (
        0 <= cls < classes
        and 0 <= step < len(sliders.cam_thresholds)
        and 0 <= view < len(sliders.view_thresholds)
        and 0 <= offset <= sliders.most_offset
    )
    if not can_be:
        return before
    show = "".join(letter for letter in SHOW if letter in str(reported.get("show", "")))
    return replace(before, cls=cls, step=step, view=view, offset=offset, show=show)
