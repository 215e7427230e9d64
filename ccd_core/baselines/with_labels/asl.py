"""ASL, masked: the asymmetric loss on the known labels alone.

p_m = max(p - m, 0)
L+ = (1 - p)^gamma_pos * -log p            of a known positive
L- = p_m^gamma_neg * -log(1 - p_m)         of a known negative

Easy negatives, with p below m, cost nothing. Unknown entries cost nothing either. The focal weights
(1 - p)^gamma_pos and p_m^gamma_neg have no gradient. L is summed over the batch and the classes.

Source: Ridnik et al., "Asymmetric Loss for Multi-Label Classification" (ICCV 2021), Alibaba-MIIL/ASL. Its
training script has gamma_neg = 4, gamma_pos = 0, m = 0.05, and no gradient through the weights; the mask of
unknown entries is that of sunxm2357/DualCoOp.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ccd_core.baselines.supervision import WithLabels
from ccd_core.training.objective import Batch, Objective

SMALLEST = 1e-8  # of the argument of a logarithm


@dataclass(frozen=True)
class Options:
    gamma_neg: float = 4.0
    gamma_pos: float = 0.0
    shift: float = 0.05  # m


class MaskedAsl(Objective):
    """labels: [N, C] of -1, 0 and 1."""

    def __init__(self, labels: np.ndarray, options: Options):
        super().__init__(labels)
        self.options = options

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        return asymmetric_loss(logits, batch.labels, self.options)

    def current_labels(self) -> np.ndarray:
        return unknown_as_nan(self.labels)


def asymmetric_loss(logits: Tensor, labels: Tensor, options: Options) -> Tensor:
    """The sum over all known entries. labels: [B, C] of -1, 0 and 1."""
    p = torch.sigmoid(logits)
    not_p = (1 - p + options.shift).clamp_max(1)  # 1 - p_m
    log_p = torch.where(labels > 0, p, not_p).clamp_min(SMALLEST).log()
    with torch.no_grad():
        weight = torch.where(labels > 0, (1 - p) ** options.gamma_pos, (1 - not_p) ** options.gamma_neg)
    return -(weight * log_p)[labels != 0].sum()


def unknown_as_nan(labels: np.ndarray) -> np.ndarray:
    """[N, C] float32: 1 for a known positive, 0 for a known negative, NaN for an unknown entry."""
    return np.where(labels == 0, np.nan, labels > 0).astype(np.float32)


def make(inputs: WithLabels) -> Objective:
    return MaskedAsl(inputs.supervision.labels, inputs.setting.filled(Options()))
