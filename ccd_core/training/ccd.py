"""CCD's own objective: cross-entropy with the pseudo-labels and, after warm-up, consistency (Eq. 8)."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from ccd_core.method.losses import ccd_loss
from ccd_core.settings.sections import TrainingSettings
from ccd_core.training.objective import Batch, Objective


class Ccd(Objective):
    """labels: [N, C] in [0, 1], the initial labels, and after the warm-up the final ones."""

    def __init__(self, settings: TrainingSettings):
        super().__init__(np.empty((0, 0)))  # the pipeline brings the labels of each phase
        self.settings = settings
        self.wants_strong = settings.beta > 0

    def loss_of(self, model: Any, images: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = model(images)
        strong = None if batch.strong is None else model(batch.strong)
        return ccd_loss(logits, batch.labels, strong, self.settings.beta), logits

    def positives(self) -> np.ndarray:
        return self.labels >= self.settings.positive_label
