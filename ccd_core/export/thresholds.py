"""The thresholds that an export uses."""

from __future__ import annotations

from ccd_core.evaluation import thresholds
from ccd_core.evaluation.thresholds import Thresholds
from ccd_core.runs.run import Run


def thresholds_of(run: Run) -> Thresholds:
    """The thresholds that Predict and `ccd predict` use for the run, too."""
    return thresholds.in_use(run)


def in_words(chosen: Thresholds) -> str:
    """How thresholds were chosen, with the value where all classes have one that was set by hand."""
    values = set(chosen.values.values())
    if chosen.method == "hand" and len(values) == 1:
        return f"{values.pop():g} for every class"
    return chosen.in_words
