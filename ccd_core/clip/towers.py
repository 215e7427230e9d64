"""CLIP's image towers at any size. open_clip builds each for one size; CCD shows them pictures and crops.

| tower | how it takes other sizes |
|---|---|
| ModifiedResNet (OpenAI's RN50...) | positions of the attention pool are resized, as in the authors' code |
| VisionTransformer (OpenAI, LAION, DFN, CoCa...) | its patch positions are resized bilinearly |
| timm's ViT and EVA (SigLIP, EVA02, PE, ViTamin) | timm's `dynamic_img_size`, bicubically |
| any other of timm that answers at two more sizes (ConvNeXt, FastViT, EfficientNet) | as it is |
| any other (Swin, relative positions) | its own size only; local views are squeezed to it |

Whether a network of timm takes other sizes is tried out, not listed: a copy of it without numbers is shown
two more shapes.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from ccd_core.weights.folding import without_numbers

log = logging.getLogger("ccd")


class Tower(nn.Module):
    """An image tower for images [B, 3, H, W] of any size; `visual` is open_clip's own.

    stride: pixels of one feature; sides that are no multiple of it are resized to the nearest one.
    native_size: (H, W) it was trained at.
    """

    any_size = True
    smallest_side = 1

    def __init__(self, visual: Any, stride: int):
        super().__init__()
        self.visual: Any = visual
        self.stride = stride
        self.native_size = _pair(visual.image_size)

    @property
    def kind(self) -> str:
        """The class that decides which sizes there are: timm's where open_clip only wraps it."""
        return type(getattr(self.visual, "trunk", self.visual)).__name__

    def nearest(self, side: int) -> int:
        """The side in pixels that the tower sees: its own, or the nearest multiple of the stride."""
        return side if side in self.native_size else max(1, round(side / self.stride)) * self.stride

    def forward(self, x: Tensor) -> Tensor:
        fitting = (self.nearest(x.shape[-2]), self.nearest(x.shape[-1]))
        if tuple(x.shape[-2:]) != fitting:
            x = F.interpolate(x, fitting, mode="bilinear", align_corners=False, antialias=True)
        features = self.encode(x)
        # CoCa's towers return their tokens as well.
        return features[0] if isinstance(features, tuple) else features

    def encode(self, x: Tensor) -> Any:
        return self.visual(x)


class ResNetTower(Tower):
    """A ModifiedResNet. It takes sides between multiples of 32 as they are, as the authors' code does."""

    smallest_side = 31  # below, no feature is left

    def __init__(self, visual: Any):
        super().__init__(visual, 32)
        if not isinstance(visual.attnpool, AnySizePool):
            visual.attnpool = AnySizePool(visual.attnpool)

    def nearest(self, side: int) -> int:
        return side


class AnySizePool(nn.Module):
    """The attention pool of a ModifiedResNet for any grid of features."""

    pool: Any

    def __init__(self, pool: Any):
        super().__init__()
        self.pool = pool
        self.native = round((pool.positional_embedding.shape[0] - 1) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        positions = resize_positions(
            self.pool.positional_embedding, (self.native, self.native), (x.shape[-2], x.shape[-1])
        )
        return functional_call(self.pool, {"positional_embedding": positions}, (x,))


class ViTTower(Tower):
    """open_clip's own VisionTransformer, with any of its poolings."""

    def __init__(self, visual: Any):
        super().__init__(visual, visual.patch_size[0])

    def encode(self, x: Tensor) -> Any:
        grid = (x.shape[-2] // self.stride, x.shape[-1] // self.stride)
        positions = resize_positions(
            self.visual.positional_embedding, tuple(self.visual.grid_size), grid, rounded=False
        )
        return functional_call(self.visual, {"positional_embedding": positions}, (x,))


class TimmTransformer(Tower):
    """timm's VisionTransformer or Eva with `dynamic_img_size`, which open_clip does not pass on."""

    def __init__(self, visual: Any):
        from timm.layers import Format

        super().__init__(visual, visual.trunk.feature_info[-1]["reduction"])
        visual.trunk.dynamic_img_size = True
        embed = visual.trunk.patch_embed
        embed.strict_img_size = False
        embed.flatten = False
        embed.output_fmt = Format.NHWC

    def encode(self, x: Tensor) -> Any:
        grid = (x.shape[-2] // self.stride, x.shape[-1] // self.stride)
        rope = getattr(self.visual.trunk, "rope", None)
        if rope is not None:
            rope.update_feat_shape(grid)
        # SO400M-14 has an own size of 384 pixels and sees 378 of them.
        return self.visual(x[..., : grid[0] * self.stride, : grid[1] * self.stride])


class ConvolutionalTower(Tower):
    """A timm network that takes any size as it is, such as one of convolutions and a pooling."""

    def __init__(self, visual: Any):
        super().__init__(visual, visual.trunk.feature_info[-1]["reduction"])


class FixedTower(Tower):
    """A tower that takes its own size only. Images of other shapes are squeezed to it, as whole images are.

    `ClipTeacher.side` refuses another `clip.size`, so that nobody gets other pixels than were asked for.
    """

    any_size = False

    def __init__(self, visual: Any):
        super().__init__(visual, 1)

    def forward(self, x: Tensor) -> Tensor:
        if tuple(x.shape[-2:]) != self.native_size:
            x = F.interpolate(x, self.native_size, mode="bilinear", align_corners=False, antialias=True)
        features = self.visual(x)
        return features[0] if isinstance(features, tuple) else features

    def refusal(self, height: int, width: int) -> str:
        own = "x".join(map(str, self.native_size))
        return (
            f"The image tower {self.kind} takes {own} images only, not {height}x{width}; set clip.size to "
            f"{self.native_size[0]}, or choose a clip.model with a ResNet (RN50...), ViT, EVA, SigLIP or "
            "ConvNeXt tower."
        )


def any_size(visual: Any) -> Tower:
    """open_clip's image tower, changed in place so that it takes every size that it can take."""
    trunk = getattr(visual, "trunk", None)
    if hasattr(visual, "attnpool") and hasattr(visual, "layer4"):
        return ResNetTower(visual)
    if (
        trunk is None
        and getattr(visual, "positional_embedding", None) is not None
        and hasattr(visual, "grid_size")
    ):
        return ViTTower(visual)
    if trunk is not None and not hasattr(visual.head, "pool"):  # such a pool has positions of its own
        if hasattr(trunk, "dynamic_img_size") and hasattr(trunk, "pos_embed"):
            return TimmTransformer(visual)
        if _takes_other_sizes(visual):
            return ConvolutionalTower(visual)
    return FixedTower(visual)


def _takes_other_sizes(visual: Any) -> bool:
    """Whether a timm network gives an embedding of two more shapes: wider by one feature, and twice as high.

    A copy on torch's device "meta", which has shapes and no numbers, is asked. That takes a moment only.
    """
    stages = getattr(visual.trunk, "feature_info", None)
    positions = [name for name, _ in visual.trunk.named_parameters() if "pos_embed" in name]
    if not stages or any(name == "pos_embed" or "relative" in name for name in positions):
        return False
    stride = int(stages[-1]["reduction"])
    height, width = _pair(visual.image_size)
    shadow = without_numbers(visual)
    try:
        with torch.no_grad():
            for size in ((height, width + stride), (2 * height, width)):
                shadow(torch.zeros(1, 3, *size, device="meta"))
    except Exception:  # networks refuse a size with errors of any kind
        log.debug("%s takes its own size only", type(visual.trunk).__name__, exc_info=True)
        return False
    return True


def resize_positions(
    embedding: Tensor, native: tuple[int, int], grid: tuple[int, int], rounded: bool = True
) -> Tensor:
    """[1 + h*w, E] for the grid (h, w) from [1 + native, E]: first row kept, the rest resized bilinearly.

    rounded: through half precision, as the authors' code does for the ModifiedResNet.
    """
    if grid == native:
        return embedding
    first, square = embedding[:1], embedding[1:].float()
    picture = square.T.reshape(1, -1, *native)
    resized = F.interpolate(picture, grid, mode="bilinear", align_corners=False).flatten(2)[0].T
    positions = torch.cat([first.float(), resized])
    return (positions.half() if rounded else positions).to(embedding.dtype)


def _pair(size: Any) -> tuple[int, int]:
    return (int(size[0]), int(size[1])) if isinstance(size, (tuple, list)) else (int(size), int(size))
