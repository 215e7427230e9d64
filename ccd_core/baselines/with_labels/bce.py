"""BCE: binary cross-entropy on all labels, the naive method with full supervision.

L = 1 / (B C) * sum of y * -log p + (1 - y) * -log(1 - p)

Source: the code of Cole et al., "Multi-Label Learning from Single Positive Labels" (CVPR 2021),
single-positive-multi-label, losses.py. It adds 1e-5 within the logarithms; here they are computed from
logits and need none.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ccd_core.baselines.losses import entry_losses
from ccd_core.baselines.supervision import WithLabels
from ccd_core.training.objective import Batch, Objective


class Bce(Objective):
    """labels: [N, C] of 0 and 1."""

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        return entry_losses(logits, batch.labels).mean()


def make(inputs: WithLabels) -> Objective:
    return Bce(zeros_and_ones(inputs.supervision.labels))


def zeros_and_ones(labels: np.ndarray) -> np.ndarray:
    """[N, C] float32: 1 for a known positive, and 0 for everything else, as methods that assume negatives
    do.
    """
    return (labels == 1).astype(np.float32)
