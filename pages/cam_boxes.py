"""Where the classifier sends CLIP to look again: maps, CAM boxes and local views, image by image (Sec. 3.2, Fig. 11)."""

from __future__ import annotations

from typing import NoReturn

import streamlit as st

from app.components.gallery import gallery_pages
from app.parts.cam_boxes import image_panel, methods_panel, views_panel
from app.reading import ground_truth as datasets
from app.reading import runs as loaders
from app.widgets import (
    choose_image,
    current_run,
    empty_state,
    filter_changed,
    friendly_errors,
    page_header,
    pick_class,
    pick_image,
    require,
)
from ccd_core.explore.browsing import AGREEMENTS, ORDERS, VERDICTS, select

run = current_run()
page_header(
    "CAM boxes",
    "Where in an image does CLIP look again, and what does it see there?",
    "The class activation map says which pixels speak for a class. The box around its brightest part, grown by the offset, is a local view: CLIP is asked again, about this part "
    "of the image only. Classes above the view threshold get one; the run itself chose its views after warm-up.",
    r"G_c(x) = \sum_{i=1}^{Q} w_i^{c\top} g_i(x), \qquad p_c^{local} = \max_{i} p_{i,c}^{patch}",
)
require(run, "views.parquet", "local views")
require(run, "labels.npz", "labels")
ids, row_of = loaders.image_ids(run)
counts = loaders.label_arrays(run)["n_views"]
scored, truth = run.has("scores", "train.npz"), datasets.ground_truth(run) is not None
most = int(counts.max()) if len(counts) else 0

bar = st.container(horizontal=True, vertical_alignment="bottom")  # breaks into rows where it is narrow
columns = [bar.container(width=width) for width in (150, 145, 145, 145, 125, 140)]


def class_changed() -> None:
    st.query_params.pop("of", None)
    filter_changed()


chosen = pick_class(run, "Images with a view of", "any class", columns[0], on_change=class_changed)
opinion = columns[1].selectbox(
    "CLIP and classifier", AGREEMENTS, key="opinion", bind="query-params", disabled=not scored, on_change=filter_changed,
    help="They disagree where one says yes (over 0.5) and the other no, of the chosen class or of any. CLIP's opinion is its debiased label of the whole image.",
)  # fmt: skip
verdict = columns[2].selectbox(
    "Classifier is", VERDICTS, key="verdict", bind="query-params", disabled=not (scored and truth), on_change=filter_changed,
    help="Against ground truth, at 0.5." if truth else datasets.why_no_truth(run),
)  # fmt: skip
order = columns[3].selectbox("Order", ORDERS, key="order", bind="query-params")
between = columns[4].slider(
    "Views of the image",
    0,
    max(1, most),
    (0, max(1, most)),
    key="views",
    bind="query-params",
    on_change=filter_changed,
)
layout = columns[5].segmented_control(
    "Show",
    ["Image", "Grid"],
    default="Image",
    required=True,
    key="layout",
    bind="query-params",
    width="stretch",
)

cls = run.classes.index(chosen) if chosen else None
found = loaders.image_signals(run, cls)
rows = select(
    ids, found, counts, among=loaders.images_with_view_of(run, chosen) if chosen else None, views_between=between,
    opinion=opinion if scored else "any", verdict=verdict if scored and truth else "any", order=order,
)  # fmt: skip
shown = [ids[row] for row in rows]


def nothing_fits() -> NoReturn:
    empty_state(
        "No image fits these filters",
        "Widen the number of views, or set a filter back to any.",
        icon=":material/filter_alt_off:",
    )
    st.stop()


def describe(image: str) -> dict:
    """What the grid says of an image: views, missed and falsely found classes, and its tone."""
    row = row_of[image]
    badges = [f"{counts[row]} views"]
    if found.missed[row] > 0:
        badges.append(f"{found.missed[row]} missed")
    if found.false_alarms[row] > 0:
        badges.append(f"{found.false_alarms[row]} false")
    tone = (
        "" if found.missed[row] < 0 else "good" if found.missed[row] + found.false_alarms[row] == 0 else "bad"
    )
    return {"caption": image, "badges": badges, "tone": tone}


def open_image(image: str) -> None:
    choose_image(image)
    st.session_state["layout"] = "Image"


if layout == "Grid":
    if not shown:
        nothing_fits()
    legend = "green: the classifier is right about every class, red: it is not. " if truth and scored else ""
    wanted = st.text_input(
        "Find by file name",
        key="find",
        bind="query-params",
        placeholder="Find by file name",
        label_visibility="collapsed",
        on_change=filter_changed,
    )
    shown = [name for name in shown if wanted.lower() in name.lower()]
    st.caption(
        f"{len(shown):,} of {len(ids):,} images; {legend}Click or press Enter to open one, arrow keys move."
    )
    gallery_pages(
        run, shown, describe, key="grid", selected=st.session_state.get("image"), on_pick=open_image
    )
    loaders.wake_predictor(run)  # an image will be opened
    st.stop()

image = pick_image(shown, row_of)
if image is None:
    nothing_fits()
with friendly_errors():
    path = loaders.image_path(run, image)
    state, answer = image_panel(run, image, path, cls)
    views_panel(run, image, path, state, answer)
    methods_panel(run, image, path, state)
