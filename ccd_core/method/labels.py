"""Pseudo-labels from CLIP's probabilities of whole images and of local views (Sec. 3.2-3.3, Eq. 5-7).

Importing this module does not load torch. `aggregate_views` and `update_labels` take tensors too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ccd_core.config import CCDConfig
from ccd_core.method.bias import Bias, bias_in_use, debias_as_set


def aggregate_views(view_probs: Any) -> Any:
    """The local probability of each class, the maximum over the V views of one image (Eq. 5).

    view_probs: [V, C], an array or a tensor. Returns [C] of the same kind, or None if V is 0. For many images
    at once, `local_probabilities` computes the same.
    """
    if view_probs.shape[0] == 0:
        return None
    return view_probs.max(axis=0) if isinstance(view_probs, np.ndarray) else view_probs.max(0).values


def update_labels(initial: Any, local: Any | None, alpha: float = 0.4) -> Any:
    """The final label alpha * initial + (1 - alpha) * local, clipped to [0, 1] (Eq. 7).

    initial: [C] or [N, C], an array or a tensor. local: the same shape, or None if there are no views. A row
    of NaN in `local` stands for an image without views. Without views, the initial label is the final one.
    """
    if local is None:
        return initial
    mixed = alpha * initial + (1 - alpha) * local
    if isinstance(initial, np.ndarray):
        return np.where(np.isnan(local), initial, np.clip(mixed, 0, 1)).astype(initial.dtype)
    return initial.where(local.isnan(), mixed.clamp(0, 1))


def local_probabilities(images: int, view_image: np.ndarray, view_probs: np.ndarray) -> np.ndarray:
    """`aggregate_views` of N images: [N, C] float32, with a row of NaN for an image without views (Eq. 5-6).

    images: N; view_image: [V] int, the index of the image that a view belongs to; view_probs: [V, C].
    """
    local = np.full((images, view_probs.shape[1]), np.nan, np.float32)
    include_views(local, view_image, view_probs)
    return local


def include_views(local: np.ndarray, view_image: np.ndarray, view_probs: np.ndarray) -> None:
    """Include more views in the maxima `local` [N, C], in place. A row of NaN has no view yet (Eq. 5-6).

    So the views of a data set need not be in memory together.
    """
    if (np.diff(view_image) < 0).any():
        order = np.argsort(view_image, kind="stable")
        view_image, view_probs = view_image[order], view_probs[order]
    first = np.flatnonzero(np.diff(view_image, prepend=-1))
    if len(first):
        rows = view_image[first]
        local[rows] = np.fmax(local[rows], np.fmax.reduceat(view_probs, first, axis=0))


def initial_labels(p: np.ndarray, bias: Bias, config: CCDConfig) -> np.ndarray:
    """l_initial = clip(floored(p) / bias, 0, 1), or `p` itself if debiasing is off (Sec. 3.1, 3.3).

    p: [N, C] probabilities of whole images. Returns [N, C].
    """
    divisor = bias_in_use(bias.value, config.bias.mode)
    return p if divisor is None else debias_as_set(p, divisor, config.bias, p.shape[1])


def local_labels(
    count: int, view_image: np.ndarray, p_views: np.ndarray, bias: Bias, config: CCDConfig
) -> np.ndarray:
    """l_local, the debiased maximum over the views of each image: [N, C] (Eq. 5-6, Sec. 3.3).

    count: N; view_image: [V] int, the index of the image that a view belongs to; p_views: [V, C]. An image
    without views has a row of NaN, or of the labels of probability 0 if the settings do not require views.
    """
    return debiased_local(local_probabilities(count, view_image, p_views), bias, config)


def debiased_local(p_local: np.ndarray, bias: Bias, config: CCDConfig) -> np.ndarray:
    """l_local from `local_probabilities` [N, C], debiased as the initial labels are: [N, C] (Sec. 3.3)."""
    divisor = bias_in_use(bias.value, config.bias.mode)
    return divided_local(p_local, divisor, config, p_local.shape[1])


def divided_local(p_local: np.ndarray, divisor: Any | None, config: CCDConfig, classes: int) -> np.ndarray:
    """`debiased_local` with the divisor that `bias_in_use` returns.

    p_local is [N, C] with one divisor for each class, or [N], a single class of `classes`, with its divisor.
    """
    local = p_local
    if not config.labels.views_required:
        local = np.nan_to_num(local, nan=0.0)  # the authors' code starts its maximum from zeros
    if divisor is None:
        return local
    return debias_as_set(local, divisor, config.bias, classes, clamp=config.labels.clamp_local)


def final_labels(initial: np.ndarray, local: np.ndarray, config: CCDConfig) -> np.ndarray:
    """l_final = alpha * l_initial + (1 - alpha) * l_local, all [N, C] (Eq. 7)."""
    return update_labels(initial, local, config.labels.alpha)
