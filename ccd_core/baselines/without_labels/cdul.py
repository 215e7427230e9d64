"""CDUL: labels from the image and from tiles; then network and labels move towards each other.

g = CLIP's probabilities of the whole image; a, b = the largest and the smallest over the cells of a 3 x 3
grid; local = a where a >= zeta, else b; Y = (g + local) / 2.

The network is trained with binary cross-entropy on Y. After each epoch from the second on, the labels move:

u = logit(Y),   u <- u - eta psi(Y) (u - z),   psi(Y) = exp(-1/2 ((Y - 1/2) / sigma)^2),   Y = sigmoid(u)

u - z is the derivative by Y of the Bernoulli divergence KL(Y || sigmoid(z)). So a label relaxes to the
network's logit z, faster where it is undecided. z is the logit of the epoch's own prediction, made before
its step, so that no further pass over the images is needed.

Source: Abdelfattah et al., "CDUL: CLIP-Driven Unsupervised Learning for Multi-Label Image Classification"
(ICCV 2023); details from cs-mshah/CDUL, which is unofficial. Its schedule is not published, and its sigma =
1 protects no label. Ours: zeta = 0, no update in the first two epochs, sigma = 0.25, eta = 0.1, and Y within
[0.001, 0.999]. Cosines are divided by CLIP's temperature 0.01; the unofficial code multiplies by too little
and makes all labels alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ccd_core.baselines.inputs import LabelFree
from ccd_core.baselines.losses import entry_losses
from ccd_core.baselines.without_labels.label_makers import tiled
from ccd_core.training.objective import Batch, Objective

LEAST = 1e-3  # of a label; the most is 1 - LEAST


@dataclass(frozen=True)
class Options:
    zeta: float = 0.0
    sigma: float = 0.25
    rate: float = 0.1  # eta
    first_epochs: int = 2  # without an update of the labels


class Cdul(Objective):
    """labels: [N, C] in [0, 1], the initial labels. `now` are the present ones."""

    def __init__(self, labels: np.ndarray, options: Options):
        super().__init__(labels)
        self.options = options
        self.now = torch.from_numpy(self.labels).clamp(LEAST, 1 - LEAST)

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        return entry_losses(logits, self.now[batch.indices].to(logits.device)).mean()

    def end_of_epoch(self, epoch: int, epochs: int, scores: np.ndarray) -> None:
        if epoch + 1 >= self.options.first_epochs:
            z = torch.logit(torch.from_numpy(scores).float(), eps=1e-6)
            self.now.copy_(moved_label(self.now, z, self.options))

    def state(self) -> dict[str, Tensor]:
        return {"labels": self.now}

    def current_labels(self) -> np.ndarray:
        return self.now.numpy().copy()


def gate(y: Tensor, sigma: float) -> Tensor:
    """psi(y): 1 for an undecided label, y = 1/2, and less the more decided it is."""
    return torch.exp(-0.5 * ((y - 0.5) / sigma) ** 2)


def moved_label(y: Tensor, z: Tensor, options: Options) -> Tensor:
    """One step of the labels `y` [N, C] towards the network's logits `z` [N, C]."""
    u = torch.logit(y.clamp(LEAST, 1 - LEAST))
    moved = u - options.rate * gate(y, options.sigma) * (u - z)
    return torch.sigmoid(moved).clamp(LEAST, 1 - LEAST)


def make(inputs: LabelFree) -> Objective:
    options = inputs.setting.filled(Options())
    return Cdul(tiled(inputs.p, inputs.tiles(), options.zeta), options)
