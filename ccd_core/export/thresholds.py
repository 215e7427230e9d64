"""The thresholds of an export, in words."""

from __future__ import annotations

from ccd_core.evaluation.thresholds import Thresholds


def in_words(chosen: Thresholds) -> str:
    """How thresholds were chosen, with the value where all classes have one that was set by hand."""
    values = set(chosen.values.values())
    if chosen.method == "hand" and len(values) == 1:
        return f"{values.pop():g} for every class"
    return chosen.in_words
