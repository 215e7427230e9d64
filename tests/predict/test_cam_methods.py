"""CAM methods side by side, on a small classifier."""

from __future__ import annotations

import torch

from ccd_core.method.classifier import CamClassifier
from ccd_core.predict.cam_methods import METHODS, SHOWN, method_boxes, method_maps


def test_every_method_gives_a_map_and_grad_cam_is_cam_without_its_negative_part():
    torch.manual_seed(0)
    model, x = CamClassifier("timm:test_resnet", 3).eval(), torch.randn(1, 3, 96, 96)
    maps = method_maps(model, x, cls=1)
    assert list(maps) == ["CAM", *METHODS]
    weights = model.head.weight[1, :, 0, 0]
    with torch.no_grad():
        own = torch.einsum("q,qhw->hw", weights, model.backbone(x)[0]).clamp(min=0)
    own = (own - own.min()) / (own.max() - own.min())  # grad-cam stretches before it resizes
    own = torch.nn.functional.interpolate(own[None, None], (96, 96), mode="bilinear", align_corners=False)[
        0, 0
    ]
    assert (own - maps["Grad-CAM"]).abs().max() < 0.02
    assert not model._forward_hooks and not any(
        parameter.grad is not None for parameter in model.parameters()
    )  # nothing stays behind
    assert not model.backbone._forward_hooks


def test_boxes_shrink_as_the_threshold_rises_and_a_flat_map_has_none():
    bright = torch.zeros(50, 60)
    bright[10:30, 20:40] = torch.linspace(0.1, 1, 20)
    said = method_boxes({"peak": bright, "flat": torch.zeros(50, 60)}, 640, [0.2, 0.9])
    wide, tight = said["peak"]["boxes"]
    assert wide[0] < tight[0] < tight[2] <= wide[2] and said["flat"]["boxes"] == [None, None]
    assert len(said["peak"]["map"]) == SHOWN
