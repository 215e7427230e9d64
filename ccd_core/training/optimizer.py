"""The optimiser of the classifier, and its learning rate over the epochs (Sec. 4.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from ccd_core.method.classifier import CamClassifier
from ccd_core.settings.sections import TrainingSettings

MOMENTUM = 0.9  # of SGD
RISE = 0.2  # part of one cycle in which the learning rate rises
START = 1 / 25  # of one cycle, in parts of the highest rate


def make_optimizer(
    model: CamClassifier, settings: TrainingSettings, more: Sequence[dict[str, Any]] = (), fused: bool = False
) -> torch.optim.Optimizer:
    """Adam, AdamW or SGD with a group of parameters for the backbone and one for the head, with its own rate.

    more: further groups, each with its own `lr`, such as a method's parameters that belong to images.
    fused: one kernel updates all parameters. Its rounding differs, so it is for GPUs only.
    """
    rate = settings.learning_rate
    groups: list[dict[str, Any]] = [
        {"params": model.backbone.parameters(), "lr": rate},
        {"params": model.head.parameters(), "lr": rate * settings.head_factor},
    ]
    if settings.decay == "matrices":
        groups = [part for group in groups for part in _by_decay(group)]
    groups += more
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            groups, momentum=MOMENTUM, weight_decay=settings.weight_decay, fused=fused or None
        )
    optimizer_class = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return optimizer_class(groups, weight_decay=settings.weight_decay, fused=fused or None)


def _by_decay(group: dict[str, Any]) -> list[dict[str, Any]]:
    """A group's matrices and kernels, which decay, and its biases and factors of norms, which do not."""
    parameters = list(group["params"])
    decaying = [value for value in parameters if value.ndim > 1]
    others = [value for value in parameters if value.ndim <= 1]
    return [group | {"params": decaying}, group | {"params": others, "weight_decay": 0.0}]


def lay_out_like_parameters(optimizer: torch.optim.Optimizer) -> None:
    """Give what the optimiser remembers of each parameter the parameter's layout in memory.

    What was read from a file is laid out in the default way. A fused optimiser refuses a mixture, and others
    are slower with it.
    """
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def rate_factor(settings: TrainingSettings, progress: float) -> float:
    """The factor of all learning rates at `progress` in [0, 1], the part of all epochs that is done."""
    if settings.schedule == "constant":
        return 1.0
    if settings.schedule == "step":
        return 1.0 if progress < 0.5 else 0.1
    if settings.schedule == "one_cycle":
        if progress < RISE:
            return START + (1 - START) * 0.5 * (1 - math.cos(math.pi * progress / RISE))
        return 0.5 * (1 + math.cos(math.pi * (progress - RISE) / (1 - RISE)))
    return 0.5 * (1 + math.cos(math.pi * progress))
