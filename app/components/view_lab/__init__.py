"""A crop to drag over an image, with what CLIP says of it. The bars follow the crop at once.

Python asks CLIP about a grid of crops in the background. While the crop moves, the browser blends the answers
about the nearest crops, and says so. When the crop comes to rest, CLIP's own answer arrives from Python.

A finger moves the crop by its inside and its corners. A tap brings the crop to that place. Beside the crop, a
finger scrolls the page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from app.components.files import HEAT_DATA, component

_component = component("view_lab")


def view_lab(
    data: dict[str, Any],
    key: str,
    *,
    on_crop: Callable[[list[float]], None],
    on_class: Callable[[str], None],
    on_toggles: Callable[[bool, bool], None],
) -> None:
    """Show the image with its crop. Boxes are fractions of the image.

    data: K classes get a bar, and grids have crops of S sizes.
        url, alt: of the image. truth: [{"name", "box"}] of what is truly there.
        names, colours: [K]. chosen: index of the chosen class, or -1.
        crop: [4], where the crop is.
        whole, exact: [2][K], before and after debiasing, of the whole image and of the crop `exact_box` [4];
        None while CLIP has not answered.
        sides: [S] of crops as shares of the image's. grid: [2][S][P][P][K] of crops at P x P places, or None.
        fine: whether the grid has all its places. failed: whether CLIP cannot be asked.
        debiased, heat: whether these toggles are on.
    on_crop: called with the box where the crop came to rest. on_class: called with the class clicked.
    on_toggles: called with `debiased` and `heat`. All of them are called before the rerun.
    """

    def reported(name: str) -> Any:
        return st.session_state[key][name]["value"]

    def toggled() -> None:
        toggles = reported("toggles")
        on_toggles(bool(toggles["debiased"]), bool(toggles["heat"]))

    _component(
        data=data | {"heat_colours": HEAT_DATA},
        key=key,
        on_crop_change=lambda: on_crop(reported("crop")),
        on_cls_change=lambda: on_class(reported("cls")),
        on_toggles_change=toggled,
    )
