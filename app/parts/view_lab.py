"""The View lab's pieces below the image: what CLIP says along a sweep and at every place, and the bar while it is still being asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from app.components.clip_progress import asking
from app.components.view_cards import crops, picture_strip
from app.figures.view_lab import MAPS_HEIGHT, SWEEP_HEIGHT, class_colours, place_maps, sweep_curves
from app.parts.cam_boxes import grown
from app.reading import runs as loaders
from app.reading.clip_queue import Box, how_far, key, known, pursue
from app.routes import asked_url
from app.widgets import literal, show_figure
from ccd_core.data.images import image_size
from ccd_core.explore import view_sweeps
from ccd_core.runs.run import Run

# Sizes of crops as shares of the image's sides, and how many places along a side each is tried at: so many that between them a class's
# probability is met by blending to about 0.045 on average, which large crops need fewer for (measured on toy scenes).
PLACES = {0.25: 7, 0.4: 7, 0.6: 7, 0.8: 5}
CURVES, STEPS, PICTURES = 5, 13, 6
CROP = "the crop"
REDRAW = 2.0  # seconds after which the page is drawn anew with what has come, where CLIP is slow

Both = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # probabilities -> the same, and debiased


@dataclass(frozen=True)
class Sweep:
    """What a crop is swept around, and its boxes [STEPS, 4] as it grows to the whole image and as it moves from left to right."""

    around: str
    growing: np.ndarray
    across: np.ndarray

    @classmethod
    def of(cls, around: str, box: tuple[float, float, float, float]) -> Sweep:
        return cls(around, view_sweeps.growing(box, STEPS), view_sweeps.across(box, STEPS))


def stages(own: np.ndarray, sweep: Sweep) -> list[np.ndarray]:
    """The boxes that CLIP is asked about, in the order in which a person needs them: the bars' own, curves, coarse maps, fine maps."""
    coarse, fine = (
        [view_sweeps.grid(side, places)[::step, ::step].reshape(-1, 4) for side, places in PLACES.items()]
        for step in (2, 1)
    )
    return [own, np.concatenate([sweep.growing, sweep.across]), np.concatenate(coarse), np.concatenate(fine)]


def levels(run: Run, path: Path) -> list[np.ndarray | None]:
    """[P, P, C] of each size of crop: at all its places, before that at every other one, before that None."""
    found: list[np.ndarray | None] = []
    for side, places in PLACES.items():
        fine = known(run, path, view_sweeps.grid(side, places).reshape(-1, 4)).reshape(places, places, -1)
        found.append(next((level for level in (fine, fine[::2, ::2]) if not np.isnan(level).any()), None))
    return found


def filling(run: Run, path: Path, wanted: list[np.ndarray], drawn: frozenset[Box]) -> None:
    """How far CLIP has been asked, and on with it; the page, which shows what was known as `drawn`, is drawn anew with every stage."""
    asking(
        asked_url(pursue(run, path, wanted)), how_far([map(key, stage) for stage in wanted], drawn), REDRAW
    )


def pick_sweep(run: Run, path: Path, crop: tuple, truth: list[dict[str, Any]], awake: bool) -> Sweep:
    """What to sweep around: the crop, a true object, or without truth a local view of the classifier (once the predictor is `awake`)."""
    places = {CROP: crop} | {f"{t['name']} {number}": tuple(t["box"]) for number, t in enumerate(truth, 1)}
    if not truth and not awake:
        st.pills(
            "Sweep around", [CROP], disabled=True
        )  # not the one of the link, which may name a view that is not known yet
        return Sweep.of(CROP, crop)
    if not truth:
        places |= cam_boxes(run, path)
    if st.session_state.get("around") not in places:
        st.session_state.pop("around", None)  # an object of another image
    first = list(places)[1] if truth else CROP
    around = st.pills(
        "Sweep around", list(places), default=first, key="around", bind="query-params",
        help="True boxes where there are any, else the boxes of the classifier's maps.",
    )  # fmt: skip
    around = around if around in places else first
    return Sweep.of(around, places[around])


def sweep_panel(
    run: Run, path: Path, sweep: Sweep, cls: str | None, form: int, both: Both, colours: dict[str, str]
) -> None:
    """CLIP's probabilities along the two sweeps, with what it sees above them; no `cls` yet: what it will be asked about."""
    classes = list(run.classes)
    columns = st.columns(2, gap="large")
    for column, boxes, size in zip(columns, (sweep.growing, sweep.across), (True, False), strict=True):
        x = 100 * (
            (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
            if size
            else (boxes[:, 0] + boxes[:, 2]) / 2
        )
        p = both(known(run, path, boxes))[form]
        spots = np.linspace(0, STEPS - 1, PICTURES).round().astype(int)
        pictures = crops(str(path), tuple(tuple(boxes[i].tolist()) for i in spots), path.stat().st_mtime_ns)
        seen = list(zip(np.linspace(x[0], x[-1], PICTURES), pictures, strict=True))
        axis = "area of the crop, % of the image" if size else "middle of the crop, % from the left"
        with column:
            st.markdown(
                f"**From {literal(sweep.around)} to the whole image**"
                if size
                else f"**{literal(sweep.around[0].upper() + sweep.around[1:])}, moved from left to right**"
            )
            if cls is None or np.isnan(p).all():
                picture_strip(pictures, SWEEP_HEIGHT)
            else:
                strongest = (classes[c] for c in np.argsort(-np.nan_to_num(p).max(0), kind="stable")[:CURVES])
                curves = {
                    name: p[:, classes.index(name)]
                    for name in list(dict.fromkeys([cls, *strongest]))[:CURVES]
                }
                show_figure(
                    sweep_curves(x, curves, palette(curves, colours), axis, cls, seen),
                    key="sweep_size" if size else "sweep_place",
                )


def maps_panel(
    run: Run, path: Path, found: list[np.ndarray | None], cls: str | None, form: int, both: Both
) -> None:
    """Where a crop would have to be for CLIP to see the class."""
    what = cls or "a class"
    st.markdown(f"**Where would CLIP see {literal(what)}?**")
    maps = [
        None if level is None or cls is None else both(level)[form][..., run.classes.index(cls)]
        for level in found
    ]
    (whole,) = crops(str(path), (view_sweeps.WHOLE,), path.stat().st_mtime_ns)
    width, height = image_size(path)
    if all(values is None for values in maps):
        picture_strip([whole] * len(maps), MAPS_HEIGHT)
    else:
        show_figure(place_maps(list(PLACES), maps, what, whole, width / height), key="place_maps")
    st.caption(
        f"Each map is the image; its colour is CLIP's probability of {literal(what)} for a crop of that size around that point, or as near as the image's edge lets it. Were CLIP's opinion independent of the view, every map would be one colour. "
        "Maps, and bars while the crop is dragged, are blended from the crops that CLIP was asked about. Curves and the bars of a crop at rest are CLIP's own answers."
    )


def palette(curves: dict[str, np.ndarray], colours: dict[str, str]) -> dict[str, str]:
    """A class keeps its bar's colour where it has one; those that share a colour or have none get what is left."""
    free = [colour for colour in class_colours(6) if colour not in {colours.get(name) for name in curves}]
    taken: dict[str, str] = {}
    for name in curves:
        colour = colours.get(name)
        taken[name] = (
            colour
            if colour and colour not in taken.values()
            else free.pop()
            if free
            else class_colours(7)[-1]
        )
    return taken


def cam_boxes(run: Run, path: Path) -> dict[str, tuple]:
    """The local views that the classifier would ask for: around the maps of its three surest classes."""
    answer = loaders.explain(run, path, (run.config.views.cam_threshold,))
    frame, offset, found = answer["frame"], run.config.views.offset, {}
    for c in np.argsort(-np.array(answer["scores"]))[:3]:
        if box := answer["boxes"][c][0]:
            found[f"CAM view of {run.classes[c]}"] = tuple(
                round(side / frame, 4) for side in grown(box, offset, frame)
            )
    return found
