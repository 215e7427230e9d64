"""How good the classifier is, class by class, and where to draw the line (Tables 2-5)."""

from __future__ import annotations

import streamlit as st

from app import state
from app.choices import current_run
from app.parts.results.classes import classes_part
from app.parts.results.curves import curves_part
from app.parts.results.errors import confusion_part, wrong_part
from app.parts.results.marking import marking_part
from app.parts.results.thresholds import thresholds_part
from app.reading.ground_truth import why_no_truth
from app.reading.scores import SPLITS, scored, splits_of
from app.widgets import literal, metric_row, page_header, require

MEASURED = ("classes", "curves")  # parts about what the run itself measured
DRAW = {
    "classes": classes_part,
    "curves": curves_part,
    "thresholds": thresholds_part,
    "confusion": confusion_part,
    "wrong": wrong_part,
    "marking": marking_part,
}

run = current_run()
page_header(
    "Results",
    "How good is the classifier, class by class, and from which score on is a class a label?",
    "Average precision of a class: how far the images that have it are ranked above those that do not. 100 % "
    "is a perfect ranking; a class nobody has is left out of the mean. It needs no threshold; labels do, and "
    "the part Thresholds is where to choose one.",
    r"\mathrm{AP}_c = \sum_n (R_n - R_{n-1})\, P_n, \qquad \mathrm{mAP} = \frac{1}{C}\sum_c \mathrm{AP}_c",
)
require(run, "scores/train.npz", "predictions")
splits = splits_of(run)
measured = [split for split in splits if run.load_scores_of(split)]
options = measured or splits
truth = scored(run, options[0]).targets is not None
# Where there is no ground truth, marking a few images comes first: it is the way to a measured AP.
titles = {"classes": "Classes"} if measured else {}
titles |= {} if truth or measured else {"marking": "Label a few"}
titles |= {
    "curves": "Curves",
    "thresholds": "Thresholds",
    "confusion": "Confusion" if truth else "Agreement",
    "wrong": "Most wrong" if truth else "Least sure",
    "marking": "Label a few",
}

bar = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center")
part = bar.segmented_control(
    "Part",
    list(titles),
    format_func=titles.__getitem__,
    default=next(iter(titles)),
    required=True,
    key=state.PART,
    bind="query-params",
    label_visibility="collapsed",
)
part = part if part in titles else next(iter(titles))
split = options[0]
# Agreement is about the training images, the only ones with labels.
if len(options) > 1 and part != "marking" and (truth or part != "confusion"):
    split = bar.segmented_control(
        "Images",
        options,
        format_func=SPLITS.__getitem__,
        default=split,
        required=True,
        key=state.SPLIT,
        bind="query-params",
        label_visibility="collapsed",
    )
if part == "marking":
    pass  # says itself what it measures and on which images
elif not truth:
    text = "What is shown below needs no ground truth."
    if measured and part in MEASURED:
        text = "The AP below was measured by the run."
    st.info(f"{literal(why_no_truth(run, split), keep_code=True)} {text}")
elif not measured:
    st.info(
        "The run ended before there was ground truth, so it has no AP; a new run on the same folder is "
        "scored."
    )
if (main := run.load_scores_of(split)) and part in MEASURED:
    name = SPLITS[split]
    metric_row(
        [
            (f"mAP, {name}", f"{main['mAP']:.1f} %", "mean of the classes' AP"),
            (f"micro-AP, {name}", f"{main['micro_AP']:.1f} %", "AP over all (image, class) entries at once"),
            (f"F1 at 0.5, {name}", f"{main['F1']:.1f} %", "mean over the classes"),
        ]
    )
DRAW[part](run, split)
