"""The finished classifier at work: predictions, maps, overlays, and the predictor process of the app."""

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
