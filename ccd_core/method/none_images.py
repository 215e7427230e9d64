"""Images that show no class ("none images") are found, and their labels set to zero (supplement, Sec. 8).

The paper proposes to threshold "irregular and noisy probability patterns" and does not say which. Two are
offered here. One is the similarity of the best class (Eq. 1), before the softmax turns even an image that
fits no class into probabilities that sum to 1. The other is the entropy of the probabilities. The threshold
is a number, or where Otsu's method splits the images in two groups.
"""

from __future__ import annotations

import numpy as np

from ccd_core.method.bias import entropy
from ccd_core.settings.sections import NoneImageSettings


def none_images(
    p_global: np.ndarray, similarity: np.ndarray | None, settings: NoneImageSettings
) -> np.ndarray:
    """[N] bool, the images that are taken to show no class. All are False if the filter is off.

    p_global: [N, C] probabilities of whole images. similarity: [N] cosine similarity of each image to its
    best class; the filter `similarity` needs it.
    """
    if settings.filter == "off":
        return np.zeros(len(p_global), bool)
    if settings.filter == "entropy":
        values = entropy(p_global)
        return values > _threshold(values, settings)
    assert similarity is not None
    return similarity < _threshold(similarity, settings)


def _threshold(values: np.ndarray, settings: NoneImageSettings) -> float:
    return split_in_two(values) if settings.threshold is None else settings.threshold


def split_in_two(values: np.ndarray) -> float:
    """The threshold that splits `values` [N] into two groups, by Otsu's method (1979).

    It maximises the variance between the groups. If all values are equal, it is that value, so no image lies
    beyond the threshold.
    """
    ordered = np.sort(np.asarray(values, np.float64))
    if len(ordered) < 2 or ordered[0] == ordered[-1]:
        return float(ordered[0])
    count = np.arange(1, len(ordered))
    sums = np.cumsum(ordered)
    mean_below = sums[:-1] / count
    mean_above = (sums[-1] - sums[:-1]) / (len(ordered) - count)
    split = int((count * (len(ordered) - count) * (mean_below - mean_above) ** 2).argmax())
    return float((ordered[split] + ordered[split + 1]) / 2)


def zero_none_images(labels: np.ndarray, none: np.ndarray) -> np.ndarray:
    """Labels [N, C] with rows of zeros for the images `none` [N] bool, which show no class."""
    return np.where(none[:, None], np.float32(0), labels) if none.any() else labels
