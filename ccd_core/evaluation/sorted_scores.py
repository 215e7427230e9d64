"""Scores sorted once, so that precision, recall and counts at any threshold are look-ups and a slider can ask for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Measures:
    """What thresholds [C] do to each class: arrays [C]. Without ground truth all but `labelled` are None.

    precision is NaN where nothing is labelled; recall and F1 are NaN for a class without a positive.
    """

    labelled: np.ndarray
    right: np.ndarray | None = None
    precision: np.ndarray | None = None
    recall: np.ndarray | None = None
    f1: np.ndarray | None = None


class SortedScores:
    """The images of every class from the surest down.

    scores: [N, C]; targets: [N, C] of 0 and 1, or None where there is no ground truth. An image has a label from its class's
    threshold on (score >= threshold). Raises ValueError if the shapes differ.
    """

    def __init__(self, scores: np.ndarray, targets: np.ndarray | None = None):
        scores = np.asarray(scores, np.float32)
        if scores.ndim != 2 or (targets is not None and targets.shape != scores.shape):
            raise ValueError(
                f"scores {scores.shape} and targets {None if targets is None else targets.shape} must both be [N, C]"
            )
        columns = np.ascontiguousarray(scores.T)
        self.has_truth = targets is not None
        self.scores = np.sort(columns, axis=1)[:, ::-1]  # [C, N], the surest first
        self.right = np.empty(
            (0, 0), np.int32
        )  # [C, N] how many of the images scored that high or higher truly have the class
        if targets is not None:
            # Sorting values is several times quicker than sorting indices, and right is only read where equal scores end.
            self.right = np.stack(
                [
                    _at_least(column[there], row)
                    for column, there, row in zip(columns, targets.T == 1, self.scores, strict=True)
                ]
            )
        self._curves: dict[tuple[int, int], dict[str, np.ndarray]] = {}

    @classmethod
    def of_all_entries(cls, scores: np.ndarray, targets: np.ndarray | None = None) -> SortedScores:
        """Every (image, class) entry as if it were of one class: what a threshold for all classes has to do with (micro measures)."""
        return cls(np.reshape(scores, (-1, 1)), None if targets is None else np.reshape(targets, (-1, 1)))

    @property
    def images(self) -> int:
        return self.scores.shape[1]

    @property
    def positives(self) -> np.ndarray:
        """[C] how many images truly have each class."""
        return self.right[:, -1]

    def labelled(self, thresholds: np.ndarray) -> np.ndarray:
        """[C] how many images score at or above the thresholds [C]."""
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
        right = np.where(
            labelled > 0, np.take_along_axis(self.right, np.maximum(labelled - 1, 0)[:, None], 1)[:, 0], 0
        )
        some = np.where(self.positives > 0, self.positives, np.nan)
        precision = right / np.where(labelled > 0, labelled, np.nan)
        return Measures(labelled, right, precision, right / some, 2 * right / (labelled + some))

    def curve(self, index: int, points: int = 400) -> dict[str, np.ndarray]:
        """threshold, precision, recall and F1 of one class, from the surest image down, at about `points` places of even recall.

        Only thresholds that can be told apart are among them: equal scores are labelled together.
        """
        if (index, points) not in self._curves:
            self._curves[index, points] = self._curve(index, points)
        return self._curves[index, points]

    def _curve(self, index: int, points: int) -> dict[str, np.ndarray]:
        k = np.flatnonzero(self._reachable(index))
        right, positives = self.right[index, k], max(int(self.positives[index]), 1)
        precision, recall = right / (k + 1), right / positives
        if len(k) > points:
            even = np.searchsorted(recall, np.linspace(recall[0], recall[-1], points))
            kept = np.unique(np.concatenate([[0], even, [len(k) - 1]]))
            k, right, precision, recall = k[kept], right[kept], precision[kept], recall[kept]
        return {
            "threshold": self.scores[index, k],
            "precision": precision,
            "recall": recall,
            "f1": 2 * right / (k + 1 + positives),
        }

    def best_f1(self) -> np.ndarray:
        """[C] the threshold of each class's highest F1, exactly; NaN for a class without a positive."""
        limits = np.full(len(self.scores), np.nan)
        for c in np.flatnonzero(self.positives > 0).tolist():
            k = np.flatnonzero(self._reachable(c))
            limits[c] = self.scores[c, k[np.argmax(2 * self.right[c, k] / (k + 1 + self.positives[c]))]]
        return limits

    def at_precision(self, target: float) -> np.ndarray:
        """[C] the lowest threshold whose labels are right at least `target` of the time: the most images found; NaN where none is."""
        limits = np.full(len(self.scores), np.nan)
        for c in range(len(self.scores)):
            k = np.flatnonzero(self._reachable(c))
            enough = k[self.right[c, k] / (k + 1) >= target]
            if len(enough):
                limits[c] = self.scores[c, enough[-1]]
        return limits

    def at_count(self, counts: np.ndarray) -> np.ndarray:
        """[C] the lowest threshold that labels no more than `counts` [C] images; equal scores are labelled together or not at all."""
        limits = np.empty(len(self.scores))
        for c, count in enumerate(counts):
            k = np.flatnonzero(self._reachable(c)[: max(0, int(count))])
            limits[c] = (
                self.scores[c, k[-1]] if len(k) else np.nextafter(self.scores[c, 0], np.float32(np.inf))
            )
        return limits

    def _reachable(self, index: int) -> np.ndarray:
        """[N] whether a threshold can end just after each place."""
        row = self.scores[index]
        return np.append(row[:-1] != row[1:], True)


def _at_least(values: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """[N] int32 how many of `values` are at or above each of the limits [N], which fall."""
    return (len(values) - np.searchsorted(np.sort(values), limits, "left")).astype(np.int32)
