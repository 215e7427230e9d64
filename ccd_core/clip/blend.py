"""Predictions that the classifier and CLIP make together, as the settings `predict` say.

The classifier knows the images of the data set, and CLIP the whole world; they err on different images. CLIP
names what is most salient, so it is asked of the cells of a grid: what it overlooks in the whole image is
often the largest thing of a cell.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ccd_core.clip.teacher import PromptedClip


def cells(pixels: Tensor, grid: int) -> Tensor:
    """Images [B, 3, grid * S, grid * S] to their cells [B * grid * grid, 3, S, S], row by row."""
    side = pixels.shape[-1] // grid
    rows = pixels.unflatten(2, (grid, side)).unflatten(4, (grid, side))  # [B, 3, grid, S, grid, S]
    return rows.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)


def clip_share(clip: PromptedClip, embeddings: np.ndarray) -> np.ndarray:
    """[N, C] float32, what CLIP says of N images by K cells of each.

    embeddings: [N, K, D] of unit length. One cell is the whole image (Eq. 1-2). Of several, each class has
    its largest probability; like local views, they are compared with the background words, too.
    """
    whole = embeddings.shape[1] == 1
    text = clip.text if whole else clip.view_text
    p = clip.teacher.classify(torch.from_numpy(embeddings), text.cpu())[..., : len(clip.text)]
    return p.amax(1).numpy()


def blended(scores: np.ndarray, p: np.ndarray, weight: float) -> np.ndarray:
    """(1 - weight) * scores + weight * p, all [N, C] float32 in [0, 1].

    scores: the classifier's. p: CLIP's share.
    """
    return ((1 - weight) * scores + weight * p).astype(np.float32)
