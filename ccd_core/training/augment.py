"""Augmentation: the weak and the strong copy of a batch (Sec. 3.4)."""

from __future__ import annotations

import torch
from torch import Tensor

from ccd_core.clip.teacher import normalise
from ccd_core.device_memory import to_device
from ccd_core.settings.sections import TrainingSettings
from ccd_core.training.jitter import draw_jitter, jittered
from ccd_core.training.stronger import strengthened


def augment(
    pixels: Tensor,
    settings: TrainingSettings,
    with_strong: bool,
    batch: int | None = None,
    part: slice = slice(None),
) -> tuple[Tensor, Tensor | None]:
    """The weak copy of images, randomly flipped, and the strong copy, with jittered colours too (Sec. 3.4).

    Both are of the same crop, if the settings have such changes (`stronger`).

    pixels: uint8 [B, 3, S, S]. Returns normalised float32 tensors of the same shape; the strong copy is None
    without `with_strong`. `pixels` may be the images `part` of a batch of `batch` images. Each is then
    augmented exactly as in the whole batch.
    """
    count = len(pixels) if batch is None else batch
    pixels = strengthened(pixels, settings, count, part)
    flip = torch.rand(count) < 0.5
    weak = _flip(pixels, flip[part])
    if not with_strong:
        return to_network(weak), None
    other = flip if settings.shared_flip else torch.rand(count) < 0.5
    draws = draw_jitter(count, settings.jitter)
    strong = jittered(_flip(pixels, other[part]), draws[part])
    return to_network(weak), to_network(strong)


def _flip(pixels: Tensor, which: Tensor) -> Tensor:
    return torch.where(to_device(which, pixels.device)[:, None, None, None], pixels.flip(-1), pixels)


def to_network(pixels: Tensor) -> Tensor:
    """Normalise pixels [B, 3, S, S] of 0-255 to the classifier's input, float32 with channels last."""
    return normalise(pixels).contiguous(memory_format=torch.channels_last)
