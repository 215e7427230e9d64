"""What a method brings to the common trainer: its loss, and what it remembers from epoch to epoch.

CCD's is in `ccd_core/training/ccd.py`. The methods of `ccd_core/baselines` each have an `Objective`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ccd_core.errors import UserError


class Batch(NamedTuple):
    """What a loss is told of one step."""

    indices: Tensor  # [B] int64 on the CPU, which training images these are
    labels: Tensor  # [B, C] float32, their rows of `Objective.labels`
    epoch: int  # the index of the epoch
    epochs: int  # how many epochs there are in all
    strong: Tensor | None = None  # [B, 3, S, S], strong copies, after warm-up if the objective wants them


class Objective:
    """The loss of a method, with its state.

    labels: [N, C] float32, in the code of the method: either soft labels in [0, 1], or -1 for a known
    negative, 0 for unknown and 1 for a known positive. They stay as they are; labels that change are state.
    wants_strong: whether the loss after warm-up also needs strongly augmented copies of the images.
    """

    wants_strong = False

    def __init__(self, labels: np.ndarray):
        self.labels = np.asarray(labels, np.float32)

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """The loss of the logits [B, C] of a batch, a scalar."""
        raise NotImplementedError

    def loss_of(self, model: Any, images: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss, and the logits [B, C], of normalised images [B, 3, S, S].

        A method whose loss needs more of the network than its logits overrides this. It is called again for
        the same step where the device runs out of memory, so what it remembers is changed in `end_of_step`.
        """
        logits = model(images)
        return self.loss(logits, batch), logits

    def end_of_step(self) -> None:
        """Update the state. Called after each step."""

    def end_of_epoch(self, epoch: int, epochs: int, scores: np.ndarray) -> None:
        """Update the state. Called after each epoch, with the index of the epoch and its number of all.

        scores: [N, C] float32 in [0, 1], the epoch's predictions, each made before its own step.
        """

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """Groups of parameters that the optimiser gets besides the network's."""
        return []

    def state(self) -> dict[str, Tensor]:
        """Everything that a resumed run needs to go on, {name: tensor}, besides the optimiser's state."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` returned. Raises UserError if it belongs to other images."""
        own = self.state()
        if any(name not in state or state[name].shape != value.shape for name, value in own.items()):
            raise UserError(
                "The checkpoint's state of the method belongs to other training images; begin a new run."
            )
        with torch.no_grad():
            for name, value in own.items():
                value.copy_(state[name])

    def current_labels(self) -> np.ndarray:
        """[N, C] float32, the labels in [0, 1] that training aims at now; NaN for an unknown entry."""
        return self.labels

    def positives(self) -> np.ndarray:
        """[N, C] bool, which labels are positive for the mAP on training labels (Sec. 4.1)."""
        with np.errstate(invalid="ignore"):
            return self.current_labels() >= 0.5
