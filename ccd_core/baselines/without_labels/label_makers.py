"""Training labels from CLIP's probabilities alone, for the methods without labels.

The paper says only that these methods were given initial labels from CLIP. Its Fig. 10 counts the most
probable class as the label that CLIP generates, and AN, LS, WAN and ROLE take labels of that kind alone. So
`clip_top1` is their label maker.
"""

from __future__ import annotations

import numpy as np

SURE = 0.5  # a class is positive from this probability on
UNLIKELY = 0.5  # a class is negative up to this part of 1 / C


def clip_top1(p: np.ndarray) -> np.ndarray:
    """[N, C] float32: 1 for the most probable class of each image, 0 elsewhere. p: [N, C] (Eq. 2)."""
    labels = np.zeros_like(p, dtype=np.float32)
    labels[np.arange(len(p)), p.argmax(axis=1)] = 1
    return labels


def clip_threshold(p: np.ndarray) -> np.ndarray:
    """[N, C] float32 of -1, 0 and 1, for methods that need negatives.

    A class is positive if it is the most probable one or has at least `SURE`. It is negative if it has at
    most `UNLIKELY` / C. Otherwise it is unknown.
    """
    labels = np.where(p <= UNLIKELY / p.shape[1], -1, 0).astype(np.float32)
    labels[(p >= SURE) | (clip_top1(p) == 1)] = 1
    return labels


def tiled(p: np.ndarray, tiles: np.ndarray, zeta: float = 0.0) -> np.ndarray:
    """[N, C] float32, CDUL's initial labels: the mean of global and local probabilities.

    p: [N, C] of whole images; tiles: [N, T, C] of the cells of a grid. The local probability of a class is
    its maximum over the cells if that is at least `zeta`, and its minimum otherwise.
    """
    most = tiles.max(axis=1)
    local = np.where(most >= zeta, most, tiles.min(axis=1))
    return ((p + local) / 2).astype(np.float32)
