"""SARB: semantic-aware representation blending, with some labels known.

Unknown labels are completed by mixing class features. *Instances*: where an image does not know class c and
its partner, the image at the other end of the batch, has it: f' = a f + (1 - a) f_partner, with the target 1
- a. *Prototypes*: one unknown class of each image gets f' = b f + (1 - b) P_c[r], with the target 1 - b; P_c
are 10 cluster centres of the features of known positives of class c, and r is drawn once a batch. a and b
are learnt, from 0.5 on, within [0, 1].

L = BCE_known + 0.05 L_contrast + BCE(instances) + BCE(prototypes)

The last two begin after a quarter of the epochs. Prototypes are made anew after each quarter.

Source: Pu et al., "Semantic-Aware Representation Blending for Multi-Label Image Recognition with Partial
Labels" (AAAI 2022), HCPLab-SYSU/HCP-MLR-PL. What differs from it: the words are CLIP's, not GloVe's; the
trainer, crops and trained blocks are those of all methods; centres are made of the last 200 features of a
class in training, not of a pass over all images. A class with fewer than 10 has as many prototypes as
features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ccd_core.baselines.losses import known_bce
from ccd_core.baselines.supervision import WithLabels
from ccd_core.baselines.with_labels.asl import unknown_as_nan
from ccd_core.baselines.with_labels.feature_memory import FeatureMemory, contrastive_loss
from ccd_core.training.objective import Batch, Objective

STORED = 200  # features of a class
PROTOTYPES = 10  # of a class


@dataclass(frozen=True)
class Options:
    mixed_from: float = 0.25  # part of the epochs before mixed features count
    contrast_weight: float = 0.05


class Sarb(Objective):
    """labels: [N, C] of -1, 0 and 1."""

    def __init__(self, labels: np.ndarray, options: Options, width: int, seed: int, device: torch.device):
        super().__init__(labels)
        self.options = options
        self.seed = seed
        classes = labels.shape[1]
        self.memory = FeatureMemory(classes, STORED, width, device)
        self.shares = nn.Parameter(torch.full((2,), 0.5, device=device))  # a and b
        self.prototypes = torch.zeros(classes, PROTOTYPES, width, device=device)
        self.has_prototypes = torch.zeros(classes, dtype=torch.bool, device=device)

    def loss_of(self, model: Any, images: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        labels = batch.labels
        logits, features = model(images, return_features=True)
        loss = known_bce(logits, labels)
        loss = loss + self.options.contrast_weight * contrastive_loss(features, labels)
        if batch.epoch >= first_epoch(self.options, batch.epochs):
            of_instances, of_prototypes = self.shares.clamp(0, 1)
            mixed = mixed_instances(features, labels, of_instances)
            loss = loss + known_bce(classify(model, mixed[0]), mixed[1])
            if self.has_prototypes.any():
                chosen = self.prototypes[:, int(torch.randint(PROTOTYPES, ()))]
                mixed = mixed_prototypes(features, labels, chosen, self.has_prototypes, of_prototypes)
                loss = loss + known_bce(classify(model, mixed[0]), mixed[1])
        self.last = features.detach(), labels
        return loss, logits

    def end_of_step(self) -> None:
        self.memory.store(*self.last)

    def end_of_epoch(self, epoch: int, epochs: int, scores: np.ndarray) -> None:
        with torch.no_grad():
            self.shares.clamp_(0, 1)
        if epoch + 1 in {round(epochs * quarter / 4) for quarter in (1, 2, 3)}:
            for cls in range(len(self.prototypes)):
                found = cluster_centres(self.memory.of_class(cls), self.seed)
                if found is not None:
                    self.prototypes[cls] = found
                    self.has_prototypes[cls] = True

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        return [{"params": [self.shares], "lr": learning_rate, "weight_decay": 0.0}]

    def state(self) -> dict[str, Tensor]:
        return self.memory.state() | {
            "shares": self.shares.detach(),
            "prototypes": self.prototypes,
            "has_prototypes": self.has_prototypes,
        }

    def current_labels(self) -> np.ndarray:
        return unknown_as_nan(self.labels)


def first_epoch(options: Options, epochs: int) -> int:
    """The index of the first epoch in which mixed features count: 5 of 20."""
    return max(1, round(options.mixed_from * epochs))


def classify(model: Any, features: Tensor) -> Tensor:
    """Logits [B, C] of class features [B, C, D], by the model or by what wraps it for several devices."""
    return getattr(model, "module", model).head.classify(features)


def mixed_instances(features: Tensor, labels: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """Class features [B, C, D] and labels [B, C] in which unknown positives come from the partner.

    labels: [B, C] of -1, 0 and 1; share: a, what is left of the own feature. The partner of an image is the
    one at the other end of the batch.
    """
    other = labels.flip(0)
    mixed = (labels == 0) & (other == 1)
    blend = share * features + (1 - share) * features.flip(0)
    return torch.where(mixed[..., None], blend, features), torch.where(mixed, 1 - share, labels)


def mixed_prototypes(
    features: Tensor, labels: Tensor, prototypes: Tensor, there: Tensor, share: Tensor
) -> tuple[Tensor, Tensor]:
    """Class features [B, C, D] and labels [B, C] in which one unknown class an image is a prototype's.

    prototypes: [C, D], of which `there` [C] bool have any; share: b, what is left of the own feature.
    """
    possible = (labels == 0) & there
    order = torch.rand(labels.shape).to(labels.device) * possible
    chosen = torch.zeros_like(possible).scatter_(1, order.argmax(1, keepdim=True), True) & possible
    blend = share * features + (1 - share) * prototypes
    return torch.where(chosen[..., None], blend, features), torch.where(chosen, 1 - share, labels)


def cluster_centres(features: Tensor, seed: int) -> Tensor | None:
    """[10, D] k-means centres of features [n, D], repeated where n < 10; None if n is 0."""
    from sklearn.cluster import KMeans

    if not len(features):
        return None
    count = min(PROTOTYPES, len(features))
    values = features.cpu().numpy()
    centres = KMeans(count, n_init=1, random_state=seed % 2**32).fit(values).cluster_centers_
    return torch.from_numpy(centres[np.arange(PROTOTYPES) % count]).to(features)


def make(inputs: WithLabels) -> Objective:
    setting = inputs.setting
    options = setting.filled(Options())
    return Sarb(inputs.supervision.labels, options, setting.head_width, setting.seed, setting.device)
