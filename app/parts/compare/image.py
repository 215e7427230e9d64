"""Page Compare: what every method says of one image, side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import streamlit as st

from app import state
from app.choices import pick_image
from app.components.marked_image import marked_image
from app.figures.compare import label_heat
from app.parts.unknown_paths import ask_about
from app.reading.comparing.compared_images import ImageLabels, image_labels, image_source
from app.reading.ground_truth import image_truth
from app.reading.images import data_url, image_path
from app.reading.readable_folders import paths_to_ask_about
from app.widgets import SCROLLS_FROM, friendly_errors, literal, show_error, show_figure
from ccd_core.baselines.tables import TableFile
from ccd_core.errors import UserError
from ccd_core.runs.run import Run

SPLITS = {"val": "validation: scores", "train": "training: labels"}
TOP = 8  # classes that are shown at first
LONGER_SIDE = 640  # pixels


def image_part(table: TableFile, folder: Path) -> None:
    """An image of either split beside the heat map of its labels, and what is not there."""
    split = st.segmented_control(
        "Images",
        list(SPLITS),
        format_func=SPLITS.__getitem__,
        default="val",
        required=True,
        key=state.SPLIT,
        bind="query-params",
        label_visibility="collapsed",
        help="Scores of the classifiers on validation images, or the labels that they were trained on.",
    )
    labels = image_labels(folder, table, split)
    if labels is None:
        what = "scores of validation images" if split == "val" else "labels of training images"
        st.info(
            f"There are no {what} in this comparison's folder: neither examples.npz nor finished runs with "
            "images that they share."
        )
        return
    source = image_source(folder, table)
    if source is not None:
        ask_about(paths_to_ask_about(source), "open_compared_paths")
    image = pick_image(labels.ids, labels.ids)
    if image is None:
        return
    if source is not None and _is_another(labels, source, image, split):
        source = None
    truth = _truth(labels, source, image, split)
    left, right = st.columns([1, 3], gap="medium")
    with left:
        _picture(source, image)
    with right:
        _heat(table, labels.of(image), truth)
    _say_what_is_shown(labels, truth, split)


def _is_another(labels: ImageLabels, source: Run, image: str, split: str) -> bool:
    """Whether the run's image of this name shows other classes, so that it is another world's picture."""
    told = labels.truth_of(image)
    known = image_truth(source, image, split)
    return told is not None and known is not None and not np.array_equal(told, known[0], equal_nan=True)


def _picture(source: Run | None, image: str) -> None:
    if source is None:
        st.info(f"The picture of {literal(image)} is not on this machine; its labels are.")
        return
    try:
        marked_image(data_url(image_path(source, image), LONGER_SIDE), image, [])
    except UserError as error:
        show_error(error)
    st.caption(literal(image))


@friendly_errors()
def _heat(table: TableFile, values: dict[str, np.ndarray], truth: np.ndarray | None) -> None:
    together = np.stack(list(values.values()), 1).astype(float)
    many = len(table.classes) > TOP
    every = st.toggle("All classes", key=state.ALL_CLASSES, bind="query-params") if many else True
    rank = np.nan_to_num(together).max(1) + (0 if truth is None else 2 * (truth == 1))
    chosen = np.argsort(-rank, kind="stable")[: len(table.classes) if every else TOP].tolist()
    there = [table.classes[c] for c in chosen if truth is not None and truth[c] == 1]
    figure = label_heat(together[chosen], [table.classes[c] for c in chosen], list(values), there)
    with st.container(height=SCROLLS_FROM if figure.layout.height > SCROLLS_FROM else "content"):
        show_figure(figure, key="label_heat")


def _truth(labels: ImageLabels, source: Run | None, image: str, split: str) -> np.ndarray | None:
    """[C] of 0 and 1; None where it is not known."""
    found = labels.truth_of(image)
    if found is not None or source is None:
        return found
    known = image_truth(source, image, split)
    return None if known is None else known[0]


def _say_what_is_shown(labels: ImageLabels, truth: np.ndarray | None, split: str) -> None:
    text = "The kept model's score of each class, with the first seed that has finished."
    if split == "train":
        text = (
            "The label of each class that the method was trained on last, with the first seed that has "
            "finished. Methods that use labels show the labels that they were given, 0.5 for unknown ones."
        )
    if truth is not None:
        text += " ● and bold: truly in the image."
    if labels.missing:
        reasons = [f"{title} ({why})" for title, why in labels.missing.items()]
        text += f" Not here: {literal(', '.join(reasons))}."
    st.caption(text)
