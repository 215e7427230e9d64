"""Page Results: which classes are taken for each other, and the images that are most wrong or least sure."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from app.components.gallery import gallery
from app.figures import results as figures
from app.reading import runs as loaders
from app.reading.overlays import label_overlay
from app.reading.scores import confusion, judged, most_wrong
from app.widgets import choose_image, friendly_errors, literal, pick_class, show_figure
from ccd_core.evaluation import thresholds
from ccd_core.runs.run import Run

MANY = 25  # classes from which on a matrix cannot be read
FEWEST = 5  # images below which a rate says nothing
PAGE = 24


def _limits(run: Run) -> np.ndarray:
    saved = thresholds.of_run(run)
    st.caption(
        f"Labels at the run's saved thresholds: {saved.in_words}."
        if saved
        else "Labels at 0.5; save thresholds under **Thresholds** to use those."
    )
    return (saved or thresholds.Thresholds.same(run.classes, thresholds.DEFAULT)).array(run.classes)


def confusion_part(run: Run, split: str) -> None:
    known = judged(run, split)
    if known.targets is None:
        agreement_part(run)
        return
    st.caption(
        "A cell: of the images that have the column's class and not the row's, the share in which the row's class is predicted all the same."
    )
    rate, baseline, images = confusion(known, _limits(run))
    if len(run.classes) <= MANY:
        show_figure(figures.confusion_matrix(rate, baseline, run.classes), key="confusion")
    excess = np.where((images >= FEWEST) & np.isfinite(rate) & np.isfinite(baseline), rate - baseline, -1)
    strongest = [
        divmod(int(k), len(run.classes)) for k in np.argsort(-excess, axis=None)[:20] if excess.flat[k] > 0
    ]
    st.header("The strongest pairs", anchor=False)
    st.caption(
        f"How much more often a class is wrongly predicted where the other one is, than where it is not; pairs seen in {FEWEST} images or more."
    )
    if strongest:
        pairs = [
            (run.classes[a], run.classes[b], float(rate[a, b]), float(baseline[a, b])) for a, b in strongest
        ]
        show_figure(figures.confusion_pairs(pairs), key="confusion_pairs")
    else:
        st.info("No class is wrongly predicted more often beside another one.")


def agreement_part(run: Run) -> None:
    """Without ground truth: where the classifier and the final labels it learned from say different things."""
    st.caption(
        "Of the training images: where the classifier and the final labels it was trained on agree (label above 0.5, score at or above its threshold)."
    )
    if not run.has("labels.npz"):
        st.info("The run has no labels yet.")
        return
    predicted = loaders.scores(run, "train")["scores"] >= _limits(run).astype(np.float32)
    final = loaders.label_arrays(run)["final"] > 0.5
    show_figure(
        figures.agreement_bars(
            run.classes, (final & ~predicted).sum(0), (final & predicted).sum(0), (~final & predicted).sum(0)
        ),
        key="agreement",
    )


def wrong_part(run: Run, split: str) -> None:
    known = judged(run, split)
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    chosen = pick_class(run, "Class", "any class", left)
    cls = run.classes.index(chosen) if chosen else None
    if known.targets is None:
        st.caption("The images whose scores are nearest to 0.5, of which the classifier is least sure.")
        entries = _least_sure(known.scores, cls)
        kind = "unsure"
    else:
        kinds = {"false": "Wrongly predicted", "missed": "Missed"}
        kind = right.segmented_control(
            "Kind",
            list(kinds),
            format_func=kinds.__getitem__,
            default="false",
            required=True,
            key="kind",
            bind="query-params",
        )
        says = (
            "p, the score of a class that is not there"
            if kind == "false"
            else "1 - p of a class that is there"
        )
        st.caption(f"Sorted by loss: {says}. Ground truth decides what is wrong. A click shows why.")
        entries = most_wrong(run, split, kind, cls)
    if not entries:
        st.info(f"No image of this split {'lacks' if kind == 'false' else 'has'} the class.")
        return
    pages = max(1, -(-len(entries) // PAGE))
    page = min(st.pagination(pages, key="wrong_page", bind="query-params"), pages) if pages > 1 else 1
    items, targets = [], {}
    for row, c in entries[PAGE * (page - 1) : PAGE * page]:
        image = str(known.ids[row])
        if image in targets:
            continue  # an image once a page, with its worst class
        targets[image] = run.classes[c]
        there = [] if known.targets is None else [run.classes[i] for i in np.flatnonzero(known.targets[row])]
        tone = {"false": "bad", "missed": "note"}.get(kind, "")
        items.append(
            {
                "id": image,
                "caption": f"{run.classes[c]} {known.scores[row, c]:.2f}",
                "badges": [f"has {name}" for name in there[:4]],
                "tone": tone,
            }
        )
    picked = gallery(run, items, key="wrong")
    if (
        picked in targets and split == "train"
    ):  # the page CAM boxes is about the images that the run was trained on
        choose_image(picked)
        query: dict[str, Any] = {"run": run.name, "image": picked, "of": targets[picked]}
        st.switch_page("../pages/cam_boxes.py", query_params=query)
    if picked in targets:
        _show(run, picked, targets[picked])


@st.dialog("Why?", width="large")
@friendly_errors()
def _show(run: Run, image: str, label: str) -> None:
    path = loaders.image_path(run, image)
    left, right = st.columns(2)
    left.image(loaders.jpeg(path, 640), caption=literal(image), output_format="JPEG", alt="the image")
    right.image(
        label_overlay(run, path, run.classes.index(label)),
        caption=f"what speaks for {literal(label)}",
        output_format="JPEG",
        alt=f"the same image with the heat of {label}",
    )


def _least_sure(scores: np.ndarray, cls: int | None, most: int = 240) -> list[tuple[int, int]]:
    distance = np.abs(scores - 0.5) if cls is None else np.abs(scores[:, [cls]] - 0.5)
    nearest = distance.argmin(1)
    rows = np.argsort(distance[np.arange(len(distance)), nearest])[:most]
    return [(int(row), int(nearest[row]) if cls is None else cls) for row in rows]
