"""Page View lab: the image with its crop, and what CLIP says of it and of crops elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from app import state
from app.choices import pick_class, pick_image
from app.components.view_lab import view_lab
from app.figures.view_lab import class_colours
from app.parts.view_lab.panels import (
    PLACES,
    Both,
    is_fine,
    known_maps,
    maps_panel,
    pick_sweep,
    progress_part,
    stages,
    sweep_panel,
)
from app.reading.asking.clip_queue import known_probabilities, query_about, query_clip
from app.reading.asking.predictor import wake_predictor
from app.reading.ground_truth import image_truth
from app.reading.images import data_url, image_path
from app.reading.labels import debiasing
from app.reading.runs import image_ids
from app.reading.uploads import MEGABYTES, store_uploads
from app.routes import image_url
from app.widgets import friendly_errors
from ccd_core.data.decoding.images import IMAGE_SUFFIXES, image_size, read_image
from ccd_core.data.types import UnitBox
from ccd_core.errors import UserError
from ccd_core.explore.view_sweeps import WHOLE, parse_box, strongest_classes
from ccd_core.runs.run import Run

BARS = 10  # classes
LONGER_SIDE = 960  # pixels
START_BOX: UnitBox = (0.3, 0.3, 0.7, 0.7)
START = "0.3, 0.3, 0.7, 0.7"
DATA_SET, UPLOAD = "Data set", "Upload"
MODES = {
    "none": "This run's labels are not debiased: both are the same.",
    "constant": "This run divides every class by the same number.",
}


@dataclass(frozen=True)
class LabImage:
    """The image to look at; truth: {"name", "box"} of what is truly in it, boxes as fractions.

    uploaded: whether it is none of the run's.
    """

    path: Path
    url: str
    name: str
    truth: list[dict[str, Any]]
    uploaded: bool = False


def chosen_image(run: Run) -> LabImage | None:
    """The image to look at, of the data set or uploaded; None while there is none."""
    source = st.segmented_control(
        "Image from",
        [DATA_SET, UPLOAD],
        default=DATA_SET,
        required=True,
        key=state.SOURCE,
        bind="query-params",
        label_visibility="collapsed",
    )
    if source == UPLOAD:
        return _uploaded(run)
    image = pick_image(*image_ids(run))
    assert image is not None  # no run is without images
    path = image_path(run, image)
    return LabImage(path, image_url(run.name, image, LONGER_SIDE), image, _true_boxes(run, image, path))


def _uploaded(run: Run) -> LabImage | None:
    upload = st.file_uploader(
        "An image",
        [suffix[1:] for suffix in IMAGE_SUFFIXES],
        max_upload_size=MEGABYTES,
        key=state.LAB_UPLOAD,
        help=f"Up to {MEGABYTES} MB; it stays on this machine.",
    )
    if upload is None:
        st.info("Upload an image above. It is asked about with this run's classes.", icon=":material/upload:")
        wake_predictor(run)
        return None
    path = store_uploads([upload])[upload.name]
    try:
        read_image(path, at_least=LONGER_SIDE)
    except UserError as error:
        raise UserError(str(error).replace(path.name, upload.name)) from None
    return LabImage(path, data_url(path, LONGER_SIDE), upload.name, [], uploaded=True)


def _true_boxes(run: Run, image: str, path: Path) -> list[dict[str, Any]]:
    truth = image_truth(run, image)
    if truth is None or not truth[1]:
        return []
    width, height = image_size(path)
    size = np.array([width, height] * 2)
    return [
        {"name": run.classes[c], "box": (np.array(box) / size).clip(0, 1).round(4).tolist()}
        for c, box in truth[1]
    ]


# -- the laboratory ------------------------------------------------------------------------------------


@st.fragment
@friendly_errors()
def laboratory(run: Run, image: LabImage) -> None:
    """Everything about the image that is known by now. CLIP is asked about the rest in the background."""
    debias = debiasing(run)

    def both(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return p, debias(p)

    box = _chosen_crop()
    own = np.array([WHOLE, box])
    query_clip(run, image.path, own)
    drawn = frozenset(query_about(run, image.path).results)
    p_whole, p_crop = known_probabilities(run, image.path, own)
    maps = known_maps(run, image.path)
    awake = not np.isnan(p_whole).any()
    first = int(p_whole.argmax()) if awake else None
    chosen = _chosen_class(run, first)
    order = strongest_classes([p_whole, p_crop, *_coarse(maps)], BARS, chosen)
    colours = class_colours(len(order))
    _image_with_crop(run, image, box, both, (p_whole, p_crop), maps, order, colours, chosen)

    progress = st.container()
    cls = _class_and_crop_fields(run, first)
    st.header("CLIP's view dependence, seen", anchor=False)
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    with left:
        sweep = pick_sweep(run, image.path, box, image.truth, awake)
    form = right.toggle(
        "After debiasing",
        key=state.DEBIASED,
        bind="query-params",
        help=MODES.get(run.config.bias.mode),
    )
    named_colours = {run.classes[c]: colour for c, colour in zip(order, colours, strict=True)}
    sweep_panel(run, image.path, sweep, cls, int(form), both, named_colours)
    maps_panel(run, image.path, maps, cls, int(form), both)
    with progress:
        progress_part(run, image.path, stages(own, sweep), drawn)


def _image_with_crop(
    run: Run,
    image: LabImage,
    box: UnitBox,
    both: Both,
    p: tuple[np.ndarray, np.ndarray],
    maps: list[np.ndarray | None],
    order: list[int],
    colours: list[str],
    chosen: int | None,
) -> None:
    """The component. p: probabilities of the whole image and of the crop; order: classes that get a bar."""
    p_whole, p_crop = p
    linked = st.query_params.get(state.DEBIASED) == "true"
    view_lab(
        {
            "url": image.url,
            "alt": image.name,
            "crop": list(box),
            "truth": image.truth,
            "failed": bool(query_about(run, image.path).error),
            "names": [run.classes[c] for c in order],
            "colours": colours,
            "chosen": -1 if chosen is None else order.index(chosen),
            "whole": _as_lists(both(p_whole), order),
            "exact": _as_lists(both(p_crop), order),
            "exact_box": list(box),
            "sides": [*PLACES, 1.0],
            "grid": _grids(p_whole, maps, order, both),
            "fine": is_fine(maps),
            "heat": st.query_params.get(state.HEAT) == "true",
            "debiased": st.session_state.get(state.DEBIASED, linked),
        },
        key="lab",
        on_crop=_set_crop,
        on_class=_set_class,
        on_toggles=_set_toggles,
    )


def _chosen_crop() -> UnitBox:
    text = st.session_state.get(state.CROP) or st.query_params.get(state.CROP) or START
    return parse_box(text) or START_BOX


def _chosen_class(run: Run, first: int | None) -> int | None:
    """The class that the person chose or the link names, else what CLIP says first of the whole image.

    None while CLIP has said nothing yet.
    """
    name = st.session_state.get(state.CLASS) or st.query_params.get(state.CLASS)
    return run.classes.index(name) if name in run.classes else first


def _class_and_crop_fields(run: Run, first: int | None) -> str | None:
    """The fields of class and crop; returns the class, chosen or CLIP's first."""
    left, right = st.columns([1, 1])
    otherwise = "What CLIP says first of the whole image"
    if first is not None:
        otherwise = f"{run.classes[first]}, CLIP's first"
    chosen = pick_class(run, "Class", otherwise, left, disabled=first is None)
    right.text_input(
        "Crop: x0, y0, x1, y1 as shares of the image", START, key=state.CROP, bind="query-params"
    )
    return chosen or (None if first is None else run.classes[first])


def _coarse(maps: list[np.ndarray | None]) -> list[np.ndarray]:
    """The maps at their first places, so that finer ones do not reorder the bars; [] until all are known."""
    known = [level for level in maps if level is not None]
    if len(known) < len(maps):
        return []
    return [
        level[::2, ::2] if len(level) == places else level
        for level, places in zip(known, PLACES.values(), strict=True)
    ]


def _as_lists(forms: tuple[np.ndarray, np.ndarray], order: Sequence[int]) -> list | None:
    """[2][K] for the component; None while CLIP has not answered."""
    return None if np.isnan(forms[0]).any() else [form[order].round(4).tolist() for form in forms]


def _grids(p_whole: np.ndarray, maps: list[np.ndarray | None], order: list[int], both: Both) -> list | None:
    """[2][S + 1][P][P][K] for the component, the whole image last; None while a size has no map yet."""
    grids = [level for level in maps if level is not None]
    if len(grids) < len(maps) or np.isnan(p_whole).any():
        return None
    return [
        [both(grid)[form][..., order].round(3).tolist() for grid in (*grids, p_whole[None, None])]
        for form in (0, 1)
    ]


def _set_crop(box: list[float]) -> None:
    st.session_state[state.CROP] = ", ".join(f"{side:.4g}" for side in box)


def _set_class(name: str) -> None:
    st.session_state[state.CLASS] = name


def _set_toggles(debiased: bool, heat: bool) -> None:
    st.session_state[state.DEBIASED] = debiased
    if heat:
        st.query_params[state.HEAT] = "true"
    else:
        st.query_params.pop(state.HEAT, None)
