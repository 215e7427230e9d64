"""Colour jitter of a batch gives torchvision's values."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms import v2

from ccd_core.training.jitter import draw_jitter, jitter_batch, jittered


@pytest.fixture
def pixels() -> torch.Tensor:
    torch.manual_seed(0)
    pixels = torch.randint(0, 256, (9, 3, 24, 20), dtype=torch.uint8)
    pixels[0] = pixels[0, :1]  # grey has no hue
    pixels[1] = 255 * (pixels[1] > 128)  # pure colours lie on the borders of the hue's sixths
    return pixels


@pytest.mark.parametrize("amount", [0.5, 0.2, 1.0])
@pytest.mark.parametrize("change", [jitter_batch, jittered])
def test_a_batch_has_the_values_that_torchvision_gives_each_image(pixels, amount, change):
    jitter = v2.ColorJitter(amount, amount, amount, min(amount, 0.5))
    for seed in range(5):
        torch.manual_seed(seed)
        theirs = torch.stack([jitter.transform(image, jitter.make_params([])) for image in pixels])
        torch.manual_seed(seed)
        ours = change(pixels, draw_jitter(len(pixels), amount))
        # Means may be rounded in another order.
        assert (ours.int() - theirs.int()).abs().max() <= 1
        assert (ours == theirs).float().mean() > 0.999


def test_on_a_cpu_they_are_its_bits(pixels):
    jitter = v2.ColorJitter(0.5, 0.5, 0.5, 0.5)
    for seed in range(10):
        torch.manual_seed(seed)
        theirs = torch.stack([jitter.transform(image, jitter.make_params([])) for image in pixels])
        torch.manual_seed(seed)
        assert torch.equal(jittered(pixels, draw_jitter(len(pixels), 0.5)), theirs)


def test_no_jitter_leaves_the_image(pixels):
    assert torch.equal(jitter_batch(pixels, draw_jitter(len(pixels), 0.0)), pixels)
