"""From what CLIP says of the views to the label that is trained on (Sec. 3.2, Eq. 5-7).

Works on numpy arrays and on torch tensors alike and needs neither torch nor a browser to be imported.
"""

from __future__ import annotations

from typing import Any

import numpy as np


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
    np.fmax.at(local, view_image, view_probs.astype(np.float32))
    return local
