"""CAM methods side by side, on a small classifier."""

from __future__ import annotations

import pytest
import torch

from ccd_core.method.classifier import CamClassifier
from ccd_core.predict.cam_methods import METHODS, SHOWN, method_boxes, method_maps


@pytest.fixture
def model() -> CamClassifier:
    torch.manual_seed(0)
    return CamClassifier("timm:test_resnet", 3).eval()


def test_every_method_gives_a_map_and_leaves_nothing_behind_in_the_model(model):
    maps = method_maps(model, torch.randn(1, 3, 96, 96), cls=1)
    assert list(maps) == ["CAM", *METHODS]
    assert all(found.shape == (96, 96) for name, found in maps.items() if name != "CAM")
    assert not model._forward_hooks and not model.backbone._forward_hooks
    assert all(parameter.grad is None for parameter in model.parameters())


def test_grad_cam_is_cam_without_its_negative_part(model):
    """grad-cam stretches the values of a map before it resizes it."""
    x = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        own = torch.einsum("q,qhw->hw", model.head.weight[1, :, 0, 0], model.backbone(x)[0]).clamp(min=0)
    own = (own - own.min()) / (own.max() - own.min())
    own = torch.nn.functional.interpolate(own[None, None], (96, 96), mode="bilinear", align_corners=False)
    assert (own[0, 0] - method_maps(model, x, cls=1)["Grad-CAM"]).abs().max() < 0.02


def test_boxes_shrink_as_the_threshold_rises_and_a_flat_map_has_none():
    bright = torch.zeros(50, 60)
    bright[10:30, 20:40] = torch.linspace(0.1, 1, 20)
    found = method_boxes({"peak": bright, "flat": torch.zeros(50, 60)}, 640, [0.2, 0.9])
    wide, tight = found["peak"]["boxes"]
    assert wide[0] < tight[0] < tight[2] <= wide[2]
    assert found["flat"]["boxes"] == [None, None] and len(found["peak"]["map"]) == SHOWN
