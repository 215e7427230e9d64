"""Page Labels: the labels of one image, and the local views that they come from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from app import state
from app.choices import pick_image
from app.components.marked_image import marked_image
from app.components.view_cards import CardRow, ViewCard, view_cards
from app.figures.labels import GIVEN, label_bars, most_labelled
from app.reading.ground_truth import image_truth
from app.reading.images import image_path
from app.reading.labels import clip_outputs
from app.reading.runs import global_arrays, image_ids, label_arrays, view_probabilities, views_of
from app.routes import image_url
from app.widgets import class_figure, friendly_errors, literal
from ccd_core.data.decoding.images import image_size
from ccd_core.data.types import UnitBox
from ccd_core.runs.run import Run

TOP = 8  # classes of an image that are shown at first
SEEN = 3  # classes named beside a view
OF_IMAGE = "CLIP's probability for the whole image"
MEANINGS = (
    f"Global: {OF_IMAGE}. Initial: debiased. "
    "Local: debiased maximum over the views. Final: what is trained on."
)
MEANINGS_OF_OTHERS = (
    f"Global: {OF_IMAGE}, where the method asks CLIP. Initial: the training "
    "labels at first. Final: those at the end of training. 0.5 stands for what is not known."
)


FROM_PATCHES = "the probability that PIAA's recipe makes of CLIP's patches"


def _meanings(run: Run) -> str:
    """What the kinds of labels are, in sentences."""
    method = run.config.method
    text = MEANINGS if method.is_ccd else MEANINGS_OF_OTHERS
    return text.replace(OF_IMAGE, FROM_PATCHES) if method.from_patches else text


def image_part(run: Run) -> None:
    """One image with its views, and its labels of every kind."""
    ids, row_of = image_ids(run)
    image = pick_image(ids, row_of)
    assert image is not None  # no run is without images
    row = row_of[image]
    kinds = _labels_of(run, row, image)
    views = views_of(run, image) if run.has("views.parquet") else None
    boxes = [] if views is None else _unit_boxes(views, run.config.views.frame)

    left, right = st.columns([2, 3], gap="large")
    with left:
        marked_image(image_url(run.name, image, 640), image, boxes)
        if run.config.method.is_ccd:
            without = _final_without_views(run, row, len(boxes))
            st.caption(f"{literal(image)}: {len(boxes)} local views{without}.")
        else:
            st.caption(literal(image))
    with right:
        many = len(run.classes) > TOP
        every = st.toggle("All classes", key=state.ALL_CLASSES, bind="query-params") if many else True
        shown = most_labelled(kinds, len(run.classes) if every else TOP)
        p_views = np.empty((0, len(run.classes)), np.float32)
        if views is not None:
            p_views = view_probabilities(run)[views.index]
        best_view = p_views.argmax(0) if len(p_views) else None
        class_figure(label_bars(run.classes, kinds, shown, best_view), "label_bars")
        st.caption(_meanings(run) + (" ● and bold: truly in the image." if "ground truth" in kinds else ""))
    if views is not None and best_view is not None:
        local = kinds["local"]
        given = [c for c in shown if local[c] >= GIVEN]
        _views_part(run, image, views, boxes, p_views, {c: int(best_view[c]) for c in given})


def _labels_of(run: Run, row: int, image: str) -> dict[str, np.ndarray]:
    """Kind of label -> labels [C] of one image, what is truly there first."""
    labels = label_arrays(run)
    truth = image_truth(run, image)
    kinds = {} if truth is None else {"ground truth": truth[0]}
    if run.has("global.npz") or run.config.method.supervision == "none":
        kinds["global"] = global_arrays(run)["p_global"][row]
    made = ("initial", "local", "final") if run.config.method.is_ccd else ("initial", "final")
    return kinds | {kind: labels[kind][row] for kind in made}


def _unit_boxes(views: pd.DataFrame, frame: int) -> list[UnitBox]:
    rows = (views[["x0", "y0", "x1", "y1"]].to_numpy() / frame).tolist()
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in rows]


def _final_without_views(run: Run, row: int, views: int) -> str:
    """What becomes of the final label where that is not a mix of the two others."""
    if row in clip_outputs(run).none:
        return ", and it is taken to show none of the classes: its final labels are 0"
    if views:
        return ""
    if run.has("views.parquet") and not run.config.labels.views_required:
        return ", so its local label is that of a probability of 0 in every class"
    return ", so its final label is its initial one"


def _views_part(
    run: Run,
    image: str,
    views: pd.DataFrame,
    boxes: list[UnitBox],
    p_views: np.ndarray,
    best_view: dict[int, int],
) -> None:
    """Each view beside what CLIP says of it. best_view: class -> the view that gave its local label."""
    st.header("What CLIP says of each view", anchor=False)
    with friendly_errors():
        size = image_size(image_path(run, image))
        cards = []
        for number, (cls, box, p) in enumerate(zip(views["class"].tolist(), boxes, p_views, strict=True)):
            gives = [run.classes[c] for c, best in best_view.items() if best == number]
            cards.append(
                ViewCard(
                    title=f"view of {cls}",
                    box=(np.array(box) * [*size, *size]).tolist(),
                    rows=[CardRow(run.classes[c], float(p[c])) for c in np.argsort(-p)[:SEEN]],
                    number=number + 1,
                    gives=f"gives the local label of {', '.join(gives)}" if gives else "",
                )
            )
        view_cards(image_url(run.name, image, 960), size, cards, key="view_cards")
    st.caption(
        "Each view was cut around the classifier's map of one class, but CLIP says what it sees there of "
        "every class; each class keeps the strongest."
    )
