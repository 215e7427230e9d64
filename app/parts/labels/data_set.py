"""Page Labels: the labels of the whole data set, as the run made them and as other settings would."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import streamlit as st

from app import state
from app.choices import choose_image, pick_class
from app.components.gallery import gallery
from app.figures.labels import RUN, SET, compared_measures, differences, label_histogram
from app.reading.ground_truth import image_truth, true_counts, true_rates, which_images, why_no_truth
from app.reading.labels import Labels, new_labels, run_labels
from app.reading.runs import image_ids
from app.widgets import (
    class_figure,
    entropy_slider,
    follow_run,
    friendly_errors,
    literal,
    metric_row,
    pick_part,
    show_figure,
)
from ccd_core.explore.relabel import Relabelled, most_changed
from ccd_core.explore.summary import rate_error
from ccd_core.method.bias import entropy_limit, floor_of
from ccd_core.runs.run import Run

ONE, ALL = "One image", "The whole data set"  # what the page shows
SCORES, BY_CLASS, CHANGED = "How good they are", "Class by class", "Images that change most"
UNSCORED = "Their distribution"  # the first part where there is no ground truth
MOST_CHANGED = 15  # images


@st.fragment
@friendly_errors()
def data_set_part(run: Run) -> None:
    """Sliders for the settings of the labels, and what they change."""
    alpha, floor, threshold, mode = _settings(run)
    if not run.has("views.parquet"):
        st.info(
            "This run took no local views (labels.update is off), so alpha changes nothing.",
            icon=":material/info:",
        )
    of_run, of_clip = run_labels(run)
    made, as_set = new_labels(run, alpha, floor, threshold, mode)
    _train_with(
        run,
        {
            "labels.alpha": f"{alpha:g}",
            "bias.floor": f"{floor:g}",
            "bias.entropy_threshold": f"{threshold:g}",
            "bias.entropy_share": "null",
            "bias.mode": mode,
        },
    )
    if as_set.measures is None:
        st.info(
            f"{literal(why_no_truth(run), keep_code=True)} Without it labels cannot be scored; "
            "the figures show what the settings change.",
            icon=":material/info:",
        )
    else:
        _numbers(run, of_run, as_set)
        if compared := which_images(run):
            st.caption(compared)
    draw: dict[str, Callable[[], None]] = {
        UNSCORED if as_set.measures is None else SCORES: lambda: _how_good(of_clip, of_run, as_set),
        BY_CLASS: lambda: _class_by_class(run, of_run, as_set),
        CHANGED: lambda: _most_changed(run, of_run, made),
    }
    draw[pick_part(list(draw), state.LABEL_PART)]()


def _settings(run: Run) -> tuple[float, float, float, str]:
    """alpha, floor, entropy threshold and debiasing mode, as set by the person."""
    own_alpha = float(run.config.labels.alpha)
    own_floor = floor_of(run.config.bias, len(run.classes))
    own_mode = run.config.bias.mode
    follow_run(
        run,
        {
            state.ALPHA: own_alpha,
            state.FLOOR: own_floor,
            state.DEBIAS: own_mode != "none",
            state.ENTROPY: entropy_limit(run.config.bias, len(run.classes)),
        },
    )
    columns = st.columns([3, 3, 3, 2], vertical_alignment="bottom")
    alpha = columns[0].slider(
        "alpha, weight of the initial label",
        0.0,
        1.0,
        own_alpha,
        0.05,
        key=state.ALPHA,
        bind="query-params",
        help=f"The run used {own_alpha:g} (Eq. 7).",
    )
    floor = columns[1].slider(
        "floor under probabilities",
        0.0,
        max(0.2, own_floor),
        own_floor,
        0.01,
        key=state.FLOOR,
        bind="query-params",
        help=f"The run used {own_floor:g}.",
    )
    with columns[2]:
        threshold, _ = entropy_slider(run)
    debiased = columns[3].toggle(
        "debias",
        own_mode != "none",
        key=state.DEBIAS,
        bind="query-params",
        help="Divide each class by its CLIP bias (Sec. 3.3).",
    )
    if not debiased:
        return alpha, floor, threshold, "none"
    return alpha, floor, threshold, "class" if own_mode == "none" else own_mode


def _train_with(run: Run, changes: dict[str, str]) -> None:
    """The way to the Train page, and the same as a command."""
    left, right = st.columns([1, 3], vertical_alignment="center")
    words = [f"{name}={value}" for name, value in changes.items()]
    left.page_link(
        "../pages/train.py",
        label="Train with these settings",
        icon=":material/model_training:",
        query_params={
            state.RUN: run.name,
            state.SETTINGS_FROM: run.name,
            state.SETTINGS_CHANGES: ";".join(words),
        },
    )
    options = [option for word in words for option in ("--set", word)]
    command = ["ccd", "run", "--config", str(run.file("config.yaml")), *options]
    right.code(shlex.join(command), language=None, wrap_lines=True)


def _numbers(run: Run, of_run: Labels, as_set: Labels) -> None:
    """How much better or worse the labels are than the run's own."""
    assert of_run.measures is not None and as_set.measures is not None
    before = of_run.measures.summary
    after = as_set.measures.summary
    rates = true_rates(run)
    assert rates is not None
    own_error = rate_error(of_run.statistics.mean, rates)
    new_error = rate_error(as_set.statistics.mean, rates)
    points = "Percentage points against this run."
    metric_row(
        [
            ("mAP, change", f"{100 * (after['mAP'] - before['mAP']):+.2f}", points),
            ("F1, change", f"{100 * (after['F1'] - before['F1']):+.2f}", points),
            (
                "Rate error",
                f"{new_error:.3f}",
                f"Mean over classes of |mean label - true rate|; {own_error:.3f} in this run.",
            ),
        ]
    )


def _how_good(of_clip: Labels, of_run: Labels, as_set: Labels) -> None:
    """Measures against ground truth, where there is any, and the distribution of the labels."""
    histogram = label_histogram({RUN: of_run.statistics.histogram, SET: as_set.statistics.histogram})
    if as_set.measures is None:
        show_figure(histogram, key="label_histogram")
        return
    left, right = st.columns([1, 1], gap="large")
    with left:
        st.markdown("**Against the ground truth**")
        kinds = {"CLIP, whole image": of_clip, RUN: of_run, SET: as_set}
        summaries = {
            kind: labels.measures.summary for kind, labels in kinds.items() if labels.measures is not None
        }
        show_figure(compared_measures(summaries), key="label_measures")
    with right:
        st.markdown("**Distribution of the final labels**")
        show_figure(histogram, key="label_histogram")
    st.caption(
        "mAP cannot show debiasing: dividing a class by its bias keeps its ranking, and so its AP; only ties "
        "at the floor and at 1 move it. F1 at 0.5, micro-AP and the label rates compare classes with each "
        "other, and can."
    )


def _class_by_class(run: Run, of_run: Labels, as_set: Labels) -> None:
    choices = ["mean label", "images with a label over 0.5"]
    if as_set.measures is not None:
        choices = ["AP", *choices]
    what = st.segmented_control(
        "Compare",
        choices,
        default=choices[0],
        required=True,
        key=state.COMPARE,
        bind="query-params",
        label_visibility="collapsed",
    )
    own = of_run.statistics
    new = as_set.statistics
    if what == "AP":
        assert of_run.measures is not None and as_set.measures is not None
        figure = differences(run.classes, of_run.measures.ap, as_set.measures.ap, None, "AP (%)", 100, 1)
    elif what == "mean label":
        rates = true_rates(run)
        title = "mean label" if rates is None else "mean label and true rate"
        figure = differences(run.classes, own.mean, new.mean, rates, title)
    else:
        counts = true_counts(run)
        truth = None if counts is None else counts[0]
        figure = differences(run.classes, own.above_half, new.above_half, truth, "images", digits=0)
    class_figure(figure, "label_differences", (state.LABEL_PART, CHANGED))
    st.caption("The greatest gain is on top. Click a class to see the images whose labels of it change most.")


def _most_changed(run: Run, of_run: Labels, made: Relabelled) -> None:
    """The images whose labels change most, and whether they come closer to the truth."""
    chosen = pick_class(run, "Class", "any class", help="Or click a class in the figure of the classes.")
    cls = run.classes.index(chosen) if chosen else None
    changed = most_changed(made, of_run.final, cls, MOST_CHANGED)
    if not changed:
        st.info(
            "No label changes: these are the run's own settings. Move a slider above.", icon=":material/tune:"
        )
        return
    ids, _ = image_ids(run)
    items = []
    for row, c in changed:
        before = of_run.final[c, row]
        after = made.final[c, row]
        item: dict[str, Any] = {"id": ids[row], "caption": f"{run.classes[c]} {before:.2f} → {after:.2f}"}
        truth = image_truth(run, ids[row])
        if truth is not None:
            closer = (after > before) == (truth[0][c] == 1)
            item["badges"] = ["closer to the truth" if closer else "further away"]
            item["tone"] = "good" if closer else "bad"
        items.append(item)
    if gallery(run, items, key="most_changed", on_pick=_show_image):
        st.rerun()  # the whole page: what it shows is chosen outside of this fragment
    st.caption("Click an image to see all its labels.")


def _show_image(image: str) -> None:
    choose_image(image)
    st.session_state[state.LABELS_SHOW] = ONE
