"""CCD: a multi-label image classifier from images without labels (Kim and Shim, CVPR 2025)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccd_core._lazy import lazy_names

if TYPE_CHECKING:
    from ccd_core.clip.teacher import ClipTeacher
    from ccd_core.config import CCDConfig
    from ccd_core.errors import UserError
    from ccd_core.evaluation.metrics import average_precision
    from ccd_core.execution import run_ccd
    from ccd_core.method.bias import clip_bias, debias, entropy
    from ccd_core.method.classifier import CamClassifier
    from ccd_core.method.early_stop import first_local_minimum
    from ccd_core.method.labels import aggregate_views, update_labels
    from ccd_core.method.losses import ccd_loss
    from ccd_core.method.views import cam_box, crop_views, normalize_cam
    from ccd_core.predict.predictor import Predictor
    from ccd_core.runs.run import Run

__version__ = "0.2.0"
__all__ = [
    "CCDConfig",
    "CamClassifier",
    "ClipTeacher",
    "Predictor",
    "Run",
    "UserError",
    "aggregate_views",
    "average_precision",
    "cam_box",
    "ccd_loss",
    "clip_bias",
    "crop_views",
    "debias",
    "entropy",
    "first_local_minimum",
    "normalize_cam",
    "run_ccd",
    "update_labels",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "CCDConfig": "ccd_core.config",
        "CamClassifier": "ccd_core.method.classifier",
        "ClipTeacher": "ccd_core.clip.teacher",
        "Predictor": "ccd_core.predict.predictor",
        "Run": "ccd_core.runs.run",
        "UserError": "ccd_core.errors",
        "aggregate_views": "ccd_core.method.labels",
        "average_precision": "ccd_core.evaluation.metrics",
        "cam_box": "ccd_core.method.views",
        "ccd_loss": "ccd_core.method.losses",
        "clip_bias": "ccd_core.method.bias",
        "crop_views": "ccd_core.method.views",
        "debias": "ccd_core.method.bias",
        "entropy": "ccd_core.method.bias",
        "first_local_minimum": "ccd_core.method.early_stop",
        "normalize_cam": "ccd_core.method.views",
        "run_ccd": "ccd_core.execution",
        "update_labels": "ccd_core.method.labels",
    },
)
