"""Page Results: choosing thresholds and seeing at once what they do; saved for Predict, `ccd predict` and Gradio."""

from __future__ import annotations

from typing import Literal

import numpy as np
import streamlit as st

from app.figures import results as figures
from app.reading import runs as loaders
from app.reading.labels import follow_run
from app.reading.scores import Key, changed, judged, ranking
from app.widgets import Metric, friendly_errors, literal, metric_row, show_figure
from ccd_core.evaluation import thresholds
from ccd_core.evaluation.sorted_scores import Measures
from ccd_core.evaluation.thresholds import Thresholds
from ccd_core.runs.run import Run

WITH_TRUTH = {"hand": "By hand", "f1": "Best F1", "precision": "Precision", "rate": "Labels an image"}
WITHOUT = {"hand": "By hand", "rate": "Labels an image"}
ONE = "all classes"


@st.fragment
@friendly_errors()
def thresholds_part(run: Run, split: str) -> None:
    known = judged(run, split)
    methods = WITHOUT if known.targets is None else WITH_TRUTH
    bar = st.container(horizontal=True, vertical_alignment="bottom")  # breaks into rows where it is narrow
    left, middle, right = bar.container(width="content"), bar.container(), bar.container(width="content")
    method = left.segmented_control(
        "Chosen by",
        list(methods),
        format_func=methods.__getitem__,
        default="hand",
        required=True,
        key="by",
        bind="query-params",
    )
    method = method if method in methods else "hand"
    target = _target(middle, run, method)
    per_class = right.toggle("Each class its own", key="each", bind="query-params")
    _explain(method, split, known.targets is not None)
    chosen = _chosen(run, split, method, target, per_class)
    name = ONE
    if per_class:
        names = [ONE, *run.classes]
        name = st.selectbox("Look at class", names, index=1, key="limit_class", bind="query-params")
    chosen = _moved(run, chosen, method, name)
    ranked, limits = ranking(run, split), chosen.array(run.classes)
    measured = ranked.measures(limits)
    _numbers(
        measured,
        len(known.ids),
        None if name == ONE else run.classes.index(name),
        int(ranked.positives.sum()) if ranked.has_truth else 0,
    )
    if not (per_class and name == ONE):  # no one line stands for many thresholds
        _figures(run, split, name, chosen.values[run.classes[0] if name == ONE else name])
    _table(run, chosen, measured)
    _save(run, chosen)


def _target(place, run: Run, method: str) -> float | None:
    if method == "precision":
        return (
            place.slider("Precision, at least (%)", 50, 100, 90, 1, key="precision", bind="query-params")
            / 100
        )
    if method == "rate":
        most = float(min(len(run.classes), 20))
        follow_run(run, {"rate": min(1.5, most)})
        return place.slider(
            "Labels an image, on average", 0.1, most, min(1.5, most), 0.1, key="rate", bind="query-params"
        )
    return None


def _explain(method: str, split: str, has_truth: bool) -> None:
    texts = {
        "hand": "Move the slider; everything below follows.",
        "f1": "Uses ground truth: the threshold whose labels have the highest F1, the harmonic mean of precision and recall.",
        "precision": "Uses ground truth: the lowest threshold whose labels are right that often. A class that cannot be gets 1, so no labels.",
        "rate": "Uses no ground truth: so many labels an image on average; with a threshold for each class, divided as the run's final labels are.",
    }
    where = (
        ""
        if method == "hand"
        else f" Decided on the {'validation' if split == 'val' else 'training'} images. Training never sees it."
    )
    st.caption(
        texts[method]
        + where
        + ("" if has_truth else " Without ground truth, precision, recall and F1 cannot be told.")
    )


@st.cache_data(max_entries=256, show_spinner=False)
def _choice(
    path: str, split: str, written: Key, method: str, target: float | None, per_class: bool, _run: Run
) -> Thresholds:
    ranked = ranking(_run, split, one_threshold=not per_class)
    shares = None
    if _run.has("labels.npz"):
        total = loaders.label_arrays(_run)["final"].mean(0, dtype=np.float64)
        shares = total / total.sum()
    return thresholds.choose(method, ranked, _run.classes, target, shares, split)


def _chosen(run: Run, split: str, method: str, target: float | None, per_class: bool) -> Thresholds:
    if method == "hand":
        saved = thresholds.of_run(run)
        start = (
            saved.array(run.classes)
            if saved and saved.per_class == per_class
            else np.full(len(run.classes), thresholds.DEFAULT)
        )
        return Thresholds(
            dict(zip(run.classes, map(float, start), strict=True)),
            per_class=per_class,
            split=split,
            images=len(judged(run, split).ids),
        )
    return _choice(str(run.path), split, changed(run, split), method, target, per_class, run)


def _moved(run: Run, chosen: Thresholds, method: str, name: str) -> Thresholds:
    """The chosen thresholds, moved by the slider: kept a class and a choice in the session, so that going back finds them."""
    if method != "hand":
        return chosen
    moved = st.session_state.setdefault("moved_thresholds", {}).setdefault(
        (str(run.path), chosen.per_class), {}
    )
    if chosen.per_class and name == ONE:
        st.caption("Choose a class to move its threshold.")
    else:
        start = float(
            round(min(moved.get(name, chosen.values[run.classes[0] if name == ONE else name]), 1.0), 3)
        )
        key = "threshold" if name == ONE else f"threshold {run.path} {run.classes.index(name)}"
        if name == ONE:
            follow_run(run, {key: start})
        in_link: Literal["query-params"] | None = "query-params" if name == ONE else None
        value = st.slider(
            f"Threshold, {literal(name)}", 0.0, 1.0, start, 0.005, format="%.3f", key=key, bind=in_link
        )
        moved[name] = value
    values = (
        dict.fromkeys(run.classes, moved[ONE])
        if not chosen.per_class
        else chosen.values | {c: v for c, v in moved.items() if c != ONE}
    )
    return Thresholds(values, per_class=chosen.per_class, split=chosen.split, images=chosen.images)


def _numbers(measured: Measures, images: int, cls: int | None, positives: int) -> None:
    percent = lambda value: "-" if np.isnan(value) else f"{100 * value:.1f} %"  # noqa: E731
    if cls is not None:
        numbers: list[Metric] = [("Labelled images", f"{measured.labelled[cls]:,} of {images:,}")]
        if measured.precision is not None and measured.recall is not None and measured.f1 is not None:
            numbers += [
                ("Precision", percent(measured.precision[cls])),
                ("Recall", percent(measured.recall[cls])),
                ("F1", percent(measured.f1[cls])),
            ]
    else:
        labelled = int(measured.labelled.sum())
        numbers = [("Labels an image", f"{labelled / max(images, 1):.2f}", "mean over the images")]
        if measured.right is not None and measured.f1 is not None:
            right = int(measured.right.sum())
            numbers += [
                (
                    "Precision, all labels",
                    percent(right / labelled if labelled else np.nan),
                    "of the labels given, how many are right",
                ),
                (
                    "Recall, all labels",
                    percent(right / positives if positives else np.nan),
                    "of the labels that are true, how many are given",
                ),
                ("Mean F1", percent(np.nanmean(measured.f1)), "macro F1: every class counts the same"),
            ]
    metric_row(numbers)


def _figures(run: Run, split: str, name: str, limit: float) -> None:
    known = judged(run, split)
    ranked = ranking(run, split, one_threshold=name == ONE)
    column = 0 if name == ONE else run.classes.index(name)
    if known.targets is None:
        show_figure(figures.score_histogram(ranked.scores[column], limit, name), key="score_histogram")
        return
    curve = ranked.curve(column)
    left, right = st.columns(2)
    with left:
        show_figure(figures.over_threshold(curve, limit), key="over_threshold")
    with right:
        show_figure(
            figures.pr_curves({name: curve}, {name: limit}).update_layout(height=320, showlegend=False),
            key="threshold_pr",
        )


def _table(run: Run, chosen: Thresholds, measured: Measures) -> None:
    rows: dict[str, object] = {
        "class": run.classes,
        "threshold": chosen.array(run.classes),
        "labelled images": measured.labelled,
    }
    share = st.column_config.ProgressColumn(format="percent", min_value=0.0, max_value=1.0)
    if measured.f1 is not None:
        rows |= {"precision": measured.precision, "recall": measured.recall, "F1": measured.f1}
    with st.expander("Class by class", expanded=chosen.per_class):
        number = st.column_config.NumberColumn(format="%.3f")
        st.dataframe(
            rows,
            hide_index=True,
            column_config={"threshold": number, "precision": share, "recall": share, "F1": share},
            height=320,
        )


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
    text = f"Saved: {saved.in_words}." if saved else "None saved yet: Predict uses 0.5."
    right.caption(
        f"{text} The file is `{run.name}/{thresholds.FILE}`; `ccd predict` and `ccd gradio` read it too."
    )
