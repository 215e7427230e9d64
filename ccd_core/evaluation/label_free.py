"""Thresholds without labels: chosen from a run's scores and from its own pseudo-labels.

No function here can see ground truth: each takes the classifier's scores on the training images, and the
`PseudoLabels` on which that classifier was trained. `benchmarks/thresholds.py` compares the ways with the
threshold 0.5 and with the best thresholds that ground truth could choose. `DEFAULT_WAY` won there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ccd_core.evaluation.sorted_scores import SortedScores

POSITIVE = 0.5  # a pseudo-label at or above it says that the class is there
BINS = 256  # of the scores' logits, to which a mixture is fitted
STEPS = 300  # of the fit, at most
FEWEST_SCORES = 10  # in the higher part of a mixture; with fewer it has not been found
EVEN = 0.5  # the threshold of a class about which nothing can be told


@dataclass(frozen=True)
class PseudoLabels:
    """The labels that a run made itself, of N images and C classes, from 0 to 1.

    They come from CLIP. A run has no ground truth, so there is none in here.
    """

    initial: np.ndarray  # [N, C] float32, CLIP's probabilities divided by its bias (Sec. 3.3)
    final: np.ndarray  # [N, C] float32, what the classifier was trained on (Eq. 7)


def label_rate(scores: np.ndarray, labels: PseudoLabels) -> np.ndarray:
    """[C] thresholds at which each class has as many images as the final labels say that it has.

    A final label at or above 0.5 says so. scores: [N, C] float32.
    """
    counts = (labels.final >= POSITIVE).sum(0)
    return _known(SortedScores(scores).at_count(counts), counts)


def agreement_with_clip(scores: np.ndarray, labels: PseudoLabels) -> np.ndarray:
    """[C] thresholds whose labels agree best with the initial labels, which are debiased CLIP.

    Agreement is F1, as if an initial label at or above 0.5 were the truth. scores: [N, C] float32.
    """
    return _best_agreement(scores, labels.initial)


def agreement(scores: np.ndarray, labels: PseudoLabels) -> np.ndarray:
    """[C] thresholds whose labels agree best with the final labels.

    Agreement is F1, as if a final label at or above 0.5 were the truth. scores: [N, C] float32.
    """
    return _best_agreement(scores, labels.final)


def mixture(scores: np.ndarray, labels: PseudoLabels) -> np.ndarray:
    """[C] thresholds between two groups of images: those with low scores and those with high ones.

    The logits of a class's scores are taken for a mixture of two normal distributions. From the threshold on,
    an image more likely belongs to the higher one. A class in which no two groups are found has the threshold
    of `agreement`. scores: [N, C] float32.
    """
    found = np.array([_between_groups(column) for column in scores.T])
    return np.where(np.isfinite(found), found, agreement(scores, labels))


def mean_of_both(scores: np.ndarray, labels: PseudoLabels) -> np.ndarray:
    """[C] thresholds halfway between those of `agreement` and those of `mixture`, as logits.

    The labels of the first come from CLIP, the groups of the second from the classifier alone. So their
    errors differ. scores: [N, C] float32.
    """
    logits = (_logits(agreement(scores, labels)) + _logits(mixture(scores, labels))) / 2
    return 1 / (1 + np.exp(-logits))


Way = Callable[[np.ndarray, PseudoLabels], np.ndarray]
# {name, as in thresholds.json: function}
WAYS: dict[str, Way] = {
    "label_rate": label_rate,
    "clip_agreement": agreement_with_clip,
    "agreement": agreement,
    "mixture": mixture,
    "agreement_and_mixture": mean_of_both,
}
DEFAULT_WAY = "agreement_and_mixture"


def _best_agreement(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    positive = labels >= POSITIVE
    return _known(SortedScores(scores, positive).best_f1(), positive.sum(0))


def _known(thresholds: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """The thresholds, and 0.5 for a class that has no label of its own."""
    return np.where((positives > 0) & np.isfinite(thresholds), thresholds, EVEN)


def _logits(scores: np.ndarray) -> np.ndarray:
    inside = np.clip(np.asarray(scores, np.float64), 1e-6, 1 - 1e-6)
    return np.log(inside) - np.log1p(-inside)


def _between_groups(scores: np.ndarray) -> float:
    """The score from which on an image more likely belongs to the higher of two groups. NaN if there is one.

    scores: [N]. The fit is by expectation and maximisation, on counts of logits.
    """
    count, edges = np.histogram(_logits(scores), BINS)
    place = (edges[:-1] + edges[1:]) / 2
    width = float(edges[1] - edges[0])
    order = np.repeat(place, count)
    mean = np.array([np.quantile(order, 0.25), np.quantile(order, 0.99)])
    variance = np.full(2, max(order.var() / 4, width**2))
    share = np.array([0.9, 0.1])
    belongs = np.empty((BINS, 2))
    for _ in range(STEPS):
        belongs = share * np.exp(-((place[:, None] - mean) ** 2) / (2 * variance)) / np.sqrt(variance)
        belongs /= belongs.sum(1, keepdims=True) + 1e-300
        weight = belongs * count[:, None]
        total = weight.sum(0) + 1e-12
        moved = (weight * place[:, None]).sum(0) / total
        variance = (weight * (place[:, None] - moved) ** 2).sum(0) / total + width**2
        share = total / total.sum()
        settled = np.abs(moved - mean).max() < width / 100
        mean = moved
        if settled:
            break
    low, high = np.argsort(mean)
    above = (belongs[:, high] >= belongs[:, low]) & (place > mean[low]) & (place <= mean[high])
    if not above.any() or count @ belongs[:, high] < FEWEST_SCORES:
        return float("nan")
    return float(1 / (1 + np.exp(-edges[np.flatnonzero(above)[0]])))
