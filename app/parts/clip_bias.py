"""Parts of the page CLIP bias: the entropy threshold, and what the bias that it measures changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from app import state
from app.choices import choose_image, pick_class
from app.components.gallery import gallery
from app.figures.bias import before_and_after, bias_by_class, count_bars, entropy_histogram
from app.reading.ground_truth import true_counts, true_rates, which_images, why_no_truth
from app.reading.labels import clip_outputs, compared_outputs, pseudo_label_counts
from app.reading.runs import image_ids
from app.widgets import (
    class_figure,
    entropy_slider,
    folded,
    friendly_errors,
    literal,
    metric_row,
    pick_part,
    show_figure,
)
from ccd_core.explore.relabel import ClipOutputs
from ccd_core.explore.summary import rate_error
from ccd_core.method.bias import Bias, bias_in_use, entropy_limit, least_top_probability
from ccd_core.runs.run import Run

SHOWN = 5  # images of either end
FEW = 10  # images, below which a measured bias is mostly chance
NARROW = 1.5  # times; biases that can differ by less hardly change a label
BY_CLASS, DEBIASING, COUNTS = "Bias by class", "Before and after", "Label counts"
# How the run's own labels differ from what the page shows.
MODES = {
    "none": "This run's labels are not debiased; here is what it would do. ",
    "constant": "This run divides every class by the same number. ",
    "floor": "This run raises its labels to the floor and divides by nothing. ",
}


@st.fragment
@friendly_errors()
def bias_part(run: Run) -> None:
    """The entropy slider, what it measures, and the part of the page that is looked at."""
    outputs = clip_outputs(run)
    threshold, most = entropy_slider(run)
    bias = outputs.bias(threshold, run.config.bias.shrink)
    used = entropy_limit(run.config.bias, len(run.classes))
    show_figure(entropy_histogram(outputs.entropy, threshold, used, most), key="entropy_histogram")
    if not bias.used.any():
        st.warning(
            "No image has so little entropy, so no bias is measured: every class shows its fallback. "
            "Raise the threshold.",
            icon=":material/tune:",
        )
    metric_row(
        [
            (
                "Images used",
                f"{int(bias.used.sum()):,} of {len(bias.used):,}",
                "Images whose entropy lies below the threshold.",
            ),
            (
                "Most over least favoured",
                f"{bias.value.max() / bias.value.min():.1f} x",
                "The largest bias over the smallest.",
            ),
            (
                "Classes without a measurement",
                f"{int((~bias.measured).sum())} of {len(run.classes)}",
                "No low-entropy image has them first: fallback used.",
            ),
        ]
    )
    st.caption(_what_it_can_measure(bias, threshold))
    draw = {
        BY_CLASS: lambda: _bias_of_classes(run, outputs, bias),
        DEBIASING: lambda: _before_and_after(run, bias),
        COUNTS: lambda: _label_counts(run),
    }
    draw[pick_part(list(draw), state.BIAS_PART)]()


def _what_it_can_measure(bias: Bias, threshold: float) -> str:
    """Which biases the threshold lets through, in words."""
    least = least_top_probability(threshold)
    text = (
        f"**What this threshold can measure:** an image of at most {threshold:.2f} nats gives its first "
        f"class {least:.2f} or more. So every measured bias lies between {least:.2f} and 1, and the most "
        f"favoured class cannot have more than {1 / least:.2f} times the bias of the least favoured one. "
    )
    if 1 / least < NARROW:
        text += "Differences between classes hardly show here; a higher threshold lets them through. "
    few = int(((bias.count < FEW) & bias.measured).sum())
    if few:
        rest = "class rests" if few == 1 else "classes rest"
        text += f"{few} {rest} on fewer than {FEW} images."
    return text


def _bias_of_classes(run: Run, outputs: ClipOutputs, bias: Bias) -> None:
    own = outputs.bias(entropy_limit(run.config.bias, len(run.classes)), run.config.bias.shrink)
    least_favoured = run.classes[int(np.argmin(own.value))]
    chosen = pick_class(
        run,
        "Class",
        f"{least_favoured}, the least favoured",
        help="Or click a class in the figure; its images are below.",
    )
    index = run.classes.index(chosen or least_favoured)
    class_figure(
        bias_by_class(run.classes, bias, outputs.by_class, outputs.top_p, index),
        "bias_by_class",
        (state.BIAS_PART, BY_CLASS),
    )
    st.caption(
        "Left: the bias, mean top-1 probability of the low-entropy images (Fig. 2d). "
        "Middle: top-1 probabilities of the images where the class comes first (Fig. 9); the diamond is the "
        "bias. Right: images that measured it, of those. Hatched or hollow: no low-entropy image has this "
        "class first, so the mean over all images where it is first is used, or the other classes' mean."
    )
    _images_of_class(run, outputs, bias, index)
    with folded("Table", key="bias_table") as opened:
        if opened:
            table = {
                "class": run.classes,
                "bias": bias.value,
                "images": bias.count,
                "mean probability": outputs.p.mean(1),
                "measured": bias.measured,
            }
            st.dataframe(table, hide_index=True)


def _images_of_class(run: Run, outputs: ClipOutputs, bias: Bias, index: int) -> None:
    name = run.classes[index]
    ids, _ = image_ids(run)
    st.header(f"Images where CLIP says {literal(name)} first", anchor=False)
    surest, least = outputs.extremes(index, SHOWN)
    if not len(surest):
        st.info(
            f"{literal(name)} is not the first class of any image, so its bias is the mean of the other "
            f"classes'. Its highest probability is {outputs.p[index].max():.2f}."
        )
        return

    def described(row: int) -> dict[str, Any]:
        counts = bool(bias.used[row])
        return {
            "id": ids[row],
            "caption": f"{name} {outputs.top_p[row]:.2f}",
            "badges": [f"entropy {outputs.entropy[row]:.2f}", *(["counts"] if counts else [])],
            "tone": "note" if counts else "",
        }

    for end, rows in (("most", surest), ("least", least)):
        if not len(rows):
            continue
        st.markdown(f"**{end.capitalize()} confident**")
        items = [described(row) for row in rows]
        if picked := gallery(run, items, key=f"{end}_confident", on_pick=choose_image):
            st.switch_page("../pages/labels.py", query_params={state.RUN: run.name, state.IMAGE: picked})
    st.caption("Click an image to see its labels. Those with an orange line count towards the bias.")


def _before_and_after(run: Run, bias: Bias) -> None:
    rates = true_rates(run)
    outputs = compared_outputs(run)
    mode = run.config.bias.mode
    divisor = bias_in_use(bias.value, "class" if mode in ("none", "floor") else mode)
    assert divisor is not None  # only mode "none" gives no divisor
    before = outputs.p.mean(1)
    after = outputs.mean_initial(divisor, run.config.bias)
    names = ("before: p", "after: p over bias" if mode == "none" else "after: initial label")
    text = MODES.get(mode, "")
    if rates is None:
        if mode != "constant":
            text += "Dividing by the bias raises every class, the least favoured most. "
        st.caption(text + literal(why_no_truth(run), keep_code=True))
    else:
        st.caption(
            f"{text}Mean label of each class, and how often it is truly there (red line): "
            f"{rate_error(before, rates):.3f} away on average before, {rate_error(after, rates):.3f} after. "
            f"Dividing does not change a class's AP: its ranking stays.{which_images(run)}"
        )
    figure = before_and_after(run.classes, before, after, rates, names, "mean over images")
    class_figure(figure, "debiasing", (state.BIAS_PART, BY_CLASS))


def _label_counts(run: Run) -> None:
    truth = true_counts(run)
    counts = {} if truth is None else {"ground truth": truth[0]}
    counts["CLIP top-1"] = np.array([len(rows) for rows in compared_outputs(run).by_class])
    if run.has("labels.npz"):
        counts["pseudo-label > 0.5"] = pseudo_label_counts(run)
    st.caption(
        "How many images have each class? CLIP sees the salient object of an image, so its top-1 counts do "
        "not follow the truth (Fig. 10). Pseudo-labels are the run's final labels; the threshold above does "
        f"not change them.{which_images(run)}"
    )
    class_figure(count_bars(run.classes, counts), "counts", (state.BIAS_PART, BY_CLASS))
