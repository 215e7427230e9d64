"""What the pages CLIP bias and Labels know of a run's images, gathered once and kept; and the class that a figure was clicked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from app.reading import ground_truth as datasets
from app.reading import runs as loaders
from app.widgets import show_figure
from ccd_core.evaluation.metrics import ClassMeasures, quick_measures
from ccd_core.explore.relabel import ClipOutputs, LabelStatistics, Relabelled, relabel
from ccd_core.method.bias import bias_in_use, debias
from ccd_core.method.none_images import none_images
from ccd_core.runs.run import Run

SCROLLS_FROM = 700  # pixels; a taller figure is shown in a box of this height


@st.cache_resource(max_entries=2, show_spinner="Reading what CLIP said of the images ...")
def _evidence(path: str, changed: float) -> ClipOutputs:
    run = Run.open(path)
    arrays = run.load_global()
    none = none_images(arrays["p_global"], arrays.get("similarity"), run.config.none_images)
    return ClipOutputs.of(arrays["p_global"], arrays["entropy"], none)


def global_evidence(run: Run) -> ClipOutputs:
    """What CLIP said of the whole images; shared between sessions, not to be written to."""
    return _evidence(str(run.path), run.file("global.npz").stat().st_mtime)


@st.cache_resource(max_entries=2, show_spinner=False)
def _rows_by_class(
    path: str, changed: float, data: datasets.Key
) -> tuple[np.ndarray, list[np.ndarray]] | None:
    run = Run.open(path)
    truth = datasets.targets(run, "train", loaders.global_arrays(run)["ids"])
    if truth is None or not len(truth[0]):
        return None
    rows, targets = truth
    return np.asarray(rows), [np.flatnonzero(column == 1) for column in targets.T]


def positives(run: Run) -> tuple[np.ndarray, list[np.ndarray]] | None:
    """Rows of the training images that have ground truth and, of each class, which of those have it; None where there is none."""
    return _rows_by_class(str(run.path), run.file("global.npz").stat().st_mtime, datasets.key(run))


def true_counts(run: Run) -> tuple[np.ndarray, int] | None:
    """[C] how many training images truly have each class, of how many with ground truth; None where there is none."""
    truth = positives(run)
    return None if truth is None else (np.array([len(rows) for rows in truth[1]]), len(truth[0]))


def true_rates(run: Run) -> np.ndarray | None:
    """[C] which share of the training images with ground truth truly have each class; None where there is none."""
    truth = true_counts(run)
    return None if truth is None else truth[0] / truth[1]


def compared_rows(run: Run) -> np.ndarray | None:
    """Rows of the images that are counted beside the truth, which only some have; None for all: each has it, or none."""
    truth = positives(run)
    return None if truth is None or len(truth[0]) == len(loaders.image_ids(run)[0]) else truth[0]


def which_images(run: Run) -> str:
    """A sentence on which images are counted beside the truth, where not all are, to follow another."""
    rows = compared_rows(run)
    return (
        ""
        if rows is None
        else f" Counted: the {len(rows):,} of {len(loaders.image_ids(run)[0]):,} images with ground truth."
    )


@st.cache_resource(max_entries=2, show_spinner=False)
def _compared_evidence(path: str, changed: float, data: datasets.Key) -> ClipOutputs:
    run = Run.open(path)
    rows = compared_rows(run)
    return global_evidence(run) if rows is None else global_evidence(run).subset(rows)


def compared_evidence(run: Run) -> ClipOutputs:
    """`global_evidence` of the images that are counted beside the truth."""
    return _compared_evidence(str(run.path), run.file("global.npz").stat().st_mtime, datasets.key(run))


@st.cache_data(max_entries=8, show_spinner=False)
def _pseudo_label_counts(path: str, changed: float, data: datasets.Key) -> np.ndarray:
    run = Run.open(path)
    rows = compared_rows(run)
    return np.count_nonzero(
        loaders.label_arrays(run)["final"][slice(None) if rows is None else rows] > 0.5, axis=0
    )


def pseudo_label_counts(run: Run) -> np.ndarray:
    """[C] how many of the images that are counted beside the truth have a final label over 0.5."""
    return _pseudo_label_counts(str(run.path), run.file("labels.npz").stat().st_mtime, datasets.key(run))


def debiasing(run: Run) -> Callable[[np.ndarray], np.ndarray]:
    """From CLIP's probabilities [..., C] to labels as the run makes them: divided by what its settings say, or as they are."""
    bias = np.array([run.load_bias()["classes"][name]["bias"] for name in run.classes], np.float32)
    divisor = bias_in_use(bias, run.config.bias.mode)
    return lambda p: p if divisor is None else debias(p, divisor, run.config.bias.floor)


def follow_run(run: Run, settings: dict[str, Any]) -> None:
    """Put sliders (key -> the run's value) back to the run's own values where another run was chosen since they were last shown."""
    shown = st.session_state.setdefault(
        "settings_of", {}
    )  # key -> the run; a link that names both a run and a value opens as written
    for key, value in settings.items():
        if shown.setdefault(key, str(run.path)) != str(run.path):
            st.session_state[key], shown[key] = value, str(run.path)


def entropy_slider(run: Run) -> tuple[float, float]:
    """The entropy threshold chosen, `?entropy=`, and the highest there is to choose: entropy of C equal probabilities."""
    used = float(run.config.bias.entropy_threshold)
    most = max(float(np.ceil(20 * np.log(len(run.classes))) / 20), used)
    follow_run(run, {"entropy": used})
    help_text = f"Only images with less entropy count towards the bias. The run used {used:g}."
    return st.slider(
        "Entropy threshold (nats)", 0.05, most, used, 0.05, key="entropy", bind="query-params", help=help_text
    ), most


def _choose(key: str, part: tuple[str, str]) -> None:
    points = st.session_state[key]["selection"]["points"]
    if points:
        if st.session_state[part[0]] != part[1]:
            st.query_params["class"] = points[0][
                "y"
            ]  # the field that would name it in the link is on the other part
        st.session_state["class"] = points[0]["y"]
        st.session_state[part[0]] = part[1]


def class_figure(figure: go.Figure, key: str, part: tuple[str, str] | None = None) -> None:
    """A figure with one row a class, which scrolls where it is tall.

    With `part`, key and value of the widget that chooses a part of the page, a click on a row chooses the class and goes to that part.
    """
    box = st.container(height=SCROLLS_FROM) if figure.layout.height > SCROLLS_FROM else st.container()
    clicks: dict[str, Any] = (
        {"on_select": partial(_choose, key, part), "selection_mode": "points"} if part else {}
    )
    with box:
        show_figure(figure, key, **clicks)


def pick_part(parts: list[str], key: str) -> str:
    """The part of the page to show, `?KEY=`: only its figures are computed and drawn when a slider moves."""
    if st.session_state.get(key) not in parts:
        st.session_state.pop(key, None)
    return st.segmented_control(
        "Part",
        parts,
        default=parts[0],
        required=True,
        key=key,
        bind="query-params",
        label_visibility="collapsed",
    )


# -- labels: as the run made them, and as other settings would ---------------------------------------


@st.cache_resource(max_entries=1, show_spinner="Reading what CLIP said of the local views ...")
def _evidence_with_views(path: str, changed: float) -> ClipOutputs:
    run = Run.open(path)
    rows = loaders.image_ids(run)[1]
    view_image = loaders.views(run)["image"].map(rows).to_numpy(int)
    return global_evidence(run).with_views(view_image, loaders.view_probabilities(run))


def label_evidence(run: Run) -> ClipOutputs:
    """What CLIP said of whole images and of local views, where the run has any; shared between sessions, not to be written to."""
    if not run.has("views.parquet"):
        return global_evidence(run)
    return _evidence_with_views(str(run.path), run.file("views.parquet").stat().st_mtime)


@dataclass(frozen=True)
class Labels:
    """final [C, N]; its statistics, where there is ground truth of the images that have it; its measures there."""

    final: np.ndarray
    statistics: LabelStatistics
    measures: ClassMeasures | None


def _described(run: Run, final: np.ndarray) -> Labels:
    truth = positives(run)
    if truth is None:
        return Labels(final, LabelStatistics.of(final), None)
    rows, of_class = truth
    scored = final if len(rows) == final.shape[1] else np.ascontiguousarray(final[:, rows])
    return Labels(final, LabelStatistics.of(scored), quick_measures(scored, of_class))


@st.cache_resource(max_entries=1, show_spinner=False)
def _run_labels(path: str, changed: float, data: datasets.Key) -> tuple[Labels, Labels]:
    run = Run.open(path)
    final = np.ascontiguousarray(loaders.label_arrays(run)["final"].T)
    return _described(run, final), _described(run, global_evidence(run).p)


def run_labels(run: Run) -> tuple[Labels, Labels]:
    """The run's final labels, and CLIP's probabilities of whole images taken for labels."""
    return _run_labels(str(run.path), run.file("labels.npz").stat().st_mtime, datasets.key(run))


@st.cache_resource(max_entries=2, show_spinner=False)
def _new_labels(
    path: str,
    changed: float,
    data: datasets.Key,
    alpha: float,
    floor: float,
    entropy_threshold: float,
    mode: str,
) -> tuple[Relabelled, Labels]:
    run = Run.open(path)
    config = run.config.changed(
        labels={"alpha": alpha}, bias={"floor": floor, "entropy_threshold": entropy_threshold, "mode": mode}
    )
    made = relabel(label_evidence(run), config, run_labels(run)[0].final)
    return made, _described(run, made.final)


def new_labels(
    run: Run, alpha: float, floor: float, entropy_threshold: float, mode: str
) -> tuple[Relabelled, Labels]:
    """The labels that the run would have with these settings."""
    return _new_labels(
        str(run.path),
        run.file("labels.npz").stat().st_mtime,
        datasets.key(run),
        alpha,
        floor,
        entropy_threshold,
        mode,
    )
