"""Predictions of a finished run, with maps and boxes that explain them, and the app's predictor process.

This package may import `training`, `evaluation`, `runs`, `method`, `data`, `clip` and what these import.
`server`, `overlay` and `tables` load without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccd_core._lazy import lazy_names

if TYPE_CHECKING:
    from ccd_core.predict.predictor import Prediction, Predictor

__all__ = ["Prediction", "Predictor"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Prediction": "ccd_core.predict.predictor",
        "Predictor": "ccd_core.predict.predictor",
    },
)
