"""All labels of a data set made again with other settings, fast enough to follow a slider (Eq. 5-7).

What does not depend on a setting (the strongest view of each image, entropies, top classes) is prepared in
`ClipOutputs`, class by class, so that a class's labels are made, compared and scored while they are in the
processor's cache. The results are those of `ccd_core.method.labels`; a test compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ccd_core.config import CCDConfig
from ccd_core.evaluation.metrics import ranked_labels
from ccd_core.method.bias import Bias, bias_from_top, bias_in_use, debias_as_set, entropy_limit
from ccd_core.method.labels import divided_local, local_probabilities, update_labels
from ccd_core.settings.sections import BiasSettings

HISTOGRAM_BINS = 40
HISTOGRAM_EDGES = np.append(
    np.arange(HISTOGRAM_BINS, dtype=np.float32) / np.float32(HISTOGRAM_BINS), np.float32(np.inf)
)
NOTICEABLE = 0.005  # a change of a label up to this is none


@dataclass(frozen=True)
class ClipOutputs:
    """What CLIP said of N images.

    p: [C, N] float32, probabilities of whole images.
    local: [C, N] float32, the maximum over the image's views, NaN where it has none; None without any views.
    entropy: [N]; top: [N] int, the class with the highest probability; top_p: [N], that probability.
    none: rows of the images that are taken to show no class, whose labels are zero.
    """

    p: np.ndarray
    local: np.ndarray | None
    entropy: np.ndarray
    top: np.ndarray
    top_p: np.ndarray
    none: np.ndarray

    @classmethod
    def of(cls, p_global: np.ndarray, entropy: np.ndarray, none: np.ndarray | None = None) -> ClipOutputs:
        """Without local views. p_global: [N, C]; entropy: [N]; none: what `none_images` says, [N] bool."""
        rows = np.flatnonzero(np.zeros(len(p_global), bool) if none is None else none)
        return cls(np.ascontiguousarray(p_global.T), None, entropy, p_global.argmax(1), p_global.max(1), rows)

    def with_views(self, view_image: np.ndarray, p_views: np.ndarray) -> ClipOutputs:
        """The same with the views' probabilities [V, C]; view_image [V] int says which image each is of."""
        local = local_probabilities(len(self.top), view_image, p_views)
        return replace(self, local=np.ascontiguousarray(local.T))

    @cached_property
    def by_class(self) -> list[np.ndarray]:
        """For each class the rows of the images where it is the top class, the least sure first."""
        order = np.lexsort((self.top_p, self.top))
        return np.split(order, np.cumsum(np.bincount(self.top, minlength=len(self.p)))[:-1])

    def subset(self, rows: np.ndarray) -> ClipOutputs:
        """The same of the images `rows` [n] int."""
        return ClipOutputs(
            p=np.ascontiguousarray(self.p[:, rows]),
            local=None if self.local is None else self.local[:, rows],
            entropy=self.entropy[rows],
            top=self.top[rows],
            top_p=self.top_p[rows],
            none=np.flatnonzero(np.isin(rows, self.none)),
        )

    def bias(self, entropy_threshold: float, shrink: float = 0.0) -> Bias:
        """`clip_bias` of these images."""
        return bias_from_top(self.top, self.top_p, self.entropy <= entropy_threshold, len(self.p), shrink)

    def mean_initial(self, bias: np.ndarray, settings: BiasSettings) -> np.ndarray:
        """[C] mean initial label of each class: the label rate that the classifier is warmed up on."""
        classes = len(self.p)
        labels = (debias_as_set(p, bias[index], settings, classes) for index, p in enumerate(self.p))
        return np.array([label.mean() - label[self.none].sum() / len(label) for label in labels])

    def extremes(self, index: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the up to `count` most and least sure images of which class `index` is the top class.

        Both begin at their extreme. No image is in both.
        """
        rows = self.by_class[index][::-1]
        half = (len(rows) + 1) // 2
        return rows[: min(count, half)], rows[half:][::-1][:count]


@dataclass(frozen=True)
class LabelStatistics:
    """Statistics of labels.

    mean: [C]; above_half: [C] int, how many images have a label over 0.5;
    histogram: [HISTOGRAM_BINS] int, how many labels have each value from 0 to 1.
    """

    mean: np.ndarray
    above_half: np.ndarray
    histogram: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray, ranked: Sequence[np.ndarray] | None = None) -> LabelStatistics:
        """Of labels [C, N] in [0, 1].

        ranked: `ranked_labels` of them, where they are known already; in these, counts are look-ups.
        """
        if ranked is None:
            ranked = ranked_labels(labels)
        below = sum(np.searchsorted(row, HISTOGRAM_EDGES) for row in ranked)
        above_half = np.array([len(row) - np.searchsorted(row, np.float32(0.5), "right") for row in ranked])
        return cls(labels.mean(1), above_half, np.diff(below))


@dataclass(frozen=True)
class Relabelled:
    """Labels made with other settings, and how far they lie from the labels that they are compared with.

    final: [C, N] float32; change: [N], the largest difference in any class of the image;
    changed_class: [N] int, the class of that difference.
    """

    bias: Bias
    final: np.ndarray
    change: np.ndarray
    changed_class: np.ndarray


def relabel(outputs: ClipOutputs, config: CCDConfig, compared_with: np.ndarray) -> Relabelled:
    """The final labels that `config` makes, and how far they lie from the labels `compared_with` [C, N]."""
    classes = len(outputs.p)
    bias = outputs.bias(entropy_limit(config.bias, classes), config.bias.shrink)
    divisors = bias_in_use(bias.value, config.bias.mode)
    final = np.empty_like(outputs.p)
    change = np.zeros(final.shape[1], np.float32)
    changed_class = np.zeros(final.shape[1], np.int32)
    for index, p in enumerate(outputs.p):
        divisor = None if divisors is None else divisors[index]
        initial = p if divisor is None else debias_as_set(p, divisor, config.bias, classes)
        if outputs.local is None:
            final[index] = initial
        else:
            local = divided_local(outputs.local[index], divisor, config, classes)
            final[index] = update_labels(initial, local, config.labels.alpha)
        final[index, outputs.none] = 0
        difference = np.abs(final[index] - compared_with[index])
        larger = difference > change
        np.copyto(change, difference, where=larger)
        np.copyto(changed_class, index, where=larger)
    return Relabelled(bias, final, change, changed_class)


def most_changed(
    made: Relabelled, compared_with: np.ndarray, cls: int | None, most: int
) -> list[tuple[int, int]]:
    """(row, class) of the up to `most` images whose label changes most, of class `cls` or of any class.

    compared_with: [C, N] labels. The largest change comes first; what changes by no more than NOTICEABLE is
    left out.
    """
    change = made.change if cls is None else np.abs(made.final[cls] - compared_with[cls])
    rows = np.argpartition(-change, min(most, len(change) - 1))[:most]
    rows = rows[np.argsort(-change[rows])]
    rows = rows[change[rows] > NOTICEABLE]
    return [(int(row), int(made.changed_class[row]) if cls is None else cls) for row in rows]
