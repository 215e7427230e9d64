"""Partial BCE with a curriculum; the row "Durand et al." of Table 1.

L_i = g(k_i) / C * sum over the known entries of image i of BCE,    k_i = known entries / C
g(k) = alpha k^gamma + beta,   alpha = -4.45, beta = 5.45, gamma = 1

So g(1) = 1 and g(0.1) = 5.005: an image with few known labels counts as much as one with many. An image
without any counts nothing. After half and after three quarters of the epochs, unknown entries that the
network is sure of, |z| >= 2, become known, with the sign of z.

The labels come from CLIP's probabilities by thresholds, because the loss needs negatives: with positives
alone, p = 1 everywhere would be best.

Source: Durand et al., "Learning a Deep ConvNet for Multi-label Classification with Partial Labels" (CVPR
2019); the constants and the curriculum are those of two public versions (lcalem/partial-labels and one in
torch). Its graph network is not part of the row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ccd_core.baselines.inputs import LabelFree
from ccd_core.baselines.losses import entry_losses
from ccd_core.baselines.without_labels.label_makers import clip_threshold
from ccd_core.training.objective import Batch, Objective


@dataclass(frozen=True)
class Options:
    alpha: float = -4.45
    beta: float = 5.45
    gamma: float = 1.0
    sure: float = 2.0  # |z| from which on an unknown entry becomes known


class PartialBce(Objective):
    """labels: [N, C] of -1, 0 and 1. The curriculum fills in zeros as training goes on."""

    def __init__(self, labels: np.ndarray, options: Options):
        super().__init__(labels)
        self.options = options
        self.now = torch.from_numpy(self.labels.copy())  # with what the curriculum has filled in

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        labels = self.now[batch.indices].to(logits.device)
        return partial_bce(logits, labels, self.options)

    def end_of_epoch(self, epoch: int, epochs: int, scores: np.ndarray) -> None:
        if epoch + 1 in rounds(epochs):
            self.now.copy_(filled_in(self.now, torch.from_numpy(scores).float(), self.options.sure))

    def state(self) -> dict[str, Tensor]:
        return {"labels": self.now}

    def current_labels(self) -> np.ndarray:
        return np.where(self.now == 0, np.nan, self.now > 0).astype(np.float32)


def weight(known: Tensor, options: Options) -> Tensor:
    """g(k) of the part k of an image's entries that is known, in [0, 1]."""
    return options.alpha * known**options.gamma + options.beta


def partial_bce(logits: Tensor, labels: Tensor, options: Options) -> Tensor:
    """The mean of L_i over a batch. labels: [B, C] of -1, 0 and 1."""
    known = labels != 0
    losses = (entry_losses(logits, (labels > 0).to(logits.dtype)) * known).mean(1)
    return (weight(known.float().mean(1), options) * losses).mean()


def rounds(epochs: int) -> tuple[int, int]:
    """After how many epochs unknown entries are filled in, of `epochs` in all: 10 and 15 of 20."""
    return epochs // 2, 3 * epochs // 4


def filled_in(labels: Tensor, scores: Tensor, sure: float) -> Tensor:
    """Labels [N, C] in which unknown entries with |z| >= `sure` have become known. scores: sigmoid(z)."""
    z = torch.logit(scores, eps=1e-7)
    return torch.where((labels == 0) & (z.abs() >= sure), z.sign(), labels)


def make(inputs: LabelFree) -> Objective:
    return PartialBce(clip_threshold(inputs.p), inputs.setting.filled(Options()))
