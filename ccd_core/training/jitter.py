"""Colour jitter: each image of a batch has its own factors and its own order of the changes.

The draws and the values are those of torchvision's `ColorJitter`, which changes one image at a time in about
60 small steps. On a GPU each step is a kernel, and the time goes into starting them. So there all images that
are due for the same change share its steps. A CPU is quicker with one image at a time, which its cache holds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from ccd_core.device_memory import to_device

CHANGES = 4  # brightness, contrast, saturation, hue
GREY = (0.2989, 0.587, 0.114)  # weights of red, green and blue, as torchvision has them
SIXTH = 1 / 6


class Sectors(NamedTuple):
    """The sixths of the hue circle, counted from red, in which a channel rises, falls, or is at its highest.

    In the other two it has its lowest value.
    """

    rising: int
    falling: int
    full: tuple[int, int]


SECTORS = (Sectors(4, 1, (0, 5)), Sectors(0, 3, (1, 2)), Sectors(2, 5, (3, 4)))  # red, green, blue


@dataclass(frozen=True)
class JitterDraws:
    """How each of B images is changed.

    order: [B, 4] int, the changes in their order: 0 brightness, 1 contrast, 2 saturation, 3 hue.
    factors: [B, 4] float64 by change; NaN where a change is left out.
    """

    order: Tensor
    factors: Tensor

    def __getitem__(self, part: slice) -> JitterDraws:
        return JitterDraws(self.order[part], self.factors[part])


def draw_jitter(count: int, amount: float) -> JitterDraws:
    """Draw the jitter of `count` images, from torch's generator and in the order that torchvision draws in.

    amount: in [0, 1], how far brightness, contrast and saturation may move from 1; hue moves at most by half
    the circle.
    """
    jitter = v2.ColorJitter(amount, amount, amount, min(amount, 0.5))
    names = ("brightness_factor", "contrast_factor", "saturation_factor", "hue_factor")
    draws = [jitter.make_params([]) for _ in range(count)]
    order = torch.stack([draw["fn_idx"] for draw in draws])
    missing = float("nan")
    factors = [[missing if draw[name] is None else draw[name] for name in names] for draw in draws]
    return JitterDraws(order, torch.tensor(factors, dtype=torch.float64))


def jittered(pixels: Tensor, draws: JitterDraws) -> Tensor:
    """The images [B, 3, H, W] uint8 with their colours changed, in the way that suits their device."""
    return _one_by_one(pixels, draws) if pixels.device.type == "cpu" else jitter_batch(pixels, draws)


def _one_by_one(pixels: Tensor, draws: JitterDraws) -> Tensor:
    changes = (
        functional.adjust_brightness,
        functional.adjust_contrast,
        functional.adjust_saturation,
        _turned,
    )
    changed = []
    for image, order, factors in zip(pixels, draws.order.tolist(), draws.factors.tolist(), strict=True):
        for number in order:
            if not math.isnan(factors[number]):
                image = changes[number](image, factors[number])
        changed.append(image)
    return torch.stack(changed)


def _turned(image: Tensor, turn: float) -> Tensor:
    """The image [3, H, W] with its hue changed: the bits of torchvision's `adjust_hue`, in less time."""
    return _hue(image[None], torch.tensor(turn, dtype=torch.float32).view(1, 1, 1, 1))[0]


def jitter_batch(pixels: Tensor, draws: JitterDraws) -> Tensor:
    """The images [B, 3, H, W] uint8 with their brightness, contrast, saturation and hue changed.

    The values are those of torchvision's `ColorJitter` on each image. Where a mean over many pixels rounds
    differently, a value may differ by one level.
    """
    changed = pixels.clone()
    changes = (_brightness, _contrast, _saturation, _hue)
    for place in range(CHANGES):
        for number, change in enumerate(changes):
            # These are chosen on the CPU, where the draws are. So the device is never waited for.
            due = (draws.order[:, place] == number) & ~draws.factors[:, number].isnan()
            rows = due.nonzero()[:, 0]
            if len(rows):
                factor = to_device(draws.factors[rows, number].float(), pixels.device)[:, None, None, None]
                rows = to_device(rows, pixels.device)
                changed[rows] = change(changed[rows], factor)
    return changed


def _brightness(pixels: Tensor, factor: Tensor) -> Tensor:
    return pixels.mul(factor).clamp_(0, 255).to(torch.uint8)


def _contrast(pixels: Tensor, factor: Tensor) -> Tensor:
    return _mix(pixels, _grey(pixels).mean((-3, -2, -1), keepdim=True), factor)


def _saturation(pixels: Tensor, factor: Tensor) -> Tensor:
    return _mix(pixels, _grey(pixels), factor)


def _mix(pixels: Tensor, other: Tensor, share: Tensor) -> Tensor:
    """`share` of the pixels and the rest of `other`."""
    return torch.addcmul(pixels.mul(share), other, 1 - share).clamp_(0, 255).to(torch.uint8)


def _grey(pixels: Tensor) -> Tensor:
    """[B, 1, H, W] float32, whole numbers."""
    red, green, blue = pixels.unbind(-3)
    grey = red.mul(GREY[0]).add_(green, alpha=GREY[1]).add_(blue, alpha=GREY[2])
    return grey.unsqueeze(-3).floor_()


def _hue(pixels: Tensor, turn: Tensor) -> Tensor:
    """The colours turned round the hue circle; `turn` is a part of the circle."""
    colours = functional.to_dtype(pixels, torch.float32, scale=True)
    red, green, blue = colours.unbind(-3)
    low = torch.minimum(torch.minimum(red, green), blue)
    value = torch.maximum(torch.maximum(red, green), blue)
    span = value - low
    is_grey = span == 0
    saturation = span / value.masked_fill(is_grey, 1.0)
    divisor = span.masked_fill(is_grey, 1.0)
    from_red = (value - red) / divisor
    from_green = (value - green) / divisor
    from_blue = (value - blue) / divisor
    hue = torch.where(
        value == red,
        from_blue - from_green,
        torch.where(value == green, 2.0 + from_red - from_blue, 4.0 + from_green - from_red),
    )
    hue = _fraction(hue.mul_(SIXTH).add_(1.0))
    hue = _fraction(hue.add_(turn[:, 0]))

    sixths = hue.mul_(6)
    sector = sixths.floor()  # 6 only where rounding makes a whole turn of the hue
    inside = sixths - sector
    sector = torch.where(sector == 6, 0, sector)
    rest = 1.0 - saturation
    part = saturation * inside
    low_part = (rest * value).clamp_(0.0, 1.0)
    falling = (1.0 - part).mul_(value).clamp_(0.0, 1.0)
    rising = part.add_(rest).mul_(value).clamp_(0.0, 1.0)
    # A choice for each sixth is quicker than a table of channels, which needs an index for each value.
    turned = torch.empty_like(colours)
    for channel, sectors in enumerate(SECTORS):
        chosen = torch.where(sector == sectors.rising, rising, low_part)
        chosen = torch.where(sector == sectors.falling, falling, chosen)
        full = (sector == sectors.full[0]) | (sector == sectors.full[1])
        turned[:, channel] = torch.where(full, value, chosen)
    return functional.to_dtype(turned, torch.uint8, scale=True)


def _fraction(values: Tensor) -> Tensor:
    """What is left above the next lower whole number: `remainder(1.0)` to the bit, and quicker on a CPU."""
    return values - values.floor()
