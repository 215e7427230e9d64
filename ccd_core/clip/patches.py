"""Features of an image's patches, in the space of CLIP's embeddings.

An image tower ends by mixing all places of an image into one embedding. Without the mixing each place has an
embedding of its own, which can be compared with a text:

| tower | features of a place x |
|---|---|
| ModifiedResNet | c_proj(v_proj(x)): the values of its attention pool, without queries, keys and positions |
| VisionTransformer | x + out_proj(v_proj(ln_1(x))), then + mlp(ln_2(.)), ln_post and the projection |
| photo-words | its projection of x, which it else makes of the mean of all x |
| a convolutional network of timm with a linear head (EfficientNet) | the same |

The second is the last block with an attention that stays at its own place. Other towers have none here:
what they learnt to compare with text is made only of all places together (ConvNeXt has a norm there).

Source: Zhou et al., "Extract Free Dense Labels from CLIP" (ECCV 2022), for the first two.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from ccd_core.clip.photo_words import PhotoTower
from ccd_core.clip.teacher import PromptedClip
from ccd_core.clip.towers import ConvolutionalTower, ResNetTower, Tower, ViTTower
from ccd_core.device_memory import to_device
from ccd_core.errors import UserError

log = logging.getLogger("ccd")
# Means, linear layers, and what only moves numbers.
LINEAR = {
    *("mean", "_adaptive_avg_pool2d", "addmm", "mm", "bmm", "linear", "t", "view", "_unsafe_view", "reshape"),
    *("transpose", "permute", "expand", "squeeze", "unsqueeze", "clone", "slice", "select", "alias"),
    "_to_copy",
}


class NoPatches(UserError):
    """An image tower gives no patch features."""


def refuse_without_patches(tower: Tower) -> None:
    """Raises NoPatches, one sentence, where the image tower gives no patch features."""
    if not has_patches(tower):
        raise NoPatches(
            f"The image tower {tower.kind} gives no patch features, which ccd_patch and cdul_patch need; "
            "choose a clip.model with a ResNet (RN50...) or ViT tower, or the methods ccd and cdul."
        )


def has_patches(tower: Tower) -> bool:
    """Whether `patch_features` works for this tower."""
    if isinstance(tower, ViTTower):
        return tower.visual.attn_pool is None and _is_plain(tower.visual.transformer.resblocks[-1])
    if isinstance(tower, ResNetTower) or isinstance(tower.visual, PhotoTower):
        return True
    return isinstance(tower, ConvolutionalTower) and _embeds_the_mean(tower)


def embed_patches(clip: PromptedClip, pixels: Tensor) -> Tensor:
    """[B, P, D] unit-length float32 embeddings of the P patches of images [B, 3, H, W] uint8.

    Raises NoPatches where the tower gives none. Where the device runs out of memory, they are computed by
    parts, as whole images are.
    """
    teacher = clip.teacher
    refuse_without_patches(teacher.tower)

    @torch.inference_mode()
    def one_pass(part: slice) -> Tensor:
        images = teacher.normalise(to_device(pixels[part], teacher.device), clip.settings.normalisation)
        with teacher.autocast():
            return patch_features(teacher.tower, images)

    passes = clip.limit.run(len(pixels), one_pass)
    return passes[0] if len(passes) == 1 else torch.cat(passes)


def patch_features(tower: Tower, images: Tensor) -> Tensor:
    """[B, P, D] unit-length float32 embeddings of the patches of normalised images [B, 3, H, W]."""
    visual = tower.visual
    if isinstance(tower, ViTTower):
        block = visual.transformer.resblocks[-1]
        tokens = _unmixed(block, _input_of(block, tower, images)[:, 1:])  # without the class token
        features = visual.ln_post(tokens) @ visual.proj
    elif isinstance(tower, ResNetTower):
        places = _places(_input_of(visual.attnpool, tower, images))
        features = visual.attnpool.pool.c_proj(visual.attnpool.pool.v_proj(places))
    elif isinstance(visual, PhotoTower):
        places = _places(_input_of(visual.trunk.global_pool, tower, images))
        features = (places.float() - visual.mean) @ visual.directions.T
    else:
        features = _each_embedded(tower, visual.trunk.forward_features(images))
    return F.normalize(features.float(), dim=-1)


def _embeds_the_mean(tower: ConvolutionalTower) -> bool:
    """Whether an image's embedding is the mean of those of its places: its head takes means and is linear."""
    weight = next(tower.parameters())
    features = torch.zeros(1, tower.visual.trunk.num_features, 2, 2, device=weight.device, dtype=weight.dtype)
    seen = _Operations()
    try:
        with seen, torch.no_grad():
            _each_embedded(tower, features)
    except Exception:  # a network that is not made of these parts raises errors of any kind
        log.debug("%s gives no features of places", tower.kind, exc_info=True)
        return False
    return seen.names <= LINEAR


class _Operations(TorchDispatchMode):
    """The names of torch's operations within its block."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def _each_embedded(tower: Tower, features: Tensor) -> Tensor:
    """[B, H * W, D], what the head makes of each place of features [B, Q, H, W]."""
    alone = _places(features).flatten(0, 1)[..., None, None]
    return tower.visual.head(tower.visual.trunk.forward_head(alone)).unflatten(0, (len(features), -1))


def _unmixed(block: Any, tokens: Tensor) -> Tensor:
    """What a block of a transformer makes of tokens [B, P, W] if each attends to itself alone."""
    attention = block.attn
    width = tokens.shape[-1]
    bias = attention.in_proj_bias
    values = F.linear(
        block.ln_1(tokens), attention.in_proj_weight[2 * width :], None if bias is None else bias[2 * width :]
    )
    tokens = tokens + block.ls_1(attention.out_proj(values))
    return tokens + block.ls_2(block.mlp(block.ln_2(tokens)))


def _is_plain(block: Any) -> bool:
    """Whether a block of a transformer is made of the parts that `_unmixed` uses, and of no others."""
    return isinstance(getattr(block, "attn", None), nn.MultiheadAttention) and hasattr(block, "ls_2")


def _input_of(module: nn.Module, tower: Tower, images: Tensor) -> Tensor:
    """What reaches one module of the tower when it embeds the images."""
    seen: list[Tensor] = []
    hook = module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        tower(images)
    finally:
        hook.remove()
    return seen[0]


def _places(features: Tensor) -> Tensor:
    """[B, Q, H, W] to [B, H * W, Q]."""
    return features.flatten(2).transpose(1, 2)
