"""Scores of a run compared with ground truth, if the data set has any.

This is the only place where a run reads ground truth. Its results are logged and written to files. Labels,
views and the kept epoch do not depend on them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ccd_core.data.types import Dataset
from ccd_core.evaluation.metrics import average_precision, mean_average_precision, summary


class Scorer:
    """The ground truth of a data set, with which labels and predictions are compared."""

    def __init__(self, dataset: Dataset):
        self.dataset = dataset
        self._truth = {split: dataset.ground_truth(split) for split in dataset.splits}

    def _matched(
        self, split: str, ids: tuple[str, ...], values: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Values and targets [M, C] of the images that have ground truth, or None if no image has."""
        truth = self._truth.get(split)
        if truth is None:
            return None
        rows, targets = truth.matched(ids)
        return (values[rows], targets) if len(rows) else None

    def mean_ap(self, split: str, ids: tuple[str, ...], values: np.ndarray) -> float | None:
        """mAP in [0, 1] of scores or labels `values` [N, C] of the images `ids`; None without truth."""
        matched = self._matched(split, ids, values)
        return mean_average_precision(*matched) if matched else None

    def report(self, split: str, ids: tuple[str, ...], values: np.ndarray) -> dict[str, Any] | None:
        """mAP, micro-AP, F1 and the AP of each class in percent; None without ground truth.

        values: scores or labels [N, C] of the images `ids`.
        """
        matched = self._matched(split, ids, values)
        if matched is None:
            return None
        aps = average_precision(*matched)
        return {name: _percent(value) for name, value in summary(*matched).items()} | {
            "AP": {name: _percent(value) for name, value in zip(self.dataset.classes, aps, strict=True)}
        }


def _percent(value: float) -> float | None:
    return None if np.isnan(value) else round(100 * float(value), 4)
