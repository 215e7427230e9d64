"""How good scores are: average precision per class, and measures that compare classes with each other.

Only this module and the pages ever see ground truth. Values are fractions; files and pages show percent.
"""

from __future__ import annotations

import numpy as np
from sklearn.metrics import average_precision_score, f1_score


def average_precision(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Average precision of each class.

    scores: [N, C] float, the higher the surer; targets: [N, C] of 0 and 1. Returns [C] float64, NaN for a
    class without a positive (left out of means). Raises ValueError if the shapes differ.
    """
    scores, targets = np.asarray(scores, np.float64), np.asarray(targets)
    if scores.shape != targets.shape or scores.ndim != 2:
        raise ValueError(f"scores {scores.shape} and targets {targets.shape} must both be [N, C]")
    values = np.full(scores.shape[1], np.nan)
    for index in range(scores.shape[1]):
        if (targets[:, index] == 1).any():
            values[index] = average_precision_score(targets[:, index] == 1, scores[:, index])
    return values


def mean_average_precision(scores: np.ndarray, targets: np.ndarray) -> float:
    """Mean of `average_precision` over the classes that have a positive; NaN if none has."""
    values = average_precision(scores, targets)
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def summary(scores: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """mAP, micro-AP over all entries, and macro F1 at 0.5.

    Dividing a class by a constant does not change its ranking, so mAP cannot show what debiasing does; micro-AP
    and F1 compare classes with each other and can.
    """
    present = (np.asarray(targets) == 1).any(axis=0)
    if not present.any():
        return {"mAP": float("nan"), "micro_AP": float("nan"), "F1": float("nan")}
    truth = np.asarray(targets)[:, present] == 1
    kept = np.asarray(scores, np.float64)[:, present]
    return {
        "mAP": mean_average_precision(scores, targets),
        "micro_AP": float(average_precision_score(truth.ravel(), kept.ravel())),
        "F1": float(f1_score(truth, kept > 0.5, average="macro", zero_division=0)),
    }
