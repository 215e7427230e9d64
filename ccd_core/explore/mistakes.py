"""Where a classifier is wrong or unsure: its worst scores, and the classes that it takes for each other."""

from __future__ import annotations

import numpy as np


def most_wrong_entries(
    scores: np.ndarray, targets: np.ndarray, kind: str, cls: int | None, most: int
) -> list[tuple[int, int]]:
    """(row, class) of the up to `most` entries with the highest loss, of class `cls` or of all classes.

    scores: [N, C] in [0, 1]; targets: [N, C] bool.
    kind: "false" (a class that is not there; the loss is p) or "missed" (a class that is there; it is 1 - p).
    """
    columns = slice(None) if cls is None else slice(cls, cls + 1)
    p = scores[:, columns]
    there = targets[:, columns]
    loss = np.where(there, -1.0, p) if kind == "false" else np.where(there, 1 - p, -1.0)
    flat = loss.ravel()
    chosen = np.argpartition(-flat, min(most, flat.size - 1))[:most]
    chosen = chosen[np.argsort(-flat[chosen], kind="stable")]
    width = loss.shape[1]
    entries = [(int(k // width), int(k % width)) for k in chosen if flat[k] >= 0]
    return entries if cls is None else [(row, cls) for row, _ in entries]


def least_sure_entries(scores: np.ndarray, cls: int | None, most: int) -> list[tuple[int, int]]:
    """(row, class) of the up to `most` images whose score, of `cls` or of any class, lies nearest to 0.5."""
    distance = np.abs(scores - 0.5) if cls is None else np.abs(scores[:, [cls]] - 0.5)
    nearest = distance.argmin(1)
    rows = np.argsort(distance[np.arange(len(distance)), nearest])[:most]
    return [(int(row), int(nearest[row]) if cls is None else cls) for row in rows]


def confusion(
    scores: np.ndarray, targets: np.ndarray, thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How often class A (row) is wrongly predicted where class B (column) is and A is not.

    scores: [N, C]; targets: [N, C] bool; thresholds: [C], from which a score on is a prediction.
    Returns three arrays [C, C]. rate: among the images that have B and not A, the share in which A is
    predicted; baseline: the same among images with neither; images: how many have B and not A.
    NaN where there are none.
    """
    there = targets.astype(np.float32)
    false = ((scores >= thresholds.astype(np.float32)) & ~targets).astype(np.float32)
    wrong_with = false.T @ there
    with_b = (1 - there).T @ there
    wrong_without = false.sum(0)[:, None] - wrong_with
    without_b = (1 - there).sum(0)[:, None] - with_b
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = wrong_with / with_b
        baseline = wrong_without / without_b
    np.fill_diagonal(rate, np.nan)
    return rate, baseline, with_b


def strongest_pairs(
    rate: np.ndarray, baseline: np.ndarray, images: np.ndarray, fewest: int, most: int = 20
) -> list[tuple[int, int]]:
    """The up to `most` pairs (A, B) of `confusion` in which B raises the rate of A most.

    Pairs seen in less than `fewest` images are left out.
    """
    counted = (images >= fewest) & np.isfinite(rate) & np.isfinite(baseline)
    excess = np.where(counted, rate - baseline, -1)
    order = np.argsort(-excess, axis=None)[:most]
    return [divmod(int(k), excess.shape[1]) for k in order if excess.flat[k] > 0]
