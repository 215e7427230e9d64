"""Page Results: thresholds, what they do, and saving them for Predict, `ccd predict` and Gradio."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from app import state
from app.figures.curves import over_threshold, pr_curves, score_histogram
from app.reading.cached import cached_by
from app.reading.runs import label_arrays
from app.reading.scores import FILE, scored, sorted_scores, thresholds_in_use
from app.widgets import Metric, folded, follow_run, friendly_errors, literal, metric_row, show_figure
from ccd_core.evaluation import thresholds
from ccd_core.evaluation.sorted_scores import Measures
from ccd_core.evaluation.thresholds import Thresholds
from ccd_core.runs.run import Run

WITHOUT_LABELS = "unlabelled"
WITHOUT_TRUTH = {"hand": "By hand", "rate": "Labels an image", WITHOUT_LABELS: "Without labels"}
WITH_TRUTH = {"hand": "By hand", "f1": "Best F1", "precision": "Precision"} | WITHOUT_TRUTH
EXPLAINED = {
    "hand": "Move the slider; everything below follows.",
    "f1": "Uses ground truth: the threshold whose labels have the highest F1, the harmonic mean of precision "
    "and recall.",
    "precision": "Uses ground truth: the lowest threshold whose labels are right that often. A class that "
    "cannot be gets 1, so no labels.",
    "rate": "Uses no ground truth: so many labels an image on average; with a threshold for each class, "
    "divided as the run's final labels are.",
    WITHOUT_LABELS: "Uses no ground truth: each class has the threshold halfway between two. One agrees best "
    "with the run's own labels, the other parts the low scores from the high ones. A run has these "
    "thresholds unless others are saved.",
}
ALL = "all classes"


@st.fragment
@friendly_errors()
def thresholds_part(run: Run, split: str) -> None:
    """How thresholds are chosen, what they do, and saving them."""
    split_scores = scored(run, split)
    has_truth = split_scores.targets is not None
    methods = WITH_TRUTH if has_truth else WITHOUT_TRUTH
    bar = st.container(horizontal=True, vertical_alignment="bottom")  # breaks into rows where it is narrow
    left = bar.container(width="content")
    middle = bar.container()
    right = bar.container(width="content")
    method = left.segmented_control(
        "Chosen by",
        list(methods),
        format_func=methods.__getitem__,
        default="hand",
        required=True,
        key=state.CHOSEN_BY,
        bind="query-params",
    )
    method = method if method in methods else "hand"
    target = _target(middle, run, method)
    per_class = method == WITHOUT_LABELS
    if not per_class:
        per_class = right.toggle("Each class its own", key=state.PER_CLASS, bind="query-params")
    _explain(method, split, has_truth)
    name = ALL
    if per_class:
        names = [ALL, *run.classes]
        name = st.selectbox("Look at class", names, index=1, key=state.LIMIT_CLASS, bind="query-params")
    if method == "hand":
        chosen = _moved(run, _start(run, split, per_class), name)
    elif method == WITHOUT_LABELS:
        chosen = _unlabelled(run)
    else:
        chosen = _choice(run, split, method, target, per_class)
    ranked = sorted_scores(run, split)
    measured = ranked.measures(chosen.array(run.classes))
    images = len(split_scores.ids)
    if name == ALL:
        _numbers_of_all(measured, images, int(ranked.positives.sum()) if has_truth else 0)
    else:
        _numbers_of_class(measured, images, run.classes.index(name))
    if not (per_class and name == ALL):  # no one line stands for many thresholds
        _figures(run, split, name, chosen.values[run.classes[0] if name == ALL else name])
    _table(run, chosen, measured)
    _save(run, chosen)


def _target(place: Any, run: Run, method: str) -> float | None:
    """What the thresholds are to reach: a precision, or labels an image."""
    if method == "precision":
        percent = place.slider(
            "Precision, at least (%)", 50, 100, 90, 1, key=state.PRECISION, bind="query-params"
        )
        return percent / 100
    if method == "rate":
        most = float(min(len(run.classes), 20))
        start = min(1.5, most)
        follow_run(run, {state.LABEL_RATE: start})
        return place.slider(
            "Labels an image, on average", 0.1, most, start, 0.1, key=state.LABEL_RATE, bind="query-params"
        )
    return None


def _explain(method: str, split: str, has_truth: bool) -> None:
    text = EXPLAINED[method]
    if method not in ("hand", WITHOUT_LABELS):
        images = "validation" if split == "val" else "training"
        text += f" Decided on the {images} images. Training never sees it."
    if not has_truth:
        text += " Without ground truth, precision, recall and F1 cannot be told."
    st.caption(text)


# -- the thresholds --------------------------------------------------------------------------------------


@cached_by(FILE, "labels.npz", data_set=True, copied=True, max_entries=256)
def _choice(run: Run, split: str, method: str, target: float | None, per_class: bool) -> Thresholds:
    ranked = sorted_scores(run, split, one_threshold=not per_class)
    shares = None
    if run.has("labels.npz"):
        total = label_arrays(run)["final"].mean(0, dtype=np.float64)
        shares = total / total.sum()
    return thresholds.choose(method, ranked, run.classes, target, shares, split)


@cached_by("labels.npz", "scores/train.npz", copied=True, max_entries=32)
def _unlabelled(run: Run) -> Thresholds:
    chosen = thresholds.choose_without_labels(run)
    return chosen or Thresholds.same(run.classes, thresholds.DEFAULT)


def _start(run: Run, split: str, per_class: bool) -> Thresholds:
    """Where sliders begin: at the saved thresholds of the same kind, else at 0.5."""
    saved = thresholds.of_run(run)
    values = np.full(len(run.classes), thresholds.DEFAULT)
    if saved and saved.per_class == per_class:
        values = saved.array(run.classes)
    by_name = dict(zip(run.classes, map(float, values), strict=True))
    return Thresholds(by_name, per_class=per_class, split=split, images=len(scored(run, split).ids))


def _moved(run: Run, start: Thresholds, name: str) -> Thresholds:
    """The thresholds as moved by hand. The session keeps them for each run, so that going back finds them."""
    every = st.session_state.setdefault(state.MOVED_THRESHOLDS, {})
    moved = every.setdefault((str(run.path), start.per_class), {})
    if start.per_class and name == ALL:
        st.caption("Choose a class to move its threshold.")
    else:
        before = moved.get(name, start.values[run.classes[0] if name == ALL else name])
        moved[name] = _slider(run, name, float(round(min(before, 1.0), 3)))
    if start.per_class:
        values = start.values | {cls: value for cls, value in moved.items() if cls != ALL}
    else:
        values = dict.fromkeys(run.classes, moved[ALL])
    return Thresholds(values, per_class=start.per_class, split=start.split, images=start.images)


def _slider(run: Run, name: str, start: float) -> float:
    """The slider of one class, or that of all classes, which is in the link."""
    label = f"Threshold, {literal(name)}"
    if name != ALL:
        key = state.class_threshold(str(run.path), run.classes.index(name))
        return st.slider(label, 0.0, 1.0, start, 0.005, format="%.3f", key=key)
    follow_run(run, {state.THRESHOLD: start})
    return st.slider(label, 0.0, 1.0, start, 0.005, format="%.3f", key=state.THRESHOLD, bind="query-params")


# -- what they do ----------------------------------------------------------------------------------------


def _percent(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.1f} %"


def _numbers_of_class(measured: Measures, images: int, cls: int) -> None:
    numbers: list[Metric] = [("Labelled images", f"{measured.labelled[cls]:,} of {images:,}")]
    if measured.precision is not None and measured.recall is not None and measured.f1 is not None:
        numbers += [
            ("Precision", _percent(measured.precision[cls])),
            ("Recall", _percent(measured.recall[cls])),
            ("F1", _percent(measured.f1[cls])),
        ]
    metric_row(numbers)


def _numbers_of_all(measured: Measures, images: int, positives: int) -> None:
    """positives: how many (image, class) entries are truly there."""
    labelled = int(measured.labelled.sum())
    numbers: list[Metric] = [("Labels an image", f"{labelled / max(images, 1):.2f}", "mean over the images")]
    if measured.true_positives is not None and measured.f1 is not None:
        right = int(measured.true_positives.sum())
        numbers += [
            (
                "Precision, all labels",
                _percent(right / labelled if labelled else np.nan),
                "of the labels given, how many are right",
            ),
            (
                "Recall, all labels",
                _percent(right / positives if positives else np.nan),
                "of the labels that are true, how many are given",
            ),
            ("Mean F1", _percent(np.nanmean(measured.f1)), "macro F1: every class counts the same"),
        ]
    metric_row(numbers)


def _figures(run: Run, split: str, name: str, limit: float) -> None:
    ranked = sorted_scores(run, split, one_threshold=name == ALL)
    column = 0 if name == ALL else run.classes.index(name)
    if not ranked.has_truth:
        show_figure(score_histogram(ranked.scores[column], limit, name), key="score_histogram")
        return
    curve = ranked.curve(column)
    left, right = st.columns(2)
    with left:
        show_figure(over_threshold(curve, limit), key="over_threshold")
    with right:
        figure = pr_curves({name: curve}, {name: limit})
        show_figure(figure.update_layout(height=320, showlegend=False), key="threshold_pr")


def _table(run: Run, chosen: Thresholds, measured: Measures) -> None:
    rows: dict[str, object] = {
        "class": run.classes,
        "threshold": chosen.array(run.classes),
        "labelled images": measured.labelled,
    }
    if measured.f1 is not None:
        rows |= {"precision": measured.precision, "recall": measured.recall, "F1": measured.f1}
    share = st.column_config.ProgressColumn(format="percent", min_value=0.0, max_value=1.0)
    columns: dict[str, Any] = {
        "threshold": st.column_config.NumberColumn(format="%.3f"),
        "precision": share,
        "recall": share,
        "F1": share,
    }
    with folded("Class by class", key="threshold_table", expanded=chosen.per_class) as opened:
        if opened:
            st.dataframe(rows, hide_index=True, column_config=columns, height=320)


def _save(run: Run, chosen: Thresholds) -> None:
    saved = thresholds.of_run(run) if run.has(thresholds.FILE) else None
    left, right = st.columns([1, 3], vertical_alignment="center")
    if left.button(
        "Save for Predict",
        type="primary",
        icon=":material/save:",
        key="save_thresholds",
        width="stretch",
        disabled=saved == chosen,
    ):
        with friendly_errors():
            thresholds.save(run, chosen)
            saved = chosen
    text = f"Saved: {saved.in_words}." if saved else f"None saved. In use: {thresholds_in_use(run).in_words}."
    right.caption(
        f"{text} The file is {literal(run.name)}/{thresholds.FILE}; "
        "`ccd predict` and `ccd gradio` read it too."
    )
