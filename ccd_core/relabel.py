"""Every label of a data set made again with other settings, quickly enough to watch while a slider is moved (Eq. 5-7).

What does not depend on a setting (the strongest view of each image, entropies, top classes) is kept in `Evidence`, class by class, so
that a class's labels are made, compared and scored while they are in the processor's cache. Says the same as `labels.py`, which a
test holds it to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ccd_core.bias import Bias, bias_from_top, bias_in_use, debias
from ccd_core.config import CCDConfig
from ccd_core.labels import local_probabilities, update_labels


@dataclass(frozen=True)
class Evidence:
    """What CLIP said of N images: p, local [C, N] float32 (local: the maximum over views, NaN without any), entropy, top_p [N], top [N] int."""

    p: np.ndarray
    local: np.ndarray | None
    entropy: np.ndarray
    top: np.ndarray
    top_p: np.ndarray

    @classmethod
    def of(cls, p_global: np.ndarray, entropy: np.ndarray, view_image: np.ndarray | None = None, p_views: np.ndarray | None = None) -> Evidence:
        """p_global [N, C] and entropy [N]; view_image [V] int and p_views [V, C], or None where the labels are not updated."""
        local = None
        if view_image is not None and p_views is not None:
            local = np.ascontiguousarray(local_probabilities(len(p_global), view_image, p_views).T)
        return cls(np.ascontiguousarray(p_global.T), local, entropy, p_global.argmax(1), p_global.max(1))

    def bias(self, entropy_threshold: float) -> Bias:
        """`clip_bias` of these images."""
        return bias_from_top(self.top, self.top_p, self.entropy <= entropy_threshold, len(self.p))


@dataclass(frozen=True)
class Relabelled:
    """final [C, N] float32; change [N]: the largest difference to other labels in any class of the image, changed_class [N] int: which."""

    bias: Bias
    final: np.ndarray
    change: np.ndarray
    changed_class: np.ndarray


def relabel(evidence: Evidence, config: CCDConfig, compared_with: np.ndarray) -> Relabelled:
    """The final labels that `config` makes of the evidence, and how far each image's lie from `compared_with` [C, N]."""
    bias = evidence.bias(config.bias.entropy_threshold)
    divisor = bias_in_use(bias, config.bias.mode)
    final = np.empty_like(evidence.p)
    change, changed_class = np.zeros(final.shape[1], np.float32), np.zeros(final.shape[1], np.int32)
    for index, p in enumerate(evidence.p):
        initial = p if divisor is None else debias(p, divisor[index], config.bias.floor)
        final[index] = (
            initial if evidence.local is None else update_labels(initial, _local(evidence.local[index], divisor, index, config), config.labels.alpha)
        )
        difference = np.abs(final[index] - compared_with[index])
        larger = difference > change
        np.copyto(change, difference, where=larger)
        np.copyto(changed_class, index, where=larger)
    return Relabelled(bias, final, change, changed_class)


def _local(local: np.ndarray, divisor: np.ndarray | None, index: int, config: CCDConfig) -> np.ndarray:
    if not config.labels.views_required:
        local = np.nan_to_num(local, nan=0.0)
    return local if divisor is None else debias(local, divisor[index], config.bias.floor, clamp=config.labels.clamp_local)
