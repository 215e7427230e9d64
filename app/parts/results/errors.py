"""Page Results: which classes are taken for each other, and the images that are most wrong or least sure."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from app import state
from app.choices import choose_image, pick_class
from app.components.gallery import gallery
from app.figures.confusion import agreement_bars, confusion_matrix, confusion_pairs
from app.reading.images import image_path, jpeg
from app.reading.overlays import label_overlay
from app.reading.runs import label_arrays, scores
from app.reading.scores import ScoredSplit, most_wrong, scored, thresholds_in_use
from app.widgets import friendly_errors, literal, pick_page, show_figure
from ccd_core.explore.mistakes import confusion, least_sure_entries, strongest_pairs
from ccd_core.runs.run import Run

MANY = 25  # classes from which on a matrix cannot be read
FEWEST = 5  # images below which a rate says nothing
PAGE = 24  # images
MOST = 240  # images
KINDS = {"false": "Wrongly predicted", "missed": "Missed"}
LOSSES = {"false": "p, the score of a class that is not there", "missed": "1 - p of a class that is there"}
TONES = {"false": "bad", "missed": "note"}


def _thresholds(run: Run) -> np.ndarray:
    """[C] float32: the run's thresholds; said in a caption."""
    used = thresholds_in_use(run)
    st.caption(f"Labels at the run's thresholds: {used.in_words}.")
    return used.array(run.classes).astype(np.float32)


# -- classes taken for each other ------------------------------------------------------------------------


def confusion_part(run: Run, split: str) -> None:
    """Which classes are predicted where another one is."""
    split_scores = scored(run, split)
    if split_scores.targets is None:
        _agreement(run)
        return
    st.caption(
        "A cell: of the images that have the column's class and not the row's, the share in which the row's "
        "class is predicted all the same."
    )
    rate, baseline, images = confusion(split_scores.scores, split_scores.targets, _thresholds(run))
    if len(run.classes) <= MANY:
        show_figure(confusion_matrix(rate, baseline, run.classes), key="confusion")
    st.header("The strongest pairs", anchor=False)
    st.caption(
        "How much more often a class is wrongly predicted where the other one is, than where it is not; "
        f"pairs seen in {FEWEST} images or more."
    )
    pairs = [
        (run.classes[a], run.classes[b], float(rate[a, b]), float(baseline[a, b]))
        for a, b in strongest_pairs(rate, baseline, images, FEWEST)
    ]
    if pairs:
        show_figure(confusion_pairs(pairs), key="confusion_pairs")
    else:
        st.info("No class is wrongly predicted more often beside another one.")


def _agreement(run: Run) -> None:
    """Without ground truth: where the classifier and the final labels that it learned from differ."""
    st.caption(
        "Of the training images: where the classifier and the final labels it was trained on agree "
        "(label above 0.5, score at or above its threshold)."
    )
    if not run.has("labels.npz"):
        st.info("The run has no labels yet.")
        return
    predicted = scores(run, "train")["scores"] >= _thresholds(run)
    final = label_arrays(run)["final"] > 0.5
    only_labelled = (final & ~predicted).sum(0)
    only_predicted = (~final & predicted).sum(0)
    figure = agreement_bars(run.classes, only_labelled, (final & predicted).sum(0), only_predicted)
    show_figure(figure, key="agreement")


# -- images that are most wrong --------------------------------------------------------------------------


def wrong_part(run: Run, split: str) -> None:
    """The images with the highest loss; without ground truth, those of which the classifier is least sure."""
    split_scores = scored(run, split)
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    chosen = pick_class(run, "Class", "any class", left)
    cls = run.classes.index(chosen) if chosen else None
    kind = ""
    if split_scores.targets is None:
        st.caption("The images whose scores are nearest to 0.5, of which the classifier is least sure.")
        entries = least_sure_entries(split_scores.scores, cls, MOST)
    else:
        kind = right.segmented_control(
            "Kind",
            list(KINDS),
            format_func=KINDS.__getitem__,
            default="false",
            required=True,
            key=state.MISTAKE_KIND,
            bind="query-params",
        )
        st.caption(f"Sorted by loss: {LOSSES[kind]}. Ground truth decides what is wrong. A click shows why.")
        entries = most_wrong(run, split, kind, cls, MOST)
    if not entries:
        st.info(f"No image of this split {'lacks' if kind == 'false' else 'has'} the class.")
        return
    page = pick_page(max(1, -(-len(entries) // PAGE)), state.MISTAKES_PAGE)
    tiles = _tiles(run, split_scores, entries[PAGE * (page - 1) : PAGE * page], TONES.get(kind, ""))
    picked = gallery(run, [tile for tile, _ in tiles.values()], key="wrong")
    if picked not in tiles:
        return
    label = tiles[picked][1]
    if split == "train":  # the page CAM boxes is about the images that the run was trained on
        choose_image(picked)
        query: dict[str, Any] = {state.RUN: run.name, state.IMAGE: picked, state.BOX_CLASS: label}
        st.switch_page("../pages/cam_boxes.py", query_params=query)
    _show_why(run, picked, label)


def _tiles(
    run: Run, split_scores: ScoredSplit, entries: list[tuple[int, int]], tone: str
) -> dict[str, tuple[dict[str, Any], str]]:
    """Image -> its tile and its worst class: every image once."""
    tiles: dict[str, tuple[dict[str, Any], str]] = {}
    for row, c in entries:
        image = str(split_scores.ids[row])
        if image in tiles:
            continue
        there: list[int] = []
        if split_scores.targets is not None:
            there = np.flatnonzero(split_scores.targets[row]).tolist()
        tile = {
            "id": image,
            "caption": f"{run.classes[c]} {split_scores.scores[row, c]:.2f}",
            "badges": [f"has {run.classes[i]}" for i in there[:4]],
            "tone": tone,
        }
        tiles[image] = (tile, run.classes[c])
    return tiles


@st.dialog("Why?", width="large")
@friendly_errors()
def _show_why(run: Run, image: str, label: str) -> None:
    path = image_path(run, image)
    left, right = st.columns(2)
    left.image(jpeg(path, 640), caption=literal(image), output_format="JPEG", alt="the image")
    right.image(
        label_overlay(run, path, run.classes.index(label)),
        caption=f"what speaks for {literal(label)}",
        output_format="JPEG",
        alt=f"the same image with the heat of {label}",
    )
