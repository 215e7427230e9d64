"""Scores that are sorted once, so that precision, recall and counts at any threshold are fast look-ups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Measures:
    """Measures of C classes, each at its threshold. Without ground truth, all but `labelled` are None."""

    labelled: np.ndarray  # [C] int, images that get the label
    true_positives: np.ndarray | None = None  # [C] int
    precision: np.ndarray | None = None  # [C], NaN if no image gets the label
    recall: np.ndarray | None = None  # [C], NaN for a class without a positive
    f1: np.ndarray | None = None  # [C], NaN for a class without a positive


class SortedScores:
    """The scores of every class in descending order.

    scores: [N, C]; targets: [N, C] of 0 and 1, or None without ground truth. An image gets a label if its
    score is at or above the threshold of the class. Raises ValueError if the shapes differ.
    """

    def __init__(self, scores: np.ndarray, targets: np.ndarray | None = None):
        scores = np.asarray(scores, np.float32)
        if scores.ndim != 2 or (targets is not None and targets.shape != scores.shape):
            shape = None if targets is None else targets.shape
            raise ValueError(f"scores {scores.shape} and targets {shape} must both be [N, C]")
        columns = np.ascontiguousarray(scores.T)
        self.has_truth = targets is not None
        self.scores = np.sort(columns, axis=1)[:, ::-1]  # [C, N] in descending order
        # [C, N] the number of positives with that score or a higher one
        self.true_positives = np.empty((0, 0), np.int32)
        if targets is not None:
            # Sorting values is several times faster than sorting indices. It does not say which of several
            # images with equal scores is a positive, but the counts are only read where equal scores end.
            self.true_positives = np.stack(
                [
                    _at_least(column[positive], row)
                    for column, positive, row in zip(columns, targets.T == 1, self.scores, strict=True)
                ]
            )
        self._curves: dict[tuple[int, int], dict[str, np.ndarray]] = {}

    @classmethod
    def of_all_entries(cls, scores: np.ndarray, targets: np.ndarray | None = None) -> SortedScores:
        """All N * C entries as one class, which gives micro measures for one threshold of all classes."""
        return cls(np.reshape(scores, (-1, 1)), None if targets is None else np.reshape(targets, (-1, 1)))

    @property
    def images(self) -> int:
        return self.scores.shape[1]

    @property
    def positives(self) -> np.ndarray:
        """[C] the number of images that have each class, by ground truth."""
        return self.true_positives[:, -1]

    def labelled(self, thresholds: np.ndarray) -> np.ndarray:
        """[C] the number of images whose score is at or above the thresholds [C]."""
        return np.array(
            [
                self.images - np.searchsorted(row[::-1], np.float32(t))
                for row, t in zip(self.scores, thresholds, strict=True)
            ]
        )

    def measures(self, thresholds: np.ndarray) -> Measures:
        """Counts, precision, recall and F1 of each class at its threshold [C]."""
        labelled = self.labelled(thresholds)
        if not self.has_truth:
            return Measures(labelled)
        last = np.maximum(labelled - 1, 0)[:, None]
        true_positives = np.where(labelled > 0, np.take_along_axis(self.true_positives, last, 1)[:, 0], 0)
        positives = np.where(self.positives > 0, self.positives, np.nan)
        return Measures(
            labelled,
            true_positives,
            precision=true_positives / np.where(labelled > 0, labelled, np.nan),
            recall=true_positives / positives,
            f1=2 * true_positives / (labelled + positives),
        )

    def curve(self, index: int, points: int = 400) -> dict[str, np.ndarray]:
        """The precision-recall curve of class `index`: arrays `threshold`, `precision`, `recall` and `f1`.

        It begins at the highest score and has at most about `points` points, evenly spaced in recall. Images
        with equal scores get a label together, so each score occurs once.
        """
        if (index, points) not in self._curves:
            self._curves[index, points] = self._curve(index, points)
        return self._curves[index, points]

    def _curve(self, index: int, points: int) -> dict[str, np.ndarray]:
        k = np.flatnonzero(self._ends_of_ties(index))
        positives = max(int(self.positives[index]), 1)
        recall = self.true_positives[index, k] / positives
        if len(k) > points:
            even = np.searchsorted(recall, np.linspace(recall[0], recall[-1], points))
            k = k[np.unique(np.concatenate([[0], even, [len(k) - 1]]))]
        true_positives = self.true_positives[index, k]
        return {
            "threshold": self.scores[index, k],
            "precision": true_positives / (k + 1),
            "recall": true_positives / positives,
            "f1": 2 * true_positives / (k + 1 + positives),
        }

    def best_f1(self) -> np.ndarray:
        """[C] the threshold with the highest F1 of each class. NaN for a class without a positive."""
        thresholds = np.full(len(self.scores), np.nan)
        for c in np.flatnonzero(self.positives > 0).tolist():
            k = np.flatnonzero(self._ends_of_ties(c))
            f1 = 2 * self.true_positives[c, k] / (k + 1 + self.positives[c])
            thresholds[c] = self.scores[c, k[np.argmax(f1)]]
        return thresholds

    def at_precision(self, target: float) -> np.ndarray:
        """[C] the lowest threshold with a precision of at least `target`. NaN if there is none."""
        thresholds = np.full(len(self.scores), np.nan)
        for c in range(len(self.scores)):
            k = np.flatnonzero(self._ends_of_ties(c))
            precise = k[self.true_positives[c, k] / (k + 1) >= target]
            if len(precise):
                thresholds[c] = self.scores[c, precise[-1]]
        return thresholds

    def at_count(self, counts: np.ndarray) -> np.ndarray:
        """[C] the lowest threshold that labels at most `counts` [C] images. Equal scores stay together."""
        thresholds = np.empty(len(self.scores))
        for c, count in enumerate(counts):
            k = np.flatnonzero(self._ends_of_ties(c)[: max(0, int(count))])
            above_all = np.nextafter(self.scores[c, 0], np.float32(np.inf))
            thresholds[c] = self.scores[c, k[-1]] if len(k) else above_all
        return thresholds

    def _ends_of_ties(self, index: int) -> np.ndarray:
        """[N] bool, whether the next score is lower, so that a threshold can lie between the two."""
        row = self.scores[index]
        return np.append(row[:-1] != row[1:], True)


def _at_least(values: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """[N] int32, the number of `values` that are at or above each of `limits` [N]."""
    return (len(values) - np.searchsorted(np.sort(values), limits, "left")).astype(np.int32)
