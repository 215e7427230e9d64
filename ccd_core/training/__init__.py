"""Training of the classifier: epochs, checkpoints, augmentation, several devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccd_core._lazy import lazy_names

if TYPE_CHECKING:
    from ccd_core.method.early_stop import first_local_minimum
    from ccd_core.training.trainer import Trainer

__all__ = ["Trainer", "first_local_minimum"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Trainer": "ccd_core.training.trainer",
        "first_local_minimum": "ccd_core.method.early_stop",
    },
)
