"""What CLIP said of a run's images, and the labels made of it: by the run, and by other settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from app.reading.cached import cached_by
from app.reading.ground_truth import compared_rows, positives
from app.reading.runs import image_ids, label_arrays, view_probabilities, views
from ccd_core.evaluation.metrics import ClassMeasures, quick_measures, ranked_labels
from ccd_core.explore.relabel import ClipOutputs, LabelStatistics, Relabelled, relabel
from ccd_core.method.bias import bias_in_use, debias_as_set
from ccd_core.method.none_images import none_images
from ccd_core.runs.run import Run

# -- what CLIP said ----------------------------------------------------------------------------------


@cached_by("global.npz", max_entries=2, show_spinner="Reading what CLIP said of the images ...")
def clip_outputs(run: Run) -> ClipOutputs:
    """What CLIP said of the whole images; shared between sessions, not to be written to."""
    arrays = run.load_global()
    p = arrays.get("p_clip", arrays["p_global"])  # labels from patches have CLIP's own beside them
    none = none_images(p, arrays.get("similarity"), run.config.none_images)
    return ClipOutputs.of(p, arrays["entropy"], none)


@cached_by("global.npz", data_set=True, max_entries=2)
def compared_outputs(run: Run) -> ClipOutputs:
    """`clip_outputs` of the images that are counted beside the truth."""
    rows = compared_rows(run)
    return clip_outputs(run) if rows is None else clip_outputs(run).subset(rows)


@cached_by(
    "global.npz", "views.parquet", max_entries=1, show_spinner="Reading what CLIP said of the local views ..."
)
def _outputs_with_views(run: Run) -> ClipOutputs:
    row_of = image_ids(run)[1]
    view_image = views(run)["image"].map(row_of).to_numpy(int)
    return clip_outputs(run).with_views(view_image, view_probabilities(run))


def outputs_with_views(run: Run) -> ClipOutputs:
    """What CLIP said of whole images and of local views, where the run has any.

    Shared between sessions, not to be written to.
    """
    return _outputs_with_views(run) if run.has("views.parquet") else clip_outputs(run)


def debiasing(run: Run) -> Callable[[np.ndarray], np.ndarray]:
    """From CLIP's probabilities [..., C] to labels, as the run makes them: debiased, or as they are."""
    if not run.config.method.is_ccd:
        return lambda p: p  # no other method measures a bias
    bias = np.array([run.load_bias()["classes"][name]["bias"] for name in run.classes], np.float32)
    divisor = bias_in_use(bias, run.config.bias.mode)
    classes = len(run.classes)
    return lambda p: p if divisor is None else debias_as_set(p, divisor, run.config.bias, classes)


# -- labels ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Labels:
    """Final labels [C, N] and their statistics; measures against ground truth where there is any.

    Statistics and measures are of the images that have ground truth, or of all images where none has.
    """

    final: np.ndarray
    statistics: LabelStatistics
    measures: ClassMeasures | None


def _described(run: Run, final: np.ndarray) -> Labels:
    truth = positives(run)
    if truth is None:
        return Labels(final, LabelStatistics.of(final), None)
    rows, of_class = truth
    scored = final if len(rows) == final.shape[1] else np.ascontiguousarray(final[:, rows])
    ranked = ranked_labels(scored)
    return Labels(final, LabelStatistics.of(scored, ranked), quick_measures(scored, of_class, ranked))


@cached_by("labels.npz", data_set=True, max_entries=1)
def run_labels(run: Run) -> tuple[Labels, Labels]:
    """The run's final labels, and CLIP's probabilities of whole images taken for labels."""
    final = np.ascontiguousarray(label_arrays(run)["final"].T)
    return _described(run, final), _described(run, clip_outputs(run).p)


@cached_by("labels.npz", data_set=True, max_entries=2)
def new_labels(
    run: Run, alpha: float, floor: float, entropy_threshold: float, mode: str
) -> tuple[Relabelled, Labels]:
    """The labels that the run would have with these settings."""
    bias = {
        "floor": floor,
        "entropy_threshold": entropy_threshold,
        "entropy_share": None,  # the threshold is in nats here
        "mode": mode,
    }
    config = run.config.changed(labels={"alpha": alpha}, bias=bias)
    made = relabel(outputs_with_views(run), config, run_labels(run)[0].final)
    return made, _described(run, made.final)


@cached_by("labels.npz", data_set=True, copied=True, max_entries=8)
def pseudo_label_counts(run: Run) -> np.ndarray:
    """[C] how many of the images that are counted beside the truth have a final label over 0.5."""
    rows = compared_rows(run)
    final = label_arrays(run)["final"]
    return np.count_nonzero((final if rows is None else final[rows]) > 0.5, axis=0)
