"""How good scores are: average precision per class, and measures that compare classes with each other.

Only this module and the pages ever see ground truth. Values are fractions; files and pages show percent.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np


def average_precision(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Average precision of each class.

    scores: [N, C] float, the higher the surer; targets: [N, C] of 0 and 1. Returns [C] float64, NaN for a
    class without a positive (left out of means). Raises ValueError if the shapes differ.
    """
    from sklearn.metrics import (
        average_precision_score,
    )  # here: who only predicts, or only looks, need not wait for it

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
    from sklearn.metrics import average_precision_score, f1_score

    present = (np.asarray(targets) == 1).any(axis=0)
    if not present.any():
        return {"mAP": float("nan"), "micro_AP": float("nan"), "F1": float("nan")}
    truth = np.asarray(targets)[:, present] == 1
    kept = np.asarray(scores, np.float64)[:, present]
    return {
        "mAP": mean_average_precision(scores, targets),
        "micro_AP": float(average_precision_score(truth.ravel(), kept.ravel())),
        "F1": float(
            f1_score(truth, kept > 0.5, average="macro" if truth.shape[1] > 1 else "binary", zero_division=0)
        ),
    }


@dataclass(frozen=True)
class ClassMeasures:
    """ap, f1 [C] (NaN for a class without a positive), micro_ap, and the means `mAP` and `F1` over classes that have one; fractions."""

    ap: np.ndarray
    f1: np.ndarray
    micro_ap: float

    @property
    def summary(self) -> dict[str, float]:
        """What `summary` returns."""
        known = np.isfinite(self.ap)
        if not known.any():
            return dict.fromkeys(("mAP", "micro_AP", "F1"), float("nan"))
        return {
            "mAP": float(self.ap[known].mean()),
            "micro_AP": self.micro_ap,
            "F1": float(self.f1[known].mean()),
        }


BINS = 1 << 14


def quick_measures(labels: np.ndarray, positives: Sequence[np.ndarray]) -> ClassMeasures:
    """`average_precision` and `summary` quickly enough for a slider: 80 classes of 50,000 images in some 60 ms.

    labels: [C, N] float32 in [0, 1], a class's images side by side in memory; positives: for each class the rows of the images that
    have it. AP and F1 are exact. micro-AP takes labels within 1/16384 of each other for ties, which moves it by less than 0.0002 where
    there are thousands of labels.
    """
    ap, f1 = np.full(len(labels), np.nan), np.full(len(labels), np.nan)
    everything, hits = np.zeros(BINS, np.int64), []
    with ThreadPoolExecutor(
        min(4, os.cpu_count() or 1)
    ) as pool:  # numpy sorts without holding the interpreter
        sorted_labels = list(pool.map(_sorted, labels, positives))
    for index, (ranked, right) in enumerate(sorted_labels):
        if not len(right):
            continue
        ap[index] = _precision_at_positives(ranked, right)
        chosen, found = (len(values) - np.searchsorted(values, 0.5, "right") for values in (ranked, right))
        f1[index] = 2 * found / (chosen + len(right))
        everything += np.bincount(_bins(ranked), minlength=BINS)
        hits.append(_bins(right))
    if not hits:
        return ClassMeasures(ap, f1, float("nan"))
    right = np.bincount(np.concatenate(hits), minlength=BINS)
    precision = right[::-1].cumsum() / np.maximum(everything[::-1].cumsum(), 1)
    return ClassMeasures(ap, f1, float((right[::-1] * precision).sum() / right.sum()))


def _sorted(label: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels of all images and of the positives, each in ascending order; sorting values is several times quicker than indices."""
    return (np.sort(label), np.sort(label[rows])) if len(rows) else (label[:0], label[:0])


def _bins(labels: np.ndarray) -> np.ndarray:
    return (labels * (BINS - 1)).astype(np.uint16)


def _precision_at_positives(ranked: np.ndarray, right: np.ndarray) -> float:
    """AP, which is the mean over positives of the precision at their own score, from sorted scores of all images and of positives."""
    above = len(ranked) - np.searchsorted(ranked, right, "left")
    right_above = len(right) - np.searchsorted(right, right, "left")
    return float((right_above / above).mean())
