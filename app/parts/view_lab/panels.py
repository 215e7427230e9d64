"""Page View lab, below the image: what CLIP says along a sweep and at every place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from app import state
from app.components.clip_progress import clip_progress
from app.components.picture_strip import picture_strip
from app.figures.view_lab import MAPS_HEIGHT, SWEEP_HEIGHT, class_colours, place_maps, sweep_curves
from app.parts.cam_boxes.panels import grown
from app.reading.asking.clip_queue import coverage, known_probabilities, query_about, subscribe, unit_box
from app.reading.asking.predictor import explain
from app.reading.images import crop_urls
from app.routes import asked_url
from app.widgets import literal, show_error, show_figure
from ccd_core.data.decoding.images import image_size
from ccd_core.data.types import UnitBox
from ccd_core.explore import view_sweeps
from ccd_core.runs.run import Run

# Sizes of crops as shares of the image's sides, and how many places along a side each is tried at. A
# probability blended from them is wrong by about 0.045 on average (measured on toy scenes); large crops need
# fewer places.
PLACES = {0.25: 7, 0.4: 7, 0.6: 7, 0.8: 5}
CURVES = 5  # classes
STEPS = 13  # crops along a sweep
PICTURES = 6  # of them shown above the curves
CAM_VIEWS = 3  # local views of the classifier to sweep around
CROP = "the crop"
REDRAW = 2.0  # seconds after which the page is drawn anew with what has come, where CLIP is slow

Both = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # probabilities -> the same, and debiased


@dataclass(frozen=True)
class Sweep:
    """What a crop is swept around, and its boxes.

    growing: [STEPS, 4], from it to the whole image; across: [STEPS, 4], from left to right.
    """

    around: str
    growing: np.ndarray
    across: np.ndarray

    @classmethod
    def of(cls, around: str, box: UnitBox) -> Sweep:
        return cls(around, view_sweeps.growing(box, STEPS), view_sweeps.across(box, STEPS))


def stages(own: np.ndarray, sweep: Sweep) -> list[np.ndarray]:
    """The boxes [V, 4] that CLIP is asked about, in the order in which a person needs them.

    First those of the bars (`own`), then the curves, then coarse maps, then fine maps.
    """
    grids = [view_sweeps.grid(side, places) for side, places in PLACES.items()]
    coarse = [grid[::2, ::2].reshape(-1, 4) for grid in grids]
    fine = [grid.reshape(-1, 4) for grid in grids]
    return [own, np.concatenate([sweep.growing, sweep.across]), np.concatenate(coarse), np.concatenate(fine)]


def known_maps(run: Run, path: Path) -> list[np.ndarray | None]:
    """[P, P, C] for each size of crop, at all its places or at every other one; None while less is known."""
    maps: list[np.ndarray | None] = []
    for side, places in PLACES.items():
        p = known_probabilities(run, path, view_sweeps.grid(side, places).reshape(-1, 4))
        maps.append(view_sweeps.finest_map(p.reshape(places, places, -1)))
    return maps


def is_fine(maps: list[np.ndarray | None]) -> bool:
    """Whether every map has all its places."""
    return all(
        level is not None and len(level) == places
        for level, places in zip(maps, PLACES.values(), strict=True)
    )


# -- how far CLIP was asked ------------------------------------------------------------------------------


def progress_part(run: Run, path: Path, wanted: list[np.ndarray], drawn: frozenset[UnitBox]) -> None:
    """How far CLIP was asked about the stages `wanted`, of which the page shows what was known as `drawn`."""
    boxes = [[unit_box(box) for box in stage] for stage in wanted]
    every = {box for stage in boxes for box in stage}
    query = query_about(run, path)
    if query.error:
        show_error(query.error)
        st.button("Try again", icon=":material/refresh:", on_click=_try_again, args=(run, path))
    elif not every <= drawn:  # what has come since is not on the page yet
        clip_progress(asked_url(subscribe(run, path, wanted)), dict(coverage(boxes, drawn)), REDRAW)
    else:
        st.caption(f"CLIP was asked about {len(every)} crops of this image.")


def _try_again(run: Run, path: Path) -> None:
    query_about(run, path).error = ""


# -- sweeps ----------------------------------------------------------------------------------------------


def pick_sweep(run: Run, path: Path, crop: UnitBox, truth: list[dict[str, Any]], awake: bool) -> Sweep:
    """What to sweep around: the crop, a true object, or without ground truth a local view of the classifier.

    awake: whether the predictor answers already.
    """
    places: dict[str, UnitBox] = {CROP: crop}
    for number, found in enumerate(truth, 1):
        places[f"{found['name']} {number}"] = unit_box(found["box"])
    if not truth and not awake:
        # Not bound to the link, which may name a view that is not known yet.
        st.pills("Sweep around", [CROP], disabled=True)
        return Sweep.of(CROP, crop)
    if not truth:
        places |= _cam_views(run, path)
    if st.session_state.get(state.AROUND) not in places:
        st.session_state.pop(state.AROUND, None)  # an object of another image
    first = list(places)[1] if truth else CROP
    around = st.pills(
        "Sweep around",
        list(places),
        format_func=literal,
        default=first,
        key=state.AROUND,
        bind="query-params",
        help="True boxes where there are any, else the boxes of the classifier's maps.",
    )
    around = around if around in places else first
    return Sweep.of(around, places[around])


def _cam_views(run: Run, path: Path) -> dict[str, UnitBox]:
    """The local views that the classifier would ask for: around the maps of its surest classes."""
    answer = explain(run, path, (run.config.views.cam_threshold,))
    frame = answer["frame"]
    found = {}
    for c in np.argsort(-np.array(answer["scores"]))[:CAM_VIEWS]:
        if box := answer["boxes"][c][0]:
            view = grown(box, run.config.views.offset, frame)
            found[f"CAM view of {run.classes[c]}"] = unit_box([side / frame for side in view])
    return found


def sweep_panel(
    run: Run, path: Path, sweep: Sweep, cls: str | None, form: int, both: Both, colours: dict[str, str]
) -> None:
    """CLIP's probabilities along the two sweeps, with what it sees above them.

    cls: the class chosen, or None while CLIP has said nothing; form: which of `both` is shown.
    """
    x0, _, x1, _ = sweep.across.T
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(f"**From {literal(sweep.around)} to the whole image**")
        sides = sweep.growing[:, 2:] - sweep.growing[:, :2]
        area = 100 * sides.prod(1)
        axis = "area of the crop, % of the image"
        p = both(known_probabilities(run, path, sweep.growing))[form]
        _curves(run, path, sweep.growing, area, axis, p, cls, colours, "sweep_size")
    with right:
        name = sweep.around[0].upper() + sweep.around[1:]
        st.markdown(f"**{literal(name)}, moved from left to right**")
        middle = 100 * (x0 + x1) / 2
        axis = "middle of the crop, % from the left"
        p = both(known_probabilities(run, path, sweep.across))[form]
        _curves(run, path, sweep.across, middle, axis, p, cls, colours, "sweep_place")


def _curves(
    run: Run,
    path: Path,
    boxes: np.ndarray,
    x: np.ndarray,
    axis: str,
    p: np.ndarray,
    cls: str | None,
    colours: dict[str, str],
    key: str,
) -> None:
    """The curves of one sweep: p [STEPS, C] of its boxes [STEPS, 4] over x [STEPS]."""
    spots = np.linspace(0, STEPS - 1, PICTURES).round().astype(int)
    pictures = crop_urls(path, tuple(unit_box(boxes[i]) for i in spots))
    if cls is None or np.isnan(p).all():
        picture_strip(pictures, SWEEP_HEIGHT)
        return
    highest = np.nan_to_num(p).max(0)
    strongest = [run.classes[c] for c in np.argsort(-highest, kind="stable")[:CURVES]]
    names = list(dict.fromkeys([cls, *strongest]))[:CURVES]
    curves = {name: p[:, run.classes.index(name)] for name in names}
    seen = list(zip(np.linspace(x[0], x[-1], PICTURES), pictures, strict=True))
    show_figure(sweep_curves(x, curves, _palette(names, colours), axis, cls, seen), key=key)


def _palette(names: list[str], colours: dict[str, str]) -> dict[str, str]:
    """A class keeps its bar's colour; those that share a colour or have none get what is left."""
    free = [colour for colour in class_colours(6) if colour not in {colours.get(name) for name in names}]
    grey = class_colours(7)[-1]
    taken: dict[str, str] = {}
    for name in names:
        colour = colours.get(name)
        if not colour or colour in taken.values():
            colour = free.pop() if free else grey
        taken[name] = colour
    return taken


# -- maps ------------------------------------------------------------------------------------------------


def maps_panel(
    run: Run, path: Path, maps: list[np.ndarray | None], cls: str | None, form: int, both: Both
) -> None:
    """Where a crop would have to be for CLIP to see the class; form: which of `both` is shown."""
    what = literal(cls or "a class")
    st.markdown(f"**Where would CLIP see {what}?**")
    of_class = [
        None if level is None or cls is None else both(level)[form][..., run.classes.index(cls)]
        for level in maps
    ]
    (whole,) = crop_urls(path, (view_sweeps.WHOLE,))
    if all(values is None for values in of_class):
        picture_strip([whole] * len(of_class), MAPS_HEIGHT)
    else:
        width, height = image_size(path)
        figure = place_maps(list(PLACES), of_class, cls or "a class", whole, width / height)
        show_figure(figure, key="place_maps")
    st.caption(
        f"Each map is the image; its colour is CLIP's probability of {what} for a crop of that size around "
        "that point, or as near as the image's edge lets it. If CLIP's answer did not depend on the view, "
        "every map would be one colour. Maps, and bars while the crop is dragged, are blended from the crops "
        "that CLIP was asked about. Curves and the bars of a crop at rest are CLIP's own answers."
    )
