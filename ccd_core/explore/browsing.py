"""Which images of a run to look at: filters and orders over a run's arrays.

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
    """What is compared, [N, C] each.

    clip: CLIP's debiased labels; classifier: its probabilities, or None before it is trained;
    truth: targets, with rows of NaN where they are not known, or None without any.
    """

    clip: np.ndarray
    classifier: np.ndarray | None
    truth: np.ndarray | None

    def of(self, cls: int) -> ComparedScores:
        """The same of one class, [N, 1] each."""
        column = slice(cls, cls + 1)
        return ComparedScores(
            self.clip[:, column],
            None if self.classifier is None else self.classifier[:, column],
            None if self.truth is None else self.truth[:, column],
        )


@dataclass(frozen=True)
class Signals:
    """What images are filtered and sorted by, one number an image, [N] each.

    difference: the largest between CLIP and classifier; disagreements: on how many classes they disagree;
    error: the largest against ground truth; missed, false_alarms: how many classes are missed and falsely
    found,
    -1 without ground truth; surest: the highest probability.
    """

    difference: np.ndarray
    disagreements: np.ndarray
    error: np.ndarray
    missed: np.ndarray
    false_alarms: np.ndarray
    surest: np.ndarray


def signals(compared: ComparedScores) -> Signals:
    """What `select` filters and sorts by; of one class where `compared` holds one."""
    clip = compared.clip
    scores = compared.classifier
    truth = compared.truth
    unknown = np.full(len(clip), -1)
    zeros = np.zeros(len(clip), np.float32)
    if scores is None:
        return Signals(zeros, unknown, zeros, unknown, unknown, clip.max(1))
    predicted = scores > SURE
    difference = np.abs(clip - scores).max(1)
    disagreements = ((clip > SURE) != predicted).sum(1)
    if truth is None:
        return Signals(difference, disagreements, zeros, unknown, unknown, scores.max(1))
    known = ~np.isnan(truth[:, 0])
    there = truth > SURE
    missed = np.where(known, (there & ~predicted).sum(1), -1)
    false_alarms = np.where(known, (predicted & ~there).sum(1), -1)
    error = np.where(known, np.abs(np.nan_to_num(truth) - scores).max(1), 0)
    return Signals(difference, disagreements, error, missed, false_alarms, scores.max(1))


def select(
    ids: Sequence[str],
    found: Signals,
    views: np.ndarray,
    *,
    among: np.ndarray | None = None,
    views_between: tuple[int, int] | None = None,
    agreement: str = "any",
    verdict: str = "any",
    name: str = "",
    order: str = "data set",
) -> np.ndarray:
    """Rows [n] int of the images that pass all filters, in the order asked for.

    views: [N] number of views of each image; among: [N] bool, images to choose from; views_between: the
    fewest and the most views; agreement: one of AGREEMENTS; verdict: one of VERDICTS; name: part of the id,
    in any case;
    order: one of ORDERS.
    """
    keep = np.ones(len(ids), bool) if among is None else among.copy()
    if views_between:
        keep &= (views >= views_between[0]) & (views <= views_between[1])
    if agreement != "any":
        keep &= (found.disagreements > 0) if agreement == "disagree" else (found.disagreements == 0)
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
    """[T] how many classes an image lie above each threshold on average (Sec. 4.3).

    scores: [N, C]; thresholds: [T].
    """
    at_most = np.searchsorted(np.sort(scores, axis=None), thresholds, side="right")
    return (scores.size - at_most) / len(scores)
