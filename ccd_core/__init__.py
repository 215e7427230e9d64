"""CCD: a multi-label image classifier from images without labels (Kim and Shim, CVPR 2025).

Names are imported when first used, so that what needs no torch does not wait for it.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.2.0"

_HOMES = {
    "ClipTeacher": "clip",
    "clip_bias": "bias",
    "debias": "bias",
    "entropy": "bias",
    "CamClassifier": "classifier",
    "normalize_cam": "views",
    "cam_box": "views",
    "crop_views": "views",
    "aggregate_views": "labels",
    "update_labels": "labels",
    "ccd_loss": "losses",
    "first_local_minimum": "training",
    "average_precision": "metrics",
    "Predictor": "predict",
    "Run": "runs",
    "CCDConfig": "config",
    "run_ccd": "pipeline",
    "UserError": "errors",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"ccd_core.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'ccd_core' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
