"""G2NetPL-style: each unknown label is a player of its own. Our reading of an abstract, no reproduction.

The abstract says three things. An unknown label carries a soft pseudo-label, which is a second player. It
wants to become 0 or 1 but pays for leaving the network's prediction. The network learns easy labels first.
The smallest version that does so has y = sigmoid(u) for each unknown entry, with

J(y) = -a (y - 1/2)^2 + lambda / 2 (y - p)^2         the cost of a label; p is the network's prediction
u <- u - eta dJ/dy                                   after each epoch, y kept within [0.01, 0.99]
L = 1 / (B C) * (sum over known of BCE + sum over unknown of w BCE(z, y)),   w = |2y - 1|^gamma_t

gamma_t falls from 2 to 0 over the epochs. For a < lambda / 2 the stationary point is a sharpened prediction,
y* = 1/2 + s (p - 1/2) with s = lambda / (lambda - 2a). The first epochs take unknown labels for negatives,
and y begins at the prediction after them; otherwise all labels would drift to 1.

Source: Abdelfattah et al., "G2NetPL" (BMVC 2022), the abstract. All numbers are ours: lambda = 1, a = 0.25,
eta = 1, one first epoch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ccd_core.baselines.losses import entry_losses
from ccd_core.baselines.supervision import WithLabels
from ccd_core.baselines.with_labels.bce import zeros_and_ones
from ccd_core.training.objective import Batch, Objective

LEAST = 0.01  # of a label; the most is 1 - LEAST


@dataclass(frozen=True)
class Options:
    push: float = 0.25  # a
    pull: float = 1.0  # lambda
    rate: float = 1.0  # eta
    first_epochs: int = 1  # in which unknown labels are taken for negatives
    easy_first: float = 2.0  # gamma in the first epoch


class Game(Objective):
    """labels: [N, C] of 0 (unknown) and 1 (known positive)."""

    def __init__(self, labels: np.ndarray, options: Options):
        super().__init__(labels)
        self.options = options
        self.y = torch.zeros(self.labels.shape)  # the pseudo-labels of unknown entries

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        if batch.epoch < self.options.first_epochs:
            return entry_losses(logits, batch.labels).mean()
        y = self.y[batch.indices].to(logits.device)
        unknown = batch.labels == 0
        losses = entry_losses(logits, torch.where(unknown, y, batch.labels))
        last = max(1, batch.epochs - 1)
        gamma = self.options.easy_first * max(0, 1 - batch.epoch / last)
        weight = torch.where(unknown, (2 * y - 1).abs() ** gamma, torch.ones_like(y))
        return (weight * losses).mean()

    def end_of_epoch(self, epoch: int, epochs: int, scores: np.ndarray) -> None:
        p = torch.from_numpy(scores).float()
        if epoch + 1 < self.options.first_epochs:
            return
        if epoch + 1 == self.options.first_epochs:
            self.y.copy_(p.clamp(LEAST, 1 - LEAST))
        else:
            self.y.copy_(moved_label(self.y, p, self.options))

    def state(self) -> dict[str, Tensor]:
        return {"y": self.y}

    def current_labels(self) -> np.ndarray:
        return np.where(self.labels == 0, self.y.numpy(), self.labels)


def moved_label(y: Tensor, p: Tensor, options: Options) -> Tensor:
    """One step of the labels `y` down their cost J, given the predictions `p`; both [N, C] in (0, 1)."""
    u = torch.logit(y.clamp(LEAST, 1 - LEAST))
    slope = -2 * options.push * (y - 0.5) + options.pull * (y - p)
    return torch.sigmoid(u - options.rate * slope).clamp(LEAST, 1 - LEAST)


def make(inputs: WithLabels) -> Objective:
    return Game(zeros_and_ones(inputs.supervision.labels), inputs.setting.filled(Options()))
