"""Networks under the classifier's head, by name: what they are built from, and that they give a feature map.

A backbone takes images [B, 3, H, W] and gives features [B, Q, h, w]. Networks lay their features out in
three ways: [B, Q, h, w], [B, h, w, Q] (Swin) and one row a patch, [B, N, Q] (ViT, DINOv2). `make_backbone`
finds out which, at the sizes that a run will use, before anything long begins.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ccd_core.errors import UserError, first_line
from ccd_core.weights.efficientnet import from_efficientnet_pytorch
from ccd_core.weights.files import read_weights
from ccd_core.weights.fitting import load_into, unwrap
from ccd_core.weights.folding import without_numbers
from ccd_core.weights.hub import refuse_absent_imagenet
from ccd_core.weights.names import unknown_model
from ccd_core.weights.packages import packaged_weights

log = logging.getLogger("ccd")
Layout = Literal["maps", "maps, channels last", "tokens"]
OWN_SIZE = 224  # pixels; of networks that do not say theirs
# Arguments of constructors that load or fetch weights, or change what goes in and out.
NOT_OPTIONS = {
    *("cache_dir", "checkpoint_path", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay"),
    *(
        "pretrained_strict",
        "weights",
        "features_only",
        "global_pool",
        "in_chans",
        "num_classes",
        "scriptable",
    ),
    *("backbone", "cam_boost", "sizes"),  # CamClassifier's
}


def refuse_options(options: Mapping[str, Any]) -> None:
    """Raises UserError where an option would load a file, or take the place of another setting."""
    refused = sorted(NOT_OPTIONS & set(options))
    if refused:
        raise UserError(
            f"classifier.backbone_options may not hold {', '.join(refused)}: weights are named in "
            "classifier.weights, and what goes in and comes out is the classifier's own."
        )


def make_backbone(
    name: str, weights: str | None, options: Mapping[str, Any], sizes: Sequence[int] = ()
) -> tuple[nn.Module, int]:
    """The network of that name, and the channels of its features.

    name, weights: as in `CamClassifier`. options: further arguments of its constructor. sizes: the sides in
    pixels of the images it will see; its own size where there are none. Raises UserError, one sentence, where
    there is no such network, its weights cannot be had or do not fit, or it gives no feature map at these
    sizes.
    """
    refuse_options(options)
    if weights == "imagenet" and (packaged := packaged_weights(name)):
        weights = str(packaged)
    backbone = _built(name, weights == "imagenet", dict(options))
    channels = _look_at(backbone, name, sizes)
    if weights not in (None, "imagenet"):
        load_backbone(backbone, Path(weights).expanduser())
    return backbone, channels


def check_backbone(name: str, weights: str | None, options: Mapping[str, Any], sizes: Sequence[int]) -> int:
    """Number of parameters of a backbone that can be had and takes images of these sizes.

    The arguments are those of `make_backbone`. Nothing is fetched: raises NotHere where ImageNet weights
    would be. Raises UserError as `make_backbone` does, and where their server does not answer.
    """
    published = weights == "imagenet" and name != "clip:demo"
    backbone, _ = make_backbone(name, None if published else weights, options, sizes)
    if published:
        refuse_absent_imagenet(name, fetch=False)
    return sum(value.numel() for value in backbone.parameters())


def _built(name: str, imagenet: bool, options: dict[str, Any]) -> nn.Module:
    try:
        if name == "clip:demo":
            return ClipTower(**options)
        if imagenet and _is_published(name):
            refuse_absent_imagenet(name)
        if name.startswith("timm:"):
            return _timm_backbone(name.removeprefix("timm:"), imagenet, options)
        return _torchvision_resnet(name, imagenet, options)
    except UserError:
        raise
    except TypeError as error:
        raise UserError(
            f"The backbone {name} does not take classifier.backbone_options {options}: {error}."
        ) from None
    except Exception as error:  # hubs raise many kinds, and constructors too
        log.debug("building the backbone failed", exc_info=True)
        if not imagenet:
            raise UserError(f"The backbone {name} cannot be built: {first_line(error)}.") from None
        raise UserError(
            f"The ImageNet weights of {name} could not be had: {first_line(error)}. If this machine has no "
            "network, download them elsewhere and set classifier.weights to the file."
        ) from None


def _is_published(name: str) -> bool:
    """Whether timm or torchvision knows the network. If not, a sentence about its name is the better one."""
    import timm
    import torchvision

    if name.startswith("timm:"):
        return timm.is_model(name.removeprefix("timm:"))
    return name in torchvision.models.list_models(module=torchvision.models)


def _torchvision_resnet(name: str, imagenet: bool, options: dict[str, Any]) -> nn.Module:
    import torchvision

    models = torchvision.models.list_models(module=torchvision.models)
    known = [model for model in models if model.startswith(("resnet", "resnext", "wide_resnet"))]
    if name not in known:
        raise UserError(
            f"There is no torchvision ResNet {name!r}; there are {', '.join(known)}; "
            "for others write timm:NAME."
        )
    network = torchvision.models.get_model(name, weights=None, **options)
    if imagenet:
        published = torchvision.models.get_model_weights(name)["IMAGENET1K_V1"]
        network.load_state_dict(published.get_state_dict(check_hash=True, weights_only=True))
    kept = [(part, module) for part, module in network.named_children() if part not in ("avgpool", "fc")]
    return nn.Sequential(OrderedDict(kept))


class ClipTower(nn.Module):
    """The convolutions of the demo CLIP's ModifiedResNet, without its attention pool.

    The last stage keeps its resolution, so a feature stands for 16 pixels.
    """

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
    """A timm network, whose features become maps [B, Q, h, w] in whatever layout they come."""

    network: Any

    def __init__(self, network: Any):
        super().__init__()
        self.network = network
        self.layout: Layout = "maps"
        self.stride = 1

    def forward(self, x: Tensor) -> Tensor:
        features = self.network.forward_features(x)
        if self.layout == "maps, channels last":
            return features.permute(0, 3, 1, 2)
        if self.layout == "tokens":
            h, w = x.shape[-2] // self.stride, x.shape[-1] // self.stride
            patches = features[:, features.shape[1] - h * w :]  # behind class and register tokens
            return patches.transpose(1, 2).reshape(len(x), -1, h, w)
        return features


def _timm_backbone(name: str, imagenet: bool, options: dict[str, Any]) -> nn.Module:
    import timm

    if ":" in name or not timm.is_model(name):
        raise unknown_model("timm", name, timm.list_models())
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    made: dict[str, Any] = {"pretrained": imagenet, "num_classes": 0, "global_pool": "", **values}
    try:
        network = timm.create_model(name, **made)
    except AssertionError:  # "Cannot disable pooling": the head, which is not used here, insists on it
        del made["global_pool"]
        network = timm.create_model(name, **made)
        network.head = nn.Identity()
    if getattr(network, "dynamic_img_size", True) is False and "dynamic_img_size" not in options:
        network = timm.create_model(name, dynamic_img_size=True, **made)  # ViT and Swin at any size
    return TimmFeatures(network)


def _look_at(backbone: nn.Module, name: str, sizes: Sequence[int]) -> int:
    """Channels of the features at these sizes. Sets the layout of a timm network."""
    own = _own_size(backbone)
    channels = 0
    for size in sizes or (own,):
        try:
            features = _features_at(backbone, size)
        except UserError:
            raise
        except Exception as error:  # networks refuse a size with errors of any kind
            log.debug("the backbone failed at %d pixels", size, exc_info=True)
            raise UserError(_refusal(backbone, name, size, own, first_line(error))) from None
        channels = _channels(backbone, name, features, size)
    return channels


def _own_size(backbone: nn.Module) -> int:
    """The side in pixels that the network was made for."""
    network = getattr(backbone, "network", None)
    embed = getattr(network, "patch_embed", None)
    size = getattr(embed, "img_size", None) or (getattr(network, "default_cfg", None) or {}).get("input_size")
    return int(size[-1]) if size else OWN_SIZE


def _features_at(backbone: nn.Module, size: int) -> Any:
    """What the network gives for an image of that size, in its own layout: as a rule only its shape.

    A copy on torch's device "meta", which has shapes only, takes no time. Where that fails, it is run.
    """
    try:
        return _forward(without_numbers(backbone), torch.zeros(1, 3, size, size, device="meta"))
    except Exception:  # of any kind: the run below decides
        log.debug("%d pixels: no run without numbers", size, exc_info=True)
    was_training = backbone.training
    try:
        return _forward(backbone.eval(), torch.zeros(1, 3, size, size))
    finally:
        backbone.train(was_training)


@torch.no_grad()
def _forward(backbone: nn.Module, x: Tensor) -> Any:
    return backbone.network.forward_features(x) if isinstance(backbone, TimmFeatures) else backbone(x)


def _channels(backbone: nn.Module, name: str, features: Any, size: int) -> int:
    """Channels of the features, whose layout a timm network is told.

    Raises UserError where they are no map.
    """
    if isinstance(features, Tensor) and isinstance(backbone, TimmFeatures):
        if features.ndim == 3:
            return _channels_of_tokens(backbone, name, features, size)
        if features.ndim == 4 and _is_channels_last(backbone.network, features):
            backbone.layout = "maps, channels last"
            return features.shape[-1]
    if not isinstance(features, Tensor) or features.ndim != 4:
        kind = (
            f"[{', '.join(map(str, features.shape))}]" if isinstance(features, Tensor) else "several outputs"
        )
        raise UserError(
            f"{name} gives no feature map and so no CAM ({kind} of an image of {size} x {size}); choose a "
            "convolutional network, a Swin or a ViT."
        )
    return features.shape[1]


def _channels_of_tokens(backbone: TimmFeatures, name: str, features: Tensor, size: int) -> int:
    """The same for features [1, N, Q] of patches in rows, which may follow class and register tokens."""
    backbone.layout = "tokens"
    backbone.stride = _stride(backbone.network)
    side = size // backbone.stride
    extra = features.shape[1] - side * side
    expected = getattr(backbone.network, "num_prefix_tokens", None)
    if size % backbone.stride or extra < 0 or (expected is not None and extra != expected) or extra > 16:
        raise UserError(
            f"{name} gives no feature map of an image of {size} x {size} pixels and so no CAM: its "
            f"{features.shape[1]} tokens are no grid of patches of {backbone.stride} pixels."
        )
    return features.shape[2]


def _stride(network: Any) -> int:
    """Pixels of one feature of a network of tokens."""
    stages = getattr(network, "feature_info", None)
    if stages:
        return int(stages[-1]["reduction"])
    patch = getattr(getattr(network, "patch_embed", None), "patch_size", 16)
    return int(patch[0] if isinstance(patch, (tuple, list)) else patch)


def _is_channels_last(network: Any, features: Tensor) -> bool:
    """Whether features of a square image are [1, h, w, Q] and not [1, Q, h, w]."""
    declared = getattr(network, "output_fmt", None)
    if declared is not None:
        return str(declared).endswith("NHWC")
    _, one, two, three = features.shape
    if one == two == three:
        return False
    return one == two != three


def _refusal(backbone: nn.Module, name: str, size: int, own: int, why: str) -> str:
    """Why a network does not take images of that size, and which sizes near it it takes."""
    nearest = max(1, round(size / own)) * own
    stride = _stride(getattr(backbone, "network", None))
    steps = {round(size / stride) * stride, size // stride * stride, -(-size // stride) * stride}
    works = []
    for candidate in sorted({own, nearest, *steps} - {size, 0}, key=lambda other: abs(other - size)):
        try:
            _features_at(backbone, candidate)
        except Exception:  # as above
            continue
        works.append(str(candidate))
    taken = f"It takes {' or '.join(works[:3])}" if works else "It was made for other images"
    return (
        f"The backbone {name} does not take images of {size} x {size} pixels ({why}). {taken}: set "
        "classifier.image_size and classifier.cam_size so, or choose a convolutional network."
    )


def load_backbone(backbone: nn.Module, path: Path) -> None:
    """Weights of a file into the backbone. Those of a classifier on top of it are left out.

    The file may be a training checkpoint: of several networks in it, that one is taken whose names are the
    backbone's (MoCo's `encoder_q`, DINO's `teacher`, Lightning's `model.backbone`). Raises UserError where a
    weight is missing, has another shape, or belongs to a layer that the backbone does not have.
    """
    network = backbone.network if isinstance(backbone, TimmFeatures) else backbone
    found = from_efficientnet_pytorch(read_weights(path), network, path)
    state = unwrap(found, network.state_dict().keys(), path)
    load_into(network, state, path, "the backbone")
