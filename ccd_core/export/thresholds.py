"""The thresholds that an export uses."""

from __future__ import annotations

from ccd_core.evaluation import thresholds
from ccd_core.evaluation.label_free import WAYS
from ccd_core.evaluation.thresholds import Thresholds
from ccd_core.runs.run import Run


def thresholds_of(run: Run, of_labels: bool) -> Thresholds:
    """The thresholds of an export of labels, or of a model.

    Labels have those that Predict and `ccd predict` use. An exported model has no CLIP beside it, so its
    scores are not blended: thresholds that were chosen without labels are chosen for its own scores.
    """
    used = thresholds.in_use(run)
    if of_labels or used.method not in WAYS:
        return used
    return thresholds.choose_without_labels(run, alone=True) or used


def in_words(chosen: Thresholds) -> str:
    """How thresholds were chosen, with the value where all classes have one that was set by hand."""
    values = set(chosen.values.values())
    if chosen.method == "hand" and len(values) == 1:
        return f"{values.pop():g} for every class"
    return chosen.in_words
