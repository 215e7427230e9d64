"""Naive AN: "assume negative". CLIP's most probable class is positive, every other class negative.

L = binary cross-entropy with these labels.

Source: Kundu and Tighe, "Exploiting Weakly Supervised Visual Patterns to Learn from Partial Annotations"
(NeurIPS 2020), in the form of Cole et al. (CVPR 2021), loss_an.
"""

from __future__ import annotations

from torch import Tensor

from ccd_core.baselines.inputs import LabelFree
from ccd_core.baselines.losses import entry_losses
from ccd_core.baselines.without_labels.label_makers import clip_top1
from ccd_core.training.objective import Batch, Objective


class AssumeNegative(Objective):
    """labels: [N, C] of 0 (taken for negative) and 1."""

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        return entry_losses(logits, batch.labels).mean()


def make(inputs: LabelFree) -> Objective:
    return AssumeNegative(clip_top1(inputs.p))
