"""Batch norms of a frozen ResNet folded into the convolutions before them.

A batch norm that no longer learns multiplies each channel and adds to it. The convolution before it can do
both: its weights and its bias take the factors. The result is the same but for rounding (2e-8 of unit-length
embeddings in fp32), and one pass over the features is saved for each convolution.
"""

from __future__ import annotations

import re

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ccd_core.clip.towers import ResNetTower, Tower


def fold_norms(tower: Tower) -> int:
    """Fold the batch norms of a ModifiedResNet, in place. Returns how many; 0 for other towers.

    The tower must be in eval mode and in fp32.
    """
    if not isinstance(tower, ResNetTower):
        return 0
    return sum(_fold_in(module) for module in list(tower.modules()))


def _fold_in(module: nn.Module) -> int:
    """Fold the norms among the module's own parts: bn1 into conv1, and `1` into `0` of a shortcut."""
    folded = 0
    for name, norm in list(module.named_children()):
        before = _convolution_before(name)
        if not isinstance(norm, nn.BatchNorm2d) or before is None:
            continue
        convolution = getattr(module, before, None)
        if isinstance(convolution, nn.Conv2d):
            fused = fuse_conv_bn_eval(convolution, norm)
            setattr(module, before, fused.requires_grad_(False))
            setattr(module, name, nn.Identity())
            folded += 1
    return folded


def _convolution_before(name: str) -> str | None:
    """The name of the convolution that a norm of this name follows in open_clip's ModifiedResNet."""
    numbered = re.fullmatch(r"bn(\d)", name)
    if numbered:
        return f"conv{numbered[1]}"
    return "0" if name == "1" else None
