"""SST: structured semantic transfer; the row "Chen et al." of Table 1, with some labels known.

Unknown labels are inferred in two ways. *Within an image*: class c is positive if it often comes with the
known positives k, mean over k of P(c, k) >= theta. *Across images*: class c is positive if its feature is
like those of known positives of other images, mean cosine to the last 100 stored >= theta.

L = BCE_known + BCE(known and found within) + 10 L_pairs + BCE(known and found across) + 0.05 L_contrast

BCE is the mean over the known entries of a batch. P(c, k) is a small network on the features of two classes,
trained with the asymmetric loss (gamma_neg = 2, gamma_pos = 1, m = 0.05); a pair is positive if both classes
are known positives. L_pairs and L_contrast rise over the first epoch. The terms with inferred labels begin
after a quarter of the epochs; from then on theta falls from 0.95 by 0.025 an epoch to 0.75.

Source: Chen et al., "Structured Semantic Transfer for Multi-Label Recognition with Partial Labels" (AAAI
2022), HCPLab-SYSU/HCP-MLR-PL. What differs: the words are CLIP's, not GloVe's; the trainer, crops and
trained blocks are those of all methods; L_pairs is a mean; only stored features count in a mean cosine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ccd_core.baselines.losses import known_bce
from ccd_core.baselines.supervision import WithLabels
from ccd_core.baselines.with_labels.asl import SMALLEST, unknown_as_nan
from ccd_core.baselines.with_labels.feature_memory import FeatureMemory, contrastive_loss
from ccd_core.training.objective import Batch, Objective

STORED = 100  # features of a class


@dataclass(frozen=True)
class Options:
    threshold: float = 0.95  # theta at first
    least_threshold: float = 0.75
    threshold_step: float = 0.025  # an epoch
    inferred_from: float = 0.25  # part of the epochs before inferred labels count
    pairs_weight: float = 10.0
    contrast_weight: float = 0.05


class Pairs(nn.Module):
    """P(c, k): how probably two classes come together, from their features."""

    def __init__(self, classes: int, width: int):
        super().__init__()
        self.first, self.second = torch.triu_indices(classes, classes, 1)
        self.narrow = nn.Linear(width, max(1, width // 2))
        self.join = nn.Sequential(
            nn.Linear(2 * max(1, width // 2), width), nn.ReLU(), nn.Linear(width, width)
        )
        self.of_pair = nn.Parameter(torch.empty(len(self.first), width).uniform_(-1, 1) / width**0.5)

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, D] to logits [B, P] of the P = C (C - 1) / 2 pairs."""
        narrow = self.narrow(features)
        joined = torch.cat([narrow[:, self.first], narrow[:, self.second]], dim=-1)
        return (self.join(joined) * self.of_pair).sum(-1)

    def matrix(self, logits: Tensor, classes: int) -> Tensor:
        """[B, C, C] probabilities of the pairs, with zeros on the diagonal; logits: [B, P]."""
        found = logits.new_zeros(len(logits), classes, classes)
        p = torch.sigmoid(logits)
        found[:, self.first, self.second] = p
        found[:, self.second, self.first] = p
        return found


class Sst(Objective):
    """labels: [N, C] of -1, 0 and 1."""

    def __init__(self, labels: np.ndarray, options: Options, width: int, device: torch.device):
        super().__init__(labels)
        self.options = options
        classes = labels.shape[1]
        self.pairs = Pairs(classes, width).to(device)
        self.memory = FeatureMemory(classes, STORED, width, device)
        self.threshold = torch.tensor(options.threshold)
        self.seen = torch.tensor(0)  # images in all steps so far

    def loss_of(self, model: Any, images: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        options = self.options
        labels = batch.labels
        logits, features = model(images, return_features=True)
        loss = known_bce(logits, labels)
        rise = min(1.0, float(self.seen) / len(self.labels))
        pair_logits = self.pairs(features)
        loss = loss + rise * options.pairs_weight * pair_loss(pair_logits, labels, self.pairs)
        loss = loss + rise * options.contrast_weight * contrastive_loss(features, labels)
        if batch.epoch >= first_epoch(options, batch.epochs):
            with torch.no_grad():
                together = self.pairs.matrix(pair_logits, labels.shape[1])
                within = found_within(together, labels, float(self.threshold))
                across = found_across(self.memory.similarity(features), labels, float(self.threshold))
            loss = loss + known_bce(logits, within) + known_bce(logits, across)
        self.last = features.detach(), labels
        return loss, logits

    def end_of_step(self) -> None:
        features, labels = self.last
        self.memory.store(features, labels)
        self.seen += len(labels)

    def end_of_epoch(self, epoch: int, epochs: int, scores: np.ndarray) -> None:
        if epoch >= first_epoch(self.options, epochs):
            lower = self.threshold - self.options.threshold_step
            self.threshold.copy_(lower.clamp_min(self.options.least_threshold))

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        return [{"params": list(self.pairs.parameters()), "lr": learning_rate}]

    def state(self) -> dict[str, Tensor]:
        of_pairs = {f"pairs.{name}": value.detach() for name, value in self.pairs.named_parameters()}
        return of_pairs | self.memory.state() | {"threshold": self.threshold, "seen": self.seen}

    def current_labels(self) -> np.ndarray:
        return unknown_as_nan(self.labels)


def first_epoch(options: Options, epochs: int) -> int:
    """The index of the first epoch in which inferred labels count: 5 of 20."""
    return max(1, round(options.inferred_from * epochs))


def pair_loss(logits: Tensor, labels: Tensor, pairs: Pairs) -> Tensor:
    """The mean asymmetric loss of the pairs, with gamma_neg = 2, gamma_pos = 1 and m = 0.05.

    logits: [B, P]; labels: [B, C] of -1, 0 and 1. A pair without two known positives is a negative.
    """
    known = labels == 1
    positive = known[:, pairs.first] & known[:, pairs.second]
    p = torch.sigmoid(logits)
    not_p = (1 - p + 0.05).clamp_max(1)
    log_p = torch.where(positive, p, not_p).clamp_min(SMALLEST).log()
    weight = torch.where(positive, 1 - p, (1 - not_p) ** 2).detach()
    return -(weight * log_p).mean()


def found_within(together: Tensor, labels: Tensor, threshold: float) -> Tensor:
    """Labels [B, C] with 1 for unknown classes that come with the image's known positives.

    together: [B, C, C] probabilities that two classes come together.
    """
    positive = (labels == 1).to(together.dtype)
    count = positive.sum(1, keepdim=True)
    mean = (together * positive[:, None]).sum(-1) / count.clamp_min(1)
    return torch.where((labels == 0) & (count > 0) & (mean >= threshold), torch.ones_like(labels), labels)


def found_across(similarity: Tensor, labels: Tensor, threshold: float) -> Tensor:
    """Labels [B, C] with 1 for unknown classes whose `similarity` [B, C] is high enough."""
    return torch.where((labels == 0) & (similarity >= threshold), torch.ones_like(labels), labels)


def make(inputs: WithLabels) -> Objective:
    options = inputs.setting.filled(Options())
    return Sst(inputs.supervision.labels, options, inputs.setting.head_width, inputs.setting.device)
