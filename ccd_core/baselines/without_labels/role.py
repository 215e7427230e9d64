"""ROLE: regularised online label estimation. Labels and classifier are learnt together and teach each other.

Every image has a free estimate q = sigmoid(v) of each label. With CE(a -> b) = -a log b - (1 - a) log(1 - b),
R(q) = (mean over the batch of the sum of q over classes - k)^2 / C^2, and no gradient through a:

L = 1/2 [ 1 / (B C) (sum over positives of -log p + sum of CE(q -> p)) + R(p) ]
  + 1/2 [ 1 / (B C) (sum over positives of -log q + sum of CE(p -> q)) + R(q) ]

The first half reaches the classifier only, the second the table v only. v starts at random between
-logit(0.6) and logit(0.6) where nothing is observed, at logit(0.995) for an observed positive, and learns ten
times as fast as the classifier. Adam moves rows of images that are not in a batch as well, as in the
original.

k is the expected number of positives of an image. The authors take it from ground truth (1.5 for VOC, 2.9
for COCO, 1.9 for NUS-WIDE). Here it is the mean over images of exp(entropy of CLIP's probabilities), the
number of classes that CLIP wavers between, which needs no labels. `method.options={expected: 1.5}` sets it.

Source: Cole et al., "Multi-Label Learning from Single Positive Labels" (CVPR 2021),
single-positive-multi-label: losses.py, models.py, train.py. CLIP's most probable class is the observed
positive.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccd_core.baselines.inputs import LabelFree
from ccd_core.baselines.losses import entry_losses, expected_positives
from ccd_core.baselines.without_labels.label_makers import clip_top1
from ccd_core.method.bias import entropy
from ccd_core.training.objective import Batch, Objective

OBSERVED = 0.995  # first estimate of an observed positive
UNDECIDED = 0.6  # first estimates of all others lie between 1 - UNDECIDED and UNDECIDED


@dataclass(frozen=True)
class Options:
    expected: float = 0.0  # k; 0: from CLIP's probabilities
    rate_factor: float = 10.0  # the table learns this many times faster than the classifier


class Role(Objective):
    """labels: [N, C] of 0 (unobserved) and 1 (observed positive)."""

    def __init__(self, labels: np.ndarray, options: Options, seed: int, device: torch.device):
        super().__init__(labels)
        self.options = options
        self.table = nn.Parameter(first_estimates(self.labels, seed).to(device))

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        estimates = self.table[batch.indices.to(self.table.device)]
        k = self.options.expected
        of_classifier = one_half(logits, torch.sigmoid(estimates).detach(), batch.labels, k)
        of_table = one_half(estimates, torch.sigmoid(logits).detach(), batch.labels, k)
        return 0.5 * (of_classifier + of_table)

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        rate = learning_rate * self.options.rate_factor
        return [{"params": [self.table], "lr": rate, "weight_decay": 0.0}]

    def state(self) -> dict[str, Tensor]:
        return {"table": self.table.detach()}

    def current_labels(self) -> np.ndarray:
        return torch.sigmoid(self.table.detach()).cpu().numpy()

    def positives(self) -> np.ndarray:
        """The observed positives: estimates hover around 1/2 for long."""
        return self.labels == 1


def one_half(logits: Tensor, other: Tensor, labels: Tensor, k: float) -> Tensor:
    """One half of the loss, for the player with `logits` [B, C]; `other` [B, C] are the other's estimates."""
    observed = (F.softplus(-logits) * (labels == 1)).sum()
    mean = (observed + entry_losses(logits, other).sum()) / logits.numel()
    return mean + regulariser(torch.sigmoid(logits), k)


def regulariser(q: Tensor, k: float) -> Tensor:
    """R(q), which is 0 where the batch has k expected positives an image. q: [B, C] in [0, 1]."""
    return ((expected_positives(q) - k) / q.shape[1]) ** 2


def first_estimates(labels: np.ndarray, seed: int) -> Tensor:
    """[N, C] float32, the table v before training."""
    random = torch.rand(labels.shape, generator=torch.Generator().manual_seed(seed))
    reach = math.log(UNDECIDED / (1 - UNDECIDED))
    sure = math.log(OBSERVED / (1 - OBSERVED))
    return torch.where(torch.from_numpy(labels == 1), torch.tensor(sure), (2 * random - 1) * reach)


def expected_from_clip(p: np.ndarray) -> float:
    """k without labels: the mean over images of exp(entropy). p: [N, C] probabilities."""
    return float(np.exp(entropy(p)).mean())


def make(inputs: LabelFree) -> Objective:
    options = inputs.setting.filled(Options(expected_from_clip(inputs.p)))
    return Role(clip_top1(inputs.p), options, inputs.setting.seed, inputs.setting.device)
