"""Random crops, RandAugment and Cutout: what the own recipes of some methods do to images besides flips.

A crop is a square of a random side, one of five from the whole image down to the least one, at a random
place, brought back to the image's size (SST, SARB). RandAugment changes colours and geometry by so many
random steps, as torchvision has it (ASL). Cutout paints a square of a random colour around a random place; it
may reach beyond the image (ASL).

Each image has random numbers of its own, so that a part of a batch is changed as in the whole batch.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional

from ccd_core.settings.sections import TrainingSettings

SIDES = 5  # of crops
MOST_SEED = 2**62


def strengthened(pixels: Tensor, settings: TrainingSettings, count: int, part: slice) -> Tensor:
    """The images [B, 3, S, S] uint8, changed as the settings say; as they are where they say nothing.

    They are the images `part` of a batch of `count` images.
    """
    if settings.crop == 1 and settings.rand_augment == 0 and settings.cutout == 0:
        return pixels
    seeds = torch.randint(MOST_SEED, (count,))[part].tolist()
    changes = v2.RandAugment(settings.rand_augment) if settings.rand_augment else None
    images = []
    with torch.random.fork_rng(devices=[]):
        for image, seed in zip(pixels, seeds, strict=True):
            torch.manual_seed(seed)
            if settings.crop < 1:
                image = random_crop(image, settings.crop)
            if settings.cutout > 0:
                image = cut_out(image, settings.cutout)
            images.append(image if changes is None else changes(image))
    return torch.stack(images)


def random_crop(image: Tensor, least: float) -> Tensor:
    """A random square of the image [3, S, S], at the image's size; its side is at least `least` of S."""
    side = image.shape[-1]
    sides = torch.linspace(1, least, SIDES)
    cropped = max(1, round(float(sides[torch.randint(SIDES, ())]) * side))
    top = int(torch.randint(side - cropped + 1, ()))
    left = int(torch.randint(side - cropped + 1, ()))
    square = image[:, top : top + cropped, left : left + cropped]
    if cropped == side:
        return square
    return functional.resize(square, [side, side], InterpolationMode.BICUBIC, antialias=True)


def cut_out(image: Tensor, share: float) -> Tensor:
    """The image [3, S, S] with a square painted, whose side is `share` of S."""
    size = image.shape[-1]
    half = round(share * size) // 2
    row, column = torch.randint(size, (2,)).tolist()
    painted = image.clone()
    colour = torch.randint(0, 256, (3, 1, 1), dtype=torch.uint8).to(image.device)
    painted[:, max(0, row - half) : row + half, max(0, column - half) : column + half] = colour
    return painted
