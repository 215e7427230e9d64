"""Images that show no class ("none images"): recognised without labels, so that their labels can be set to zero (supplement, Sec. 8).

The paper proposes to find "irregular and noisy probability patterns" and to threshold them, and leaves open which. Here: the similarity of
the best class (Eq. 1) before the softmax, which turns even an image that fits no class into probabilities that sum to 1; or the entropy
of the probabilities. The threshold is where Otsu's method splits the images in two, or a number.
"""

from __future__ import annotations

import numpy as np

from ccd_core.config import NoneImageSettings
from ccd_core.method.bias import entropy


def none_images(
    p_global: np.ndarray, similarity: np.ndarray | None, settings: NoneImageSettings
) -> np.ndarray:
    """[N] bool, which images are taken to show no class; all False where the filter is off.

    p_global: [N, C] probabilities of whole images; similarity: [N] cosine of each image with its best class.
    """
    if settings.filter == "off":
        return np.zeros(len(p_global), bool)
    if settings.filter == "entropy":
        value = entropy(p_global)
        return value > (split_in_two(value) if settings.threshold is None else settings.threshold)
    assert similarity is not None
    return similarity < (split_in_two(similarity) if settings.threshold is None else settings.threshold)


def split_in_two(values: np.ndarray) -> float:
    """The threshold between two groups of `values` [N] whose means differ most for their sizes (Otsu, 1979); all alike: none is beyond it."""
    ordered = np.sort(np.asarray(values, np.float64))
    if len(ordered) < 2 or ordered[0] == ordered[-1]:
        return float(ordered[0])
    count = np.arange(1, len(ordered))
    sums = np.cumsum(ordered)
    below, above = sums[:-1] / count, (sums[-1] - sums[:-1]) / (len(ordered) - count)
    split = int((count * (len(ordered) - count) * (below - above) ** 2).argmax())
    return float((ordered[split] + ordered[split + 1]) / 2)


def zero_none_images(labels: np.ndarray, none: np.ndarray) -> np.ndarray:
    """Labels [N, C] with rows of zeros for the images `none` [N] bool, which show no class (supplement, Sec. 8)."""
    return np.where(none[:, None], np.float32(0), labels) if none.any() else labels
