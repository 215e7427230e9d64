"""The classifier: a network and a 1x1 convolution; its maps are the CAMs, their means the logits (Eq. 4)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ccd_core.method.backbones import make_backbone, refuse_options
from ccd_core.settings.sections import ClassifierSettings
from ccd_core.weights.folding import FoldedCopy

TO_LAST_STAGE = "to_last_stage"
# Where the number of a stage stands in the names of a network's layers: layer4.2.conv1, blocks.6.0, stages.3.
STAGE = re.compile(r"(?:^|\.)(?:layer|(?:blocks|stages|layers|features)\.)(?P<number>\d+)\.")
LAST_STAGE = 0.25  # of the layers, where no name tells


class CamClassifier(nn.Module):
    """Multi-label classifier with class activation maps.

    backbone: a torchvision ResNet ("resnet101"), a timm network with a feature map ("timm:convnext_tiny") or
    "clip:demo", the demo CLIP's own image tower, which comes with its weights. weights: "imagenet", the path
    of a file of weights (safetensors, or tensors saved by torch), or None for random ones. cam_boost: factor
    of the maps' positive entries. frozen: the share of the backbone's layers that keeps its weights, from the
    image on; or `TO_LAST_STAGE` for all before the last stage, such as layer4 of a ResNet. sizes: the sides
    in pixels of the images to come, at which the backbone is tried. fold_norms: batch norms become part of
    the convolutions before them wherever the backbone does not learn (`weights.folding`). Further
    keyword arguments go to the backbone's constructor.

    Raises UserError where there is no such backbone, its weights cannot be had or do not fit, or it gives no
    feature map of images of these sizes.

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
        frozen: float | str = 0.0,
        *,
        sizes: Sequence[int] = (),
        fold_norms: bool = False,
        **options: Any,
    ):
        super().__init__()
        self.folded = FoldedCopy() if fold_norms else None
        self.backbone, channels = make_backbone(backbone, weights, options, sizes)
        self.head = nn.Conv2d(channels, num_classes, 1)
        self.cam_boost = cam_boost
        self.frozen_share = frozen
        for layer in frozen_layers(self.backbone, frozen):
            layer.requires_grad_(False)

    def train(self, mode: bool = True) -> CamClassifier:
        """As `Module.train`, but frozen layers stay as they are: their statistics do not change either."""
        super().train(mode)
        # Found anew, because several GPUs put other layers in the place of batch norms.
        for layer in frozen_layers(self.backbone, self.frozen_share):
            layer.eval()
        if self.folded:
            self.folded.forget()  # a step may follow, and dropout has another mode
        return self

    def load_state_dict(self, *args: Any, **options: Any) -> Any:
        if self.folded:
            self.folded.forget()
        return super().load_state_dict(*args, **options)

    def _apply(self, *args: Any, **options: Any) -> CamClassifier:
        if self.folded:
            self.folded.forget()  # the network goes to another device, or gets another layout
        return super()._apply(*args, **options)

    def features(self, x: Tensor) -> Tensor:
        """The backbone's features [B, Q, h, w] of normalised images [B, 3, H, W]."""
        # Without inference mode somebody may follow gradients through the backbone, as Grad-CAM does.
        fixed = self.frozen_share == 1 if self.training else torch.is_inference_mode_enabled()
        if self.folded and fixed:
            return self.folded.of(self.backbone, x)(x)
        return self.backbone(x)

    def forward(self, x: Tensor, return_cam: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Normalised images [B, 3, H, W] to logits [B, C], with `return_cam` also the maps [B, C, h, w]."""
        cam = class_maps(self.features(x), self.head.weight, self.head.bias, self.cam_boost)
        logits = cam.mean((2, 3))
        return (logits, cam) if return_cam else logits

    def with_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B, C] as `forward` gives them, and the features [B, Q], averaged over the image."""
        features = self.features(x)
        cam = class_maps(features, self.head.weight, self.head.bias, self.cam_boost)
        return cam.mean((2, 3)), features.mean((2, 3))


def make_classifier(settings: ClassifierSettings, classes: int) -> CamClassifier:
    """The classifier of these settings, for so many classes. Raises UserError as `CamClassifier` does."""
    refuse_options(settings.backbone_options)
    return CamClassifier(
        settings.backbone,
        classes,
        settings.weights,
        settings.cam_boost,
        TO_LAST_STAGE if settings.learns == "last_stage" and settings.frozen < 1 else settings.frozen,
        sizes=(settings.image_size, settings.cam_size),
        fold_norms=settings.fold_norms,
        **settings.backbone_options,
    )


def frozen_layers(backbone: nn.Module, share: float | str) -> list[nn.Module]:
    """The first `share` of the backbone's layers that hold weights or statistics of their own.

    share: in [0, 1], or `TO_LAST_STAGE`. The last stage is layer4 of a ResNet, or the last of the numbered
    stages or blocks of another network; of one without, it is the last quarter of the layers.
    """
    layers = {
        name: module
        for name, module in backbone.named_modules()
        if any(True for _ in module.parameters(recurse=False))
        or any(True for _ in module.buffers(recurse=False))
    }
    if isinstance(share, str):
        stages = [int(found["number"]) if (found := STAGE.search(name)) else -1 for name in layers]
        last = max(stages, default=-1)
        share = stages.index(last) / len(layers) if last > 0 else 1 - LAST_STAGE
    return list(layers.values())[: round(share * len(layers))]


def class_maps(features: Tensor, weight: Tensor, bias: Tensor | None, boost: float = 1.0) -> Tensor:
    """CAM of every class (Eq. 4); positive entries are multiplied by `boost`.

    features: [B, Q, h, w]; weight: [C, Q, 1, 1]; bias: [C]. Returns [B, C, h, w].
    """
    cam = nn.functional.conv2d(features, weight, bias)
    return cam if boost == 1 else torch.where(cam > 0, cam * boost, cam)
