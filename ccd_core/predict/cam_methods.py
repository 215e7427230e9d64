"""One image and class under the CAM methods of the grad-cam package, beside the classifier's own map.

With a classifier whose logits are the means of its class maps, CAM and Grad-CAM differ by a factor and by Grad-CAM's cut at zero only;
the other methods weigh pixels or channels differently, and their boxes would have sent CLIP elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from pytorch_grad_cam import EigenCAM, GradCAM, GradCAMPlusPlus, LayerCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor

from ccd_core.method.classifier import CamClassifier
from ccd_core.method.views import AxisMaxima, normalize_cam

METHODS: dict[str, Callable[..., Any]] = {
    "Grad-CAM": GradCAM,
    "Grad-CAM++": GradCAMPlusPlus,
    "LayerCAM": LayerCAM,
    "Eigen-CAM": EigenCAM,
}
SHOWN = 40  # side of the maps that are handed out


def method_maps(model: CamClassifier, x: Tensor, cls: int) -> dict[str, Tensor]:
    """Maps of class `cls` of one normalised image x [1, 3, S, S], by method: the model's own [h, w], the others [S, S] in [0, 1]."""
    with torch.no_grad():
        _, cam = model(x, return_cam=True)
    maps = {"CAM": cam[0, cls].float().cpu()}
    for name, method in METHODS.items():
        with method(
            model=model, target_layers=[model.backbone]
        ) as explained:  # `with` takes its hooks off the model again
            maps[name] = torch.from_numpy(explained(input_tensor=x, targets=[ClassifierOutputTarget(cls)])[0])
    model.zero_grad(set_to_none=True)
    return maps


def method_boxes(maps: dict[str, Tensor], frame: int, thresholds: list[float]) -> dict[str, dict[str, Any]]:
    """By method: its map for display, at most `SHOWN` a side in [0, 1], and its CAM box at each threshold (None for a flat map)."""
    answer = {}
    for name, raw in maps.items():
        profile = AxisMaxima(raw[None], (frame, frame))
        boxes = [profile.extents(threshold)[0].tolist() for threshold in thresholds]
        small = raw if max(raw.shape) <= SHOWN else F.adaptive_avg_pool2d(raw[None], SHOWN)[0]
        answer[name] = {
            "map": normalize_cam(small).numpy().round(3).tolist(),
            "boxes": [None if box[0] < 0 else box for box in boxes],
        }
    return answer
