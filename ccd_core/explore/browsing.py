"""Which images of a run to look at: filters and orders over a run's arrays, without a browser and without torch.

Arrays have the run's training images as rows. Ground truth, where there is any, only chooses what is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SURE = 0.5  # a label or probability above it says that the class is there
AGREEMENTS = ("any", "disagree", "agree")  # CLIP (debiased initial label) and the classifier
VERDICTS = ("any", "wrong", "missed", "false alarm", "right")  # the classifier against ground truth
ORDERS = ("data set", "surest", "least sure", "most disputed", "most wrong", "most views")


@dataclass(frozen=True)
class ComparedScores:
    """What is compared, [N, C] each: CLIP's debiased labels, the classifier's probabilities or None, targets or None (NaN rows: unknown)."""

    clip: np.ndarray
    classifier: np.ndarray | None
    truth: np.ndarray | None

    def of(self, cls: int) -> ComparedScores:
        """The same of one class, [N, 1] each."""
        return ComparedScores(
            *(
                None if part is None else part[:, cls : cls + 1]
                for part in (self.clip, self.classifier, self.truth)
            )
        )  # type: ignore[arg-type]


@dataclass(frozen=True)
class Signals:
    """One number an image, [N] each: largest difference between CLIP and classifier, on how many classes they disagree, the largest error,
    how many classes are missed and falsely found (-1: no ground truth), and the highest probability."""

    difference: np.ndarray
    disagreements: np.ndarray
    error: np.ndarray
    missed: np.ndarray
    false_alarms: np.ndarray
    surest: np.ndarray


def signals(opinions: ComparedScores) -> Signals:
    """What `select` filters and sorts by; of one class where `opinions` holds one."""
    clip, scores, truth = opinions.clip, opinions.classifier, opinions.truth
    none = np.full(len(clip), -1)
    if scores is None:
        return Signals(
            np.zeros(len(clip), np.float32), none, np.zeros(len(clip), np.float32), none, none, clip.max(1)
        )
    said = scores > SURE
    disagreements = ((clip > SURE) != said).sum(1)
    if truth is None:
        return Signals(
            np.abs(clip - scores).max(1),
            disagreements,
            np.zeros(len(clip), np.float32),
            none,
            none,
            scores.max(1),
        )
    known, there = ~np.isnan(truth[:, 0]), truth > SURE
    missed, false_alarms = (np.where(known, wrong.sum(1), -1) for wrong in (there & ~said, said & ~there))
    error = np.where(known, np.abs(np.nan_to_num(truth) - scores).max(1), 0)
    return Signals(np.abs(clip - scores).max(1), disagreements, error, missed, false_alarms, scores.max(1))


def select(
    ids: Sequence[str],
    found: Signals,
    views: np.ndarray,
    *,
    among: np.ndarray | None = None,
    views_between: tuple[int, int] | None = None,
    opinion: str = "any",
    verdict: str = "any",
    name: str = "",
    order: str = "data set",
) -> np.ndarray:
    """Rows [n] int of the images that pass all filters, in the order asked for.

    views: [N] number of views of each image; `among`: [N] bool, images to choose from; `name`: part of the id, in any case.
    """
    keep = np.ones(len(ids), bool) if among is None else among.copy()
    if views_between:
        keep &= (views >= views_between[0]) & (views <= views_between[1])
    if opinion != "any":
        keep &= (found.disagreements > 0) if opinion == "disagree" else (found.disagreements == 0)
    passes = {
        "wrong": (found.missed > 0) | (found.false_alarms > 0),
        "missed": found.missed > 0,
        "false alarm": found.false_alarms > 0,
        "right": (found.missed == 0) & (found.false_alarms == 0),
    }
    if verdict != "any":
        keep &= passes[verdict]
    rows = np.flatnonzero(keep)
    if name:
        wanted = name.lower()
        rows = rows[[wanted in ids[row].lower() for row in rows.tolist()]]
    by = {
        "surest": -found.surest,
        "least sure": found.surest,
        "most disputed": -found.difference,
        "most wrong": -found.error,
        "most views": -views,
    }
    return rows[np.argsort(by[order][rows], kind="stable")] if order in by else rows


def mean_views(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """[T] how many classes an image lie above each threshold on average (Sec. 4.3). scores: [N, C]; thresholds: [T]."""
    return (scores.size - np.searchsorted(np.sort(scores, axis=None), thresholds, side="right")) / len(scores)
