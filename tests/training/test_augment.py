"""Augmentation: several processes draw what one would draw."""

from __future__ import annotations

import torch

from ccd_core.config import CCDConfig
from ccd_core.runs.team import Team
from ccd_core.training.augment import augment


def test_augmentation_of_a_part_is_that_of_the_whole():
    settings = CCDConfig.preset("demo").changed(training={"shared_flip": False}).training
    pixels = torch.randint(0, 256, (7, 3, 16, 16), dtype=torch.uint8)
    torch.manual_seed(3)
    whole = augment(pixels, settings, True)
    for rank in range(3):
        part = Team(rank, 3).batch_slice(7)
        torch.manual_seed(3)
        for all_of_them, own in zip(whole, augment(pixels[part], settings, True, 7, part), strict=True):
            assert torch.equal(all_of_them[part], own)
