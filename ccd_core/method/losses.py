"""The classifier's loss: cross-entropy with soft labels and, after warm-up, consistency (Sec. 3.4, Eq. 8)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def ccd_loss(
    logits: Tensor, labels: Tensor, strong_logits: Tensor | None = None, beta: float = 1.0
) -> Tensor:
    """L_ce + beta * L_consist, each a mean over all images and classes (Eq. 8). Returns a scalar tensor.

    logits: [B, C] of the weakly augmented images. labels: [B, C] in [0, 1]. strong_logits: [B, C] of the
    strongly augmented copies, or None during warm-up. The weak prediction is the target of the strong one,
    and no gradient flows through that target.
    """
    loss = F.binary_cross_entropy_with_logits(logits, labels)
    if strong_logits is None or beta == 0:
        return loss
    target = torch.sigmoid(logits).detach()
    return loss + beta * F.binary_cross_entropy_with_logits(strong_logits, target)
