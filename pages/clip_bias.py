"""Which classes CLIP favours, and what dividing by its bias does (Sec. 3.3, Figs. 2, 9, 10)."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from app.components.gallery import gallery
from app.figures import bias as figures_bias
from app.reading import ground_truth as datasets
from app.reading import runs as loaders
from app.reading.labels import (
    class_figure,
    compared_evidence,
    entropy_slider,
    global_evidence,
    pick_part,
    pseudo_label_counts,
    true_counts,
    true_rates,
    which_images,
)
from app.widgets import (
    choose_image,
    current_run,
    friendly_errors,
    literal,
    metric_row,
    page_header,
    pick_class,
    require,
    show_figure,
)
from ccd_core.explore.relabel import ClipOutputs
from ccd_core.method.bias import Bias, bias_in_use
from ccd_core.runs.run import Run

SHOWN = 5  # images of either end
PART = "bias_part"
BY_CLASS, DEBIASING, COUNTS = "Bias by class", "Before and after", "Label counts"


@st.fragment
@friendly_errors()
def bias_and_what_it_changes(run: Run) -> None:
    evidence = global_evidence(run)
    threshold, most = entropy_slider(run)
    bias = evidence.bias(threshold)
    show_figure(
        figures_bias.entropy_histogram(evidence.entropy, threshold, run.config.bias.entropy_threshold, most),
        key="entropy_histogram",
    )
    if not bias.used.any():
        st.warning(
            "No image has so little entropy, so no bias is measured: every class shows its fallback. Raise the threshold.",
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
    draw = {
        BY_CLASS: lambda: bias_of_classes(run, evidence, bias),
        DEBIASING: lambda: before_and_after(run, bias),
        COUNTS: lambda: label_counts(run),
    }
    draw[pick_part(list(draw), PART)]()


def bias_of_classes(run: Run, evidence: ClipOutputs, bias: Bias) -> None:
    classes = run.classes
    least_favoured = classes[int(np.argmin(evidence.bias(run.config.bias.entropy_threshold).value))]
    chosen = pick_class(
        run,
        "Class",
        f"{least_favoured}, the least favoured",
        help="Or click a class in the figure; its images are below.",
    )
    index = classes.index(chosen or least_favoured)
    class_figure(
        figures_bias.bias_by_class(classes, bias, evidence.by_class, evidence.top_p, index),
        "bias_by_class",
        (PART, BY_CLASS),
    )
    st.caption(
        "Left: the bias, mean top-1 probability of the low-entropy images (Fig. 2d). Middle: top-1 probabilities of the images where the class comes first (Fig. 9); the diamond is "
        "the bias. Right: images that measured it, of those. Hatched or hollow: no low-entropy image has this class first, so the mean over all images where it is first is used, or the other classes' mean."
    )
    images_of_class(run, evidence, bias, index)
    with st.expander("Table"):
        table = {
            "class": classes,
            "bias": bias.value,
            "images": bias.count,
            "mean probability": evidence.p.mean(1),
            "measured": bias.measured,
        }
        st.dataframe(table, hide_index=True)


def images_of_class(run: Run, evidence: ClipOutputs, bias: Bias, index: int) -> None:
    name, (ids, _) = run.classes[index], loaders.image_ids(run)
    st.header(f"Images where CLIP says {literal(name)} first", anchor=False)
    surest, least = evidence.extremes(index, SHOWN)
    if not len(surest):
        st.info(
            f"{literal(name)} is not the first class of any image, so its bias is the mean of the other classes'. Its highest probability is {evidence.p[index].max():.2f}."
        )
        return

    def described(row: int) -> dict[str, Any]:
        badges = [f"entropy {evidence.entropy[row]:.2f}", *(["counts"] if bias.used[row] else [])]
        return {
            "id": ids[row],
            "caption": f"{name} {evidence.top_p[row]:.2f}",
            "badges": badges,
            "tone": "note" if bias.used[row] else "",
        }

    for end, rows in (("most", surest), ("least", least)):
        if len(rows):
            st.markdown(f"**{end.capitalize()} confident**")
            if picked := gallery(
                run, [described(row) for row in rows], key=f"{end}_confident", on_pick=choose_image
            ):
                st.switch_page("../pages/labels.py", query_params={"run": run.name, "image": picked})
    st.caption("Click an image to see its labels. Those with an orange line count towards the bias.")


def before_and_after(run: Run, bias: Bias) -> None:
    true_rate, evidence, mode = true_rates(run), compared_evidence(run), run.config.bias.mode
    divisor = bias_in_use(bias.value, "class" if mode == "none" else mode)
    assert divisor is not None  # only mode "none" divides by nothing
    before, after = evidence.p.mean(1), evidence.mean_initial(divisor, run.config.bias.floor)
    names = ("before: p", "after: p over bias" if mode == "none" else "after: initial label")
    said = {
        "none": "This run's labels are not debiased; here is what it would do. ",
        "constant": "This run divides every class by the same number. ",
    }
    text = said.get(mode, "")
    if true_rate is None:
        raises = (
            "" if mode == "constant" else "Dividing by the bias raises every class, the least favoured most. "
        )
        st.caption(f"{text}{raises}{datasets.why_no_truth(run)}")
    else:
        distances = [np.abs(values - true_rate).mean() for values in (before, after)]
        st.caption(
            f"{text}Mean label of each class, and how often it is truly there (red line): {distances[0]:.3f} away on average before, {distances[1]:.3f} after. "
            f"Dividing does not change a class's AP: its ranking stays.{which_images(run)}"
        )
    class_figure(
        figures_bias.before_and_after(run.classes, before, after, true_rate, names, "mean over images"),
        "debiasing",
        (PART, BY_CLASS),
    )


def label_counts(run: Run) -> None:
    truth = true_counts(run)
    counts = {} if truth is None else {"ground truth": truth[0]}
    counts["CLIP top-1"] = np.array([len(rows) for rows in compared_evidence(run).by_class])
    if run.has("labels.npz"):
        counts["pseudo-label > 0.5"] = pseudo_label_counts(run)
    st.caption(
        "How many images have each class? CLIP sees the salient object of an image, so its top-1 counts do not follow the truth (Fig. 10). "
        f"Pseudo-labels are the run's final labels; the threshold above does not change them.{which_images(run)}"
    )
    class_figure(figures_bias.count_bars(run.classes, counts), "counts", (PART, BY_CLASS))


run = current_run()
page_header(
    "CLIP bias",
    "Which classes does CLIP favour, and what does dividing by its bias do?",
    "CLIP gives some classes low probabilities even where they are plainly there, because their names are ambiguous. The CLIP bias of a class is its mean probability in the "
    "images of which CLIP is sure (low entropy) and where the class comes first. Labels are divided by it.",
    r"b_c = \frac{1}{|S_c|}\sum_{i \in S_c} p_{i,c}, \quad S_c = \{ i : H(p_i) \le T,\ c = \arg\max p_i \}, \qquad l^{initial} = \mathrm{clip}\left(\frac{\max(p, \epsilon)}{b}, 0, 1\right)",
)
require(run, "global.npz", "global probabilities")
bias_and_what_it_changes(run)
