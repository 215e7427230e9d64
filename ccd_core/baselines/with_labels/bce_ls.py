"""BCE-LS: binary cross-entropy on all labels, with label smoothing.

The target of a positive is 1 - epsilon, that of a negative epsilon, with epsilon = 0.1 on all data sets.

Source: the code of Cole et al. (CVPR 2021), losses.py: ls_coef. The smoothing is symmetric, and epsilon is
not divided by 2 or by C.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ccd_core.baselines.losses import entry_losses, smoothed
from ccd_core.baselines.supervision import WithLabels
from ccd_core.baselines.with_labels.bce import zeros_and_ones
from ccd_core.training.objective import Batch, Objective


@dataclass(frozen=True)
class Options:
    epsilon: float = 0.1


class SmoothedBce(Objective):
    """labels: [N, C] of 0 and 1."""

    def __init__(self, labels: np.ndarray, options: Options):
        super().__init__(labels)
        self.epsilon = options.epsilon

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        return entry_losses(logits, smoothed(batch.labels, self.epsilon)).mean()


def make(inputs: WithLabels) -> Objective:
    return SmoothedBce(zeros_and_ones(inputs.supervision.labels), inputs.setting.filled(Options()))
