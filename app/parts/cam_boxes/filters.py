"""Page CAM boxes: which images of the run to look at, and all of them as a grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import streamlit as st

from app import state
from app.choices import choose_image, filter_changed, find_field, pick_class
from app.components.gallery import gallery_pages
from app.reading.asking.predictor import wake_predictor
from app.reading.browsing import image_signals
from app.reading.ground_truth import ground_truth, why_no_truth
from app.reading.runs import image_ids, images_with_view_of, label_arrays
from app.widgets import empty_state, literal
from ccd_core.explore.browsing import AGREEMENTS, ORDERS, VERDICTS, Signals, select
from ccd_core.runs.run import Run

IMAGE, GRID = "Image", "Grid"


@dataclass(frozen=True)
class Filtered:
    """What the filters leave. ids: the images in order; cls: the class chosen; layout: IMAGE or GRID."""

    ids: list[str]
    cls: int | None
    layout: str


def filters(run: Run) -> Filtered:
    """The filters, the order and the layout, and the images that they leave."""
    ids, _ = image_ids(run)
    counts = label_arrays(run)["n_views"]
    scored = run.has("scores", "train.npz")
    truth = ground_truth(run) is not None
    most = max(1, int(counts.max(initial=0)))

    bar = st.container(horizontal=True, vertical_alignment="bottom")  # breaks into rows where it is narrow
    columns = [bar.container(width=width) for width in (150, 145, 145, 145, 125, 140)]
    chosen = pick_class(run, "Images with a view of", "any class", columns[0], on_change=_class_changed)
    agreement = columns[1].selectbox(
        "CLIP and classifier",
        AGREEMENTS,
        key=state.AGREEMENT,
        bind="query-params",
        disabled=not scored,
        on_change=filter_changed,
        help="They disagree where one says yes (over 0.5) and the other no, of the chosen class or of any. "
        "CLIP says what its debiased label of the whole image says.",
    )
    verdict = columns[2].selectbox(
        "Classifier is",
        VERDICTS,
        key=state.VERDICT,
        bind="query-params",
        disabled=not (scored and truth),
        on_change=filter_changed,
        help="Against ground truth, at 0.5." if truth else literal(why_no_truth(run), keep_code=True),
    )
    order = columns[3].selectbox("Order", ORDERS, key=state.ORDER, bind="query-params")
    between = columns[4].slider(
        "Views of the image",
        0,
        most,
        (0, most),
        key=state.VIEWS,
        bind="query-params",
        on_change=filter_changed,
    )
    layout = columns[5].segmented_control(
        "Show",
        [IMAGE, GRID],
        default=IMAGE,
        required=True,
        key=state.LAYOUT,
        bind="query-params",
        width="stretch",
    )
    cls = run.classes.index(chosen) if chosen else None
    rows = select(
        ids,
        image_signals(run, cls),
        counts,
        among=images_with_view_of(run, chosen) if chosen else None,
        views_between=between,
        agreement=agreement if scored else "any",
        verdict=verdict if scored and truth else "any",
        order=order,
    )
    return Filtered([ids[row] for row in rows], cls, layout)


def _class_changed() -> None:
    st.query_params.pop(state.BOX_CLASS, None)
    filter_changed()


def nothing_fits() -> NoReturn:
    """End the page where the filters leave no image."""
    empty_state(
        "No image fits these filters",
        "Widen the number of views, or set a filter back to any.",
        icon=":material/filter_alt_off:",
    )
    st.stop()


def grid_part(run: Run, filtered: Filtered) -> None:
    """The images that the filters leave as a grid, from which one is opened."""
    if not filtered.ids:
        nothing_fits()
    ids, row_of = image_ids(run)
    counts = label_arrays(run)["n_views"]
    found = image_signals(run, filtered.cls)
    legend = ""
    if ground_truth(run) is not None and run.has("scores", "train.npz"):
        legend = "green: the classifier is right about every class, red: it is not. "
    wanted = find_field().lower()
    shown = [name for name in filtered.ids if wanted in name.lower()]
    st.caption(
        f"{len(shown):,} of {len(ids):,} images; {legend}Click or press Enter to open one, arrow keys move."
    )
    gallery_pages(
        run,
        shown,
        lambda image: _tile(image, row_of[image], counts, found),
        key="grid",
        selected=st.session_state.get(state.IMAGE),
        on_pick=_open_image,
    )
    wake_predictor(run)  # an image will be opened


def _tile(image: str, row: int, views: np.ndarray, found: Signals) -> dict[str, Any]:
    """What the grid says of an image: views, missed and falsely found classes, and its tone."""
    missed = found.missed[row]
    false_alarms = found.false_alarms[row]
    badges = [f"{views[row]} views"]
    if missed > 0:
        badges.append(f"{missed} missed")
    if false_alarms > 0:
        badges.append(f"{false_alarms} false")
    tone = "good" if missed + false_alarms == 0 else "bad"
    if missed < 0:
        tone = ""  # nothing is known of it
    return {"caption": image, "badges": badges, "tone": tone}


def _open_image(image: str) -> None:
    choose_image(image)
    st.session_state[state.LAYOUT] = IMAGE
