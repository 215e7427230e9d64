"""AN-LS: "assume negative" with label smoothing; the row "Szegedy et al." of Table 1.

CLIP's most probable class has the target 1 - epsilon, every other class epsilon, with epsilon = 0.1.

Source: Szegedy et al., "Rethinking the Inception Architecture" (CVPR 2016), in the form of Cole et al. (CVPR
2021), loss_an_ls. With many classes the smoothing expects epsilon * C more positives an image than there
are, so probabilities are too high; mAP does not show it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ccd_core.baselines.inputs import LabelFree
from ccd_core.baselines.losses import entry_losses, smoothed
from ccd_core.baselines.without_labels.label_makers import clip_top1
from ccd_core.training.objective import Batch, Objective


@dataclass(frozen=True)
class Options:
    epsilon: float = 0.1


class SmoothedAssumeNegative(Objective):
    """labels: [N, C] of 0 (taken for negative) and 1."""

    def __init__(self, labels: np.ndarray, options: Options):
        super().__init__(labels)
        self.epsilon = options.epsilon

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        return entry_losses(logits, smoothed(batch.labels, self.epsilon)).mean()


def make(inputs: LabelFree) -> Objective:
    return SmoothedAssumeNegative(clip_top1(inputs.p), inputs.setting.filled(Options()))
