"""Every label of a data set made again with other settings, quickly enough to watch while a slider is moved (Eq. 5-7).

What does not depend on a setting (the strongest view of each image, entropies, top classes) is kept in `Evidence`, class by class, so
that a class's labels are made, compared and scored while they are in the processor's cache. Says the same as `labels.py`, which a
test holds it to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ccd_core.config import CCDConfig
from ccd_core.method.bias import Bias, bias_from_top, bias_in_use, debias
from ccd_core.method.labels import local_probabilities, update_labels


@dataclass(frozen=True)
class ClipOutputs:
    """What CLIP said of N images: p, local [C, N] float32 (local: the maximum over views, NaN without any), entropy, top_p [N], top [N] int.

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
        """Without local views: p_global [N, C], its entropy [N] and what `none_images` says of them, [N] bool."""
        rows = np.flatnonzero(np.zeros(len(p_global), bool) if none is None else none)
        return cls(np.ascontiguousarray(p_global.T), None, entropy, p_global.argmax(1), p_global.max(1), rows)

    def with_views(self, view_image: np.ndarray, p_views: np.ndarray) -> ClipOutputs:
        """The same with the views' probabilities [V, C]; view_image [V] int says which image each is of."""
        return replace(
            self, local=np.ascontiguousarray(local_probabilities(len(self.top), view_image, p_views).T)
        )

    @cached_property
    def by_class(self) -> list[np.ndarray]:
        """For each class the rows of the images where it is the top class, the least sure first."""
        order = np.lexsort((self.top_p, self.top))
        return np.split(order, np.cumsum(np.bincount(self.top, minlength=len(self.p)))[:-1])

    def subset(self, rows: np.ndarray) -> ClipOutputs:
        """The same of the images `rows` [n] int."""
        local = None if self.local is None else self.local[:, rows]
        none = np.flatnonzero(np.isin(rows, self.none))
        return ClipOutputs(
            np.ascontiguousarray(self.p[:, rows]),
            local,
            self.entropy[rows],
            self.top[rows],
            self.top_p[rows],
            none,
        )

    def bias(self, entropy_threshold: float) -> Bias:
        """`clip_bias` of these images."""
        return bias_from_top(self.top, self.top_p, self.entropy <= entropy_threshold, len(self.p))

    def mean_initial(self, bias: np.ndarray, floor: float) -> np.ndarray:
        """[C] mean over the images of each class's initial label: the label rate that the classifier is warmed up on."""
        labels = (debias(p, bias[index], floor) for index, p in enumerate(self.p))
        return np.array([label.mean() - label[self.none].sum() / len(label) for label in labels])

    def extremes(self, index: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the up to `count` surest and least sure images of which class `index` is the top class, each from the extreme on."""
        rows = self.by_class[index][::-1]
        half = (len(rows) + 1) // 2  # no image is both
        return rows[: min(count, half)], rows[half:][::-1][:count]


HISTOGRAM_BINS = 40


@dataclass(frozen=True)
class LabelStatistics:
    """mean [C]; above_half [C] int: images with a label over 0.5; histogram [HISTOGRAM_BINS] int of all labels from 0 to 1."""

    mean: np.ndarray
    above_half: np.ndarray
    histogram: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray) -> LabelStatistics:
        """Of labels [C, N] in [0, 1]."""
        histogram = sum(
            np.bincount(
                (label * np.float32(HISTOGRAM_BINS - 0.01)).astype(np.uint8), minlength=HISTOGRAM_BINS
            )
            for label in labels
        )
        return cls(labels.mean(1), np.count_nonzero(labels > 0.5, axis=1), np.asarray(histogram))


@dataclass(frozen=True)
class Relabelled:
    """final [C, N] float32; change [N]: the largest difference to other labels in any class of the image, changed_class [N] int: which."""

    bias: Bias
    final: np.ndarray
    change: np.ndarray
    changed_class: np.ndarray


def relabel(evidence: ClipOutputs, config: CCDConfig, compared_with: np.ndarray) -> Relabelled:
    """The final labels that `config` makes of the evidence, and how far each image's lie from `compared_with` [C, N]."""
    bias = evidence.bias(config.bias.entropy_threshold)
    divisor = bias_in_use(bias.value, config.bias.mode)
    final = np.empty_like(evidence.p)
    change, changed_class = np.zeros(final.shape[1], np.float32), np.zeros(final.shape[1], np.int32)
    for index, p in enumerate(evidence.p):
        initial = p if divisor is None else debias(p, divisor[index], config.bias.floor)
        final[index] = (
            initial
            if evidence.local is None
            else update_labels(
                initial, _local(evidence.local[index], divisor, index, config), config.labels.alpha
            )
        )
        final[index, evidence.none] = 0
        difference = np.abs(final[index] - compared_with[index])
        larger = difference > change
        np.copyto(change, difference, where=larger)
        np.copyto(changed_class, index, where=larger)
    return Relabelled(bias, final, change, changed_class)


def _local(local: np.ndarray, divisor: np.ndarray | None, index: int, config: CCDConfig) -> np.ndarray:
    if not config.labels.views_required:
        local = np.nan_to_num(local, nan=0.0)
    return (
        local
        if divisor is None
        else debias(local, divisor[index], config.bias.floor, clamp=config.labels.clamp_local)
    )
