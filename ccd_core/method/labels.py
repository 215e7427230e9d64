"""From what CLIP says of the images and their views to the labels that are trained on (Sec. 3.2-3.3, Eq. 5-7).

Needs neither torch nor a browser to be imported. `aggregate_views` and `update_labels` work on tensors too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ccd_core.config import CCDConfig
from ccd_core.method.bias import Bias, bias_in_use, debias


def aggregate_views(view_probs: Any) -> Any:
    """Local probability of each class: the maximum over an image's views (Eq. 5). [V, C] -> [C]; None for V = 0."""
    if view_probs.shape[0] == 0:
        return None
    return view_probs.max(axis=0) if isinstance(view_probs, np.ndarray) else view_probs.max(0).values


def update_labels(initial: Any, local: Any | None, alpha: float = 0.4) -> Any:
    """Final label alpha * initial + (1 - alpha) * local, clipped to [0, 1] (Eq. 7).

    initial: [C] or [N, C]; local: the same shape, or None where there are no views: the initial label is
    returned unchanged. Rows of NaN in `local` count as images without views.
    """
    if local is None:
        return initial
    mixed = alpha * initial + (1 - alpha) * local
    if isinstance(initial, np.ndarray):
        return np.where(np.isnan(local), initial, np.clip(mixed, 0, 1)).astype(initial.dtype)
    return initial.where(local.isnan(), mixed.clamp(0, 1))


def local_probabilities(images: int, view_image: np.ndarray, view_probs: np.ndarray) -> np.ndarray:
    """[N, C] maximum over each image's views (Eq. 5-6), rows of NaN where an image has none.

    view_image: [V] int, which image a view is of; view_probs: [V, C].
    """
    local = np.full((images, view_probs.shape[1]), np.nan, np.float32)
    take_maximum(local, view_image, view_probs)
    return local


def take_maximum(local: np.ndarray, view_image: np.ndarray, view_probs: np.ndarray) -> None:
    """Raise rows of `local` [N, C], NaN so far or not, to the maximum over some more views, in place."""
    if (np.diff(view_image) < 0).any():
        order = np.argsort(view_image, kind="stable")
        view_image, view_probs = view_image[order], view_probs[order]
    first = np.flatnonzero(np.diff(view_image, prepend=-1))
    if len(first):
        rows = view_image[first]
        local[rows] = np.fmax(local[rows], np.fmax.reduceat(view_probs, first, axis=0))


def initial_labels(p: np.ndarray, bias: Bias, config: CCDConfig) -> np.ndarray:
    """l_initial = clip(max(p, floor) / b, 0, 1), or p itself where debiasing is off (Sec. 3.3)."""
    divisor = bias_in_use(bias.value, config.bias.mode)
    return p if divisor is None else debias(p, divisor, config.bias.floor)


def local_labels(
    count: int, view_image: np.ndarray, p_views: np.ndarray, bias: Bias, config: CCDConfig
) -> np.ndarray:
    """[N, C] debiased maximum over each image's views (Eq. 5-6); rows of NaN where an image has none."""
    return debiased_local(local_probabilities(count, view_image, p_views), bias, config)


def debiased_local(p_local: np.ndarray, bias: Bias, config: CCDConfig) -> np.ndarray:
    """[N, C] local labels from `local_probabilities` (Sec. 3.3: debiased as the initial ones are)."""
    return divided_local(p_local, bias_in_use(bias.value, config.bias.mode), config)


def divided_local(p_local: np.ndarray, divisor: Any | None, config: CCDConfig) -> np.ndarray:
    """The same with what `bias_in_use` says: [N, C] and a divisor of each class, or [N] and that of one class."""
    local = p_local
    if not config.labels.views_required:
        local = np.nan_to_num(local, nan=0.0)  # the code starts its maximum from zeros
    if divisor is None:
        return local
    return debias(local, divisor, config.bias.floor, clamp=config.labels.clamp_local)


def final_labels(initial: np.ndarray, local: np.ndarray, config: CCDConfig) -> np.ndarray:
    """l_final = alpha l_initial + (1 - alpha) l_local (Eq. 7)."""
    return update_labels(initial, local, config.labels.alpha)
