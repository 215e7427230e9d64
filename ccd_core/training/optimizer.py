"""The optimiser of the classifier, and its learning rate over the epochs (Sec. 4.1)."""

from __future__ import annotations

import math
from typing import Any

import torch

from ccd_core.method.classifier import CamClassifier
from ccd_core.settings import TrainingSettings


def make_optimizer(model: CamClassifier, settings: TrainingSettings) -> torch.optim.Optimizer:
    """Adam or AdamW with two groups of parameters: the backbone, and the head with its own learning rate."""
    rate = settings.learning_rate
    groups: list[dict[str, Any]] = [
        {"params": model.backbone.parameters(), "lr": rate},
        {"params": model.head.parameters(), "lr": rate * settings.head_factor},
    ]
    optimizer_class = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return optimizer_class(groups, weight_decay=settings.weight_decay)


def rate_factor(settings: TrainingSettings, progress: float) -> float:
    """The factor of all learning rates at `progress` in [0, 1], the part of all epochs that is done."""
    return 1.0 if settings.schedule == "constant" else 0.5 * (1 + math.cos(math.pi * progress))
