"""How good the classifier is, class by class, and where to draw the line (Tables 2-5)."""

from __future__ import annotations

import streamlit as st

from app.parts.results_classes import classes_part, curves_part
from app.parts.results_errors import confusion_part, wrong_part
from app.parts.results_thresholds import thresholds_part
from app.reading import ground_truth as datasets
from app.reading.scores import SPLITS, judged, splits_of
from app.widgets import current_run, metric_row, page_header, require

run = current_run()
page_header(
    "Results",
    "How good is the classifier, class by class, and from which score on is a class a label?",
    "Average precision of a class: how far the images that have it are ranked above those that do not. 100 % is a perfect ranking; a class nobody has is left out of the mean. "
    "It needs no threshold; labels do, and the part Thresholds is where to choose one.",
    r"\mathrm{AP}_c = \sum_n (R_n - R_{n-1})\, P_n, \qquad \mathrm{mAP} = \frac{1}{C}\sum_c \mathrm{AP}_c",
)
require(run, "scores/train.npz", "predictions")
report, splits = run.load_ap(), splits_of(run)
scored = [split for split in splits if report.get(split)]
options = scored or splits
truth = judged(run, options[0]).targets is not None
PARTS = ({"classes": "Classes"} if scored else {}) | {
    "curves": "Curves",
    "thresholds": "Thresholds",
    "confusion": "Confusion" if truth else "Agreement",
    "wrong": "Most wrong" if truth else "Least sure",
}
bar = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center")
part = bar.segmented_control(
    "Part",
    list(PARTS),
    format_func=PARTS.__getitem__,
    default=next(iter(PARTS)),
    required=True,
    key="part",
    bind="query-params",
    label_visibility="collapsed",
)
split = options[0]
if len(options) > 1 and (
    truth or part != "confusion"
):  # agreement is about the training images, the only ones with labels
    split = bar.segmented_control(
        "Images",
        options,
        format_func=SPLITS.__getitem__,
        default=split,
        required=True,
        key="split",
        bind="query-params",
        label_visibility="collapsed",
    )
if not truth:
    measured = scored and part in ("classes", "curves")
    st.info(
        f"{datasets.why_no_truth(run, split)} {'The AP below was measured by the run.' if measured else 'What is shown below needs no ground truth.'}"
    )
elif not scored:
    st.info(
        "The run ended before there was ground truth, so it has no AP; a new run on the same folder is scored."
    )
if scored and part in ("classes", "curves"):
    main = report[split]
    numbers = [("mAP", "mAP", "mean of the classes' AP"), ("micro-AP", "micro_AP", "AP over all (image, class) entries at once"), ("F1 at 0.5", "F1", "mean over the classes")]  # fmt: skip
    metric_row(
        [(f"{title}, {SPLITS[split]}", f"{main[key]:.1f} %", meaning) for title, key, meaning in numbers]
    )
draw = {
    "classes": classes_part,
    "curves": curves_part,
    "thresholds": thresholds_part,
    "confusion": confusion_part,
    "wrong": wrong_part,
}
draw[part if part in PARTS else next(iter(PARTS))](run, split)
