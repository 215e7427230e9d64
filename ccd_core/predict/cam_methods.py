"""One image and one class under several CAM methods of the grad-cam package, beside the classifier's own map.

The logits of the classifier are the means of its class maps. So CAM and Grad-CAM differ only by a factor, and
by Grad-CAM's cut at zero. The other methods weight pixels or channels differently, and give other boxes.
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
SHOWN = 40  # cells, the longest side of a map for display


def method_maps(model: CamClassifier, x: Tensor, cls: int) -> dict[str, Tensor]:
    """{method: map} of class `cls` for one normalised image x [1, 3, S, S].

    The model's own map is [h, w], of any range. Those of the other methods are [S, S] in [0, 1].
    """
    with torch.no_grad():
        _, cam = model(x, return_cam=True)
    maps = {"CAM": cam[0, cls].float().cpu()}
    for name, method in METHODS.items():
        # Leaving the block removes the method's hooks from the model.
        with method(model=model, target_layers=[model.backbone]) as cam_method:
            map_of_class = cam_method(input_tensor=x, targets=[ClassifierOutputTarget(cls)])[0]
            maps[name] = torch.from_numpy(map_of_class)
    model.zero_grad(set_to_none=True)
    return maps


def method_boxes(maps: dict[str, Tensor], frame: int, thresholds: list[float]) -> dict[str, dict[str, Any]]:
    """{method: {"map": ..., "boxes": ...}} of the maps that `method_maps` returned.

    `map` is for display, [h][w] in [0, 1] with at most `SHOWN` cells a side. `boxes` has the CAM box at each
    CAM threshold, in pixels of a frame of side `frame`, without offset; it is None for a constant map.
    """
    answer = {}
    for name, raw in maps.items():
        maxima = AxisMaxima(raw[None], (frame, frame))
        boxes = [maxima.extents(threshold)[0].tolist() for threshold in thresholds]
        small = raw if max(raw.shape) <= SHOWN else F.adaptive_avg_pool2d(raw[None], SHOWN)[0]
        answer[name] = {
            "map": normalize_cam(small).numpy().round(3).tolist(),
            "boxes": [None if box[0] < 0 else box for box in boxes],
        }
    return answer
