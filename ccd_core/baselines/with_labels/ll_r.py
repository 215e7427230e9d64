"""LL-R: large loss rejection, with one positive label an image.

Unknown labels are taken for negatives. A network fits right labels first, so the unknown entries with the
largest losses are probably wrong, and more of them are left out in every epoch.

k_t = ceil(B * C * delta / 100 * (t - 1))      in epoch t = 1, 2, ...
L = 1 / (B C) * sum of the losses, without the k_t largest of unknown entries in the whole batch

An entry whose loss equals the k_t-th largest is left out, so ties all are. The denominator stays B C.

Source: Kim et al., "Large Loss Matters in Weakly Supervised Multi-Label Classification" (CVPR 2022),
snucml/LargeLossMatters. delta is percent of all entries: 0.2 for VOC, 0.4 for COCO and NUS-WIDE (the
authors' answer in issue 4). Other data sets get 0.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ccd_core.baselines.losses import entry_losses
from ccd_core.baselines.supervision import WithLabels
from ccd_core.baselines.with_labels.bce import zeros_and_ones
from ccd_core.training.objective import Batch, Objective

DELTA_OF = {"coco2014": 0.4, "nuswide": 0.4}


@dataclass(frozen=True)
class Options:
    delta: float = 0.2  # percent of the B * C entries of a batch, more in each epoch


class LargeLossRejection(Objective):
    """labels: [N, C] of 0 (unknown) and 1 (known positive)."""

    def __init__(self, labels: np.ndarray, options: Options):
        super().__init__(labels)
        self.delta = options.delta

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        losses = entry_losses(logits, batch.labels)
        count = rejected(logits.numel(), self.delta, batch.epoch + 1)
        return (losses * ~largest_unknown(losses, batch.labels, count)).mean()

    def current_labels(self) -> np.ndarray:
        return self.labels


def rejected(entries: int, delta: float, epoch: int) -> int:
    """k_t, how many of the B * C = `entries` entries are left out in epoch t = 1, 2, ...

    delta: percent. The epsilon undoes the rounding of decimal fractions, which would raise a whole number.
    """
    return math.ceil(entries * delta / 100 * (epoch - 1) - 1e-9)


def largest_unknown(losses: Tensor, labels: Tensor, count: int) -> Tensor:
    """[B, C] bool, the `count` unknown entries of the batch with the largest losses, and their ties."""
    unknown = labels == 0
    count = min(count, int(unknown.sum()))
    if count < 1:
        return torch.zeros_like(unknown)
    least = losses.detach()[unknown].topk(count).values[-1]
    return unknown & (losses.detach() >= least)


def make(inputs: WithLabels) -> Objective:
    defaults = Options(DELTA_OF.get(inputs.setting.dataset_kind, 0.2))
    return LargeLossRejection(zeros_and_ones(inputs.supervision.labels), inputs.setting.filled(defaults))
