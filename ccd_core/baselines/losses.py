"""Binary cross-entropy in the forms that several methods share."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def entry_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """[B, C], the binary cross-entropy of each entry. targets: [B, C] in [0, 1]."""
    return F.binary_cross_entropy_with_logits(logits, targets, reduction="none")


def known_bce(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean binary cross-entropy of the known entries of a batch; 0 if none is known.

    labels: [B, C] of -1 (known negative), 0 (unknown) and values above 0, which are the targets of known
    positives. So a mixed positive of SARB has a target below 1.
    """
    known = labels != 0
    losses = entry_losses(logits, labels.clamp_min(0))
    return (losses * known).sum() / known.sum().clamp_min(1)


def smoothed(targets: Tensor, epsilon: float) -> Tensor:
    """Targets with 1 lowered to 1 - epsilon and 0 raised to epsilon."""
    return targets * (1 - 2 * epsilon) + epsilon


def expected_positives(q: Tensor) -> Tensor:
    """The mean over a batch of the expected number of positives of an image. q: [B, C] in [0, 1]."""
    return q.sum(1).mean()
