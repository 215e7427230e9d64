"""WAN: "weak assume negative"; the row "Aodha et al." of Table 1.

L = 1 / (B C) * sum of 1[positive] * -log p + 1[assumed negative] * -log(1 - p) / (C - 1)

So the assumed negatives of an image weigh together as much as its one positive, CLIP's most probable class.

Source: Mac Aodha et al., "Presence-Only Geographical Priors for Fine-Grained Image Classification" (ICCV
2019), in the form of Cole et al. (CVPR 2021), loss_wan. The original also draws negatives at random places
of the earth, which has no meaning here.
"""

from __future__ import annotations

from torch import Tensor

from ccd_core.baselines.inputs import LabelFree
from ccd_core.baselines.losses import entry_losses
from ccd_core.baselines.without_labels.label_makers import clip_top1
from ccd_core.training.objective import Batch, Objective


class WeakAssumeNegative(Objective):
    """labels: [N, C] of 0 (taken for negative) and 1."""

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        classes = logits.shape[1]
        losses = entry_losses(logits, batch.labels)
        return losses.where(batch.labels == 1, losses / max(1, classes - 1)).mean()


def make(inputs: LabelFree) -> Objective:
    return WeakAssumeNegative(clip_top1(inputs.p))
