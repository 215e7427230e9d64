"""The classifier: a CNN and a 1x1 convolution whose maps are the CAMs and whose means are the logits (Eq. 4)."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ccd_core.config import ClassifierSettings
from ccd_core.errors import UserError
from ccd_core.weights.files import read_weights
from ccd_core.weights.fitting import load_into, unwrap
from ccd_core.weights.torch_files import first_line


class CamClassifier(nn.Module):
    """Multi-label classifier with class activation maps.

    backbone: a torchvision ResNet ("resnet101"), any timm CNN ("timm:convnext_tiny") or "clip:demo", the demo CLIP's own image tower, which
    comes with its weights; weights: "imagenet", the path of a file of weights (safetensors, or tensors saved by torch), or None for random ones; further keyword arguments go to the backbone's
    constructor. Raises UserError where there is no such backbone or its weights cannot be had.

    >>> images = torch.zeros(2, 3, 64, 64)
    >>> logits, maps = CamClassifier("resnet18", num_classes=20)(images, return_cam=True)
    >>> logits.shape, maps.shape, torch.equal(logits, maps.mean((2, 3)))
    (torch.Size([2, 20]), torch.Size([2, 20, 2, 2]), True)
    """

    def __init__(
        self,
        backbone: str,
        num_classes: int,
        weights: str | None = None,
        cam_boost: float = 1.0,
        **options: Any,
    ):
        super().__init__()
        self.backbone = _make_backbone(backbone, weights == "imagenet", options)
        self.head = nn.Conv2d(_feature_channels(self.backbone, backbone), num_classes, 1)
        self.cam_boost = cam_boost
        if weights not in (None, "imagenet"):
            load_backbone(self.backbone, Path(weights))

    def forward(self, x: Tensor, return_cam: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """x: [B, 3, H, W] normalised -> logits [B, C], and with `return_cam` the raw maps [B, C, h, w] too."""
        cam = class_maps(self.backbone(x), self.head.weight, self.head.bias, self.cam_boost)
        logits = cam.mean((2, 3))
        return (logits, cam) if return_cam else logits


def make_classifier(settings: ClassifierSettings, classes: int) -> CamClassifier:
    """The classifier that `settings` describe, for `classes` classes. Raises UserError as `CamClassifier` does."""
    options = settings.backbone_options
    return CamClassifier(settings.backbone, classes, settings.weights, settings.cam_boost, **options)


def class_maps(features: Tensor, weight: Tensor, bias: Tensor | None, boost: float = 1.0) -> Tensor:
    """CAM of every class: [B, Q, h, w] features and [C, Q, 1, 1] weights -> [B, C, h, w] (Eq. 4); positive entries times `boost`."""
    cam = nn.functional.conv2d(features, weight, bias)
    return cam if boost == 1 else torch.where(cam > 0, cam * boost, cam)


def _make_backbone(name: str, imagenet: bool, options: dict[str, Any]) -> nn.Module:
    try:
        if name == "clip:demo":
            return ClipTower(**options)
        return (
            _timm_backbone(name.removeprefix("timm:"), imagenet, options)
            if name.startswith("timm:")
            else _torchvision_resnet(name, imagenet, options)
        )
    except UserError:
        raise
    except TypeError as error:
        raise UserError(
            f"The backbone {name} does not take classifier.backbone_options {options}: {error}."
        ) from None
    except Exception as error:  # hubs raise many kinds
        raise UserError(
            f"The ImageNet weights of {name} could not be had: {first_line(error)}. If this machine has no network, download them elsewhere "
            "and set classifier.weights to the file."
        ) from None


def _torchvision_resnet(name: str, imagenet: bool, options: dict[str, Any]) -> nn.Module:
    import torchvision

    known = [
        model
        for model in torchvision.models.list_models(module=torchvision.models)
        if model.startswith(("resnet", "resnext", "wide_resnet"))
    ]
    if name not in known:
        raise UserError(
            f"There is no torchvision ResNet {name!r}; there are {', '.join(known)}; for others write timm:NAME."
        )
    weights = torchvision.models.get_model_weights(name)["IMAGENET1K_V1"] if imagenet else None
    network = torchvision.models.get_model(name, weights=weights, **options)
    return nn.Sequential(
        OrderedDict((key, part) for key, part in network.named_children() if key not in ("avgpool", "fc"))
    )


class ClipTower(nn.Module):
    """The convolutions of the demo CLIP's ModifiedResNet without its attention pool; the last stage keeps its resolution (stride 16)."""

    def __init__(self) -> None:
        super().__init__()
        from ccd_core.clip.teacher import ClipTeacher

        visual = ClipTeacher.load("demo").model.visual.requires_grad_(True)
        visual.attnpool = nn.Identity()
        visual.layer4[0].avgpool = nn.Identity()
        visual.layer4[0].downsample[0] = nn.Identity()
        self.visual = visual

    def forward(self, x: Tensor) -> Tensor:
        return self.visual(x)


class TimmFeatures(nn.Module):
    network: Any

    def __init__(self, network: Any):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network.forward_features(x)


def _timm_backbone(name: str, imagenet: bool, options: dict[str, Any]) -> nn.Module:
    import timm

    if not timm.is_model(name):
        raise UserError(
            f"timm has no model {name!r}; `python -c 'import timm; print(timm.list_models())'` lists them."
        )
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in options.items()
    }
    return TimmFeatures(timm.create_model(name, pretrained=imagenet, num_classes=0, global_pool="", **values))


def _feature_channels(backbone: nn.Module, name: str) -> int:
    """Channels of the last feature map, found by running a small image through."""
    was_training = backbone.training
    with torch.no_grad():
        features = backbone.eval()(torch.zeros(1, 3, 224, 224))
    backbone.train(was_training)
    if features.ndim != 4:
        raise UserError(f"{name} gives no feature map and so no CAM; choose a convolutional network.")
    return features.shape[1]


def load_backbone(backbone: nn.Module, path: Path) -> None:
    """Weights of a file into the backbone; those of a classifier on top of it, as published files have one, are left out.

    Raises UserError where a weight is missing, has another shape, or belongs to a part that the backbone does not have.
    """
    network = backbone.network if isinstance(backbone, TimmFeatures) else backbone
    load_into(network, unwrap(read_weights(path), network.state_dict().keys(), path), path, "the backbone")
